/* SPDX-License-Identifier: Apache-2.0 */
int mend(struct box *b)
{
	return fipc_mutex_consistent(&b->lock);
}

int main(void)
{
	struct box b = {.lock = FIPC_MUTEX_INITIALIZER, .full = 1};

	return fipc_cond_init(&b.filled, FIPC_PRIVATE) == 0 && example(0, &b) == 0 ? 0 : 1;
}
