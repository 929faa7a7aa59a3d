/* SPDX-License-Identifier: Apache-2.0 */
/* robust <test> <command>...: run it, if there is a robust list here; else skip it aloud. */
#include "support.h"

#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	if (lacks_robust(argv[1]))
		return SKIPPED;
	execvp(argv[2], argv + 2);
	perror(argv[2]);
	return 1;
}
