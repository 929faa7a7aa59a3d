/* SPDX-License-Identifier: Apache-2.0 */
int main(void)
{
	struct account a = {.lock = FIPC_MUTEX_INITIALIZER};

	return example(&a, 5) == 0 && a.balance == 5 && a.total == 5 ? 0 : 1;
}
