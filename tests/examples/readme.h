/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

struct box {
	fipc_mutex lock;
	fipc_cond filled;
	int full;
};
int mend(struct box *box);
#define EXAMPLE_PARAMETERS int r, struct box *box
