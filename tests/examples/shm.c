/* SPDX-License-Identifier: Apache-2.0 */
int main(void)
{
	return example(0, NULL) == 0 ? 0 : 1;
}
