/* SPDX-License-Identifier: Apache-2.0 */
static int done, left;
static fipc_event until = {{0}};

void do_one(void)
{
	if (++done == 2 && fipc_event_set(&until) < 0)
		done = -1;
}

void leave(void)
{
	left++;
}

int main(void)
{
	fipc_sem work = FIPC_SEM_INITIALIZER(2);

	if (fipc_event_init(&until, FIPC_PRIVATE) < 0)
		return 1;
	return example(0, &until, &work) == 0 && done == 2 && left == 1 ? 0 : 1;
}
