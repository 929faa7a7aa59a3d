/* SPDX-License-Identifier: Apache-2.0 */
int main(void)
{
	struct pair p = {.lock = FIPC_MUTEX_INITIALIZER};

	return example(&p) == 0 && p.half == 1 && p.whole == 2 ? 0 : 1;
}
