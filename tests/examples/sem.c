/* SPDX-License-Identifier: Apache-2.0 */
static int converted;

void convert(int file)
{
	converted = file;
}

int main(void)
{
	return example(7) == 0 && converted == 7 ? 0 : 1;
}
