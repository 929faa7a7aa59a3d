/* SPDX-License-Identifier: Apache-2.0 */
struct box {
	fipc_word full;
};
#define EXAMPLE_PARAMETERS int r, uint32_t v, struct box *box
