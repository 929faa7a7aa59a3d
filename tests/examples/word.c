/* SPDX-License-Identifier: Apache-2.0 */
int main(void)
{
	struct box box = {.full = {1}};

	return example(0, 0, &box);
}
