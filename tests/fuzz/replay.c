/* SPDX-License-Identifier: Apache-2.0 */
/* <target> <directory>: each input that is kept there, once, without libFuzzer. */
#include "fuzz.h"

#include <dirent.h>
#include <limits.h>

static void replay(const char *path)
{
	static uint8_t data[1 << 20];
	FILE *f = fopen(path, "re");
	size_t n;

	fuzz_must(f);
	n = fread(data, 1, sizeof(data), f);
	fuzz_must(feof(f) && !ferror(f));
	fclose(f);
	printf("%s\n", path);
	fflush(stdout);
	LLVMFuzzerTestOneInput(data, n);
}

int main(int argc, char **argv)
{
	DIR *dir = argc == 2 ? opendir(argv[1]) : NULL;
	int replayed = 0;

	fuzz_must(dir);
	LLVMFuzzerInitialize(&argc, &argv);
	for (struct dirent *e; (e = readdir(dir));) {
		char path[PATH_MAX];

		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", argv[1], e->d_name);
		replay(path);
		replayed++;
	}
	closedir(dir);
	fuzz_must(replayed > 0);
	exit(0);
}
