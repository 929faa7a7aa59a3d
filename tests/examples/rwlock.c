/* SPDX-License-Identifier: Apache-2.0 */
int main(void)
{
	static uint64_t memory[100];
	fipc_rwlock *l = (fipc_rwlock *)memory;
	struct place p = {0, 0, 0};

	return fipc_rwlock_init(l, sizeof(memory), FIPC_PRIVATE) == 0 && example(l, &p) == 0 && p.sum == 1 ? 0 : 1;
}
