/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <ftw.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[] = "/dev/shm/fipc-fuzz.XXXXXX";
static bool made;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st, (void)type;
	return at->level > 0 ? remove(path) : 0;
}

void fuzz_empty_directory(void)
{
	fuzz_must(nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0);
}

static void remove_directory(void)
{
	fuzz_empty_directory();
	rmdir(directory);
}

const char *fuzz_directory(void)
{
	if (!made) {
		fuzz_must(mkdtemp(directory) && chmod(directory, 0755) == 0);
		fuzz_must(setenv("FIPC_DIR", directory, 1) == 0 && atexit(remove_directory) == 0);
		made = true;
	}
	return directory;
}
