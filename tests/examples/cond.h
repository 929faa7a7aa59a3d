/* SPDX-License-Identifier: Apache-2.0 */
struct box;
int mend(struct box *b);
#define EXAMPLE_PARAMETERS int r, struct box *b
