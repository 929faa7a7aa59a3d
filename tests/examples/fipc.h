/* SPDX-License-Identifier: Apache-2.0 */
struct account;
#define EXAMPLE_PARAMETERS struct account *a, int64_t amount
