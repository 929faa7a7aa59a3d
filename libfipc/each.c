/* SPDX-License-Identifier: Apache-2.0 */
#include "each.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

int fipc__each_name(int fd, each_fn visit, void *context)
{
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	int r = 0;
	if (!dir) {
		r = fd < 0 ? fd : -errno;
		if (fd >= 0)
			close(fd);
		return r;
	}
	while (r == 0 && (errno = 0, e = readdir(dir)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			r = visit(fd, e, context);
	if (r == 0)
		r = -errno;
	closedir(dir);
	return r;
}
