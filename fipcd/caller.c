/* SPDX-License-Identifier: Apache-2.0 */
#include "caller.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OVERFLOW_ID = 65534 };

static int get_groups(struct caller *caller, int fd)
{
	socklen_t size = 0;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &size) == 0)
		return 0; /* none */
	if (errno != ERANGE)
		return -errno;
	gid_t *groups = malloc(size);
	if (!groups)
		return -ENOMEM;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0) {
		free(groups);
		return -errno;
	}
	caller->groups = groups;
	caller->n_groups = size / sizeof(*groups);
	return 0;
}

int caller_from_socket(struct caller *ret, int fd)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return -errno;
	struct caller caller = {.uid = peer.uid, .gid = peer.gid, .pid = peer.pid};
	int r = get_groups(&caller, fd);
	if (r < 0)
		return r;
	*ret = caller;
	return 0;
}

void caller_done(struct caller *caller)
{
	free(caller->groups);
	caller->groups = NULL;
}

bool caller_is_privileged(const struct caller *caller)
{
	return caller->uid == 0 || caller_owns(caller, geteuid());
}

bool caller_owns(const struct caller *caller, uid_t uid)
{
	return caller->uid == uid && uid != OVERFLOW_ID;
}

static bool in_group(const struct caller *caller, gid_t gid)
{
	if (gid == OVERFLOW_ID)
		return false;
	if (caller->gid == gid)
		return true;
	for (size_t i = 0; i < caller->n_groups; i++)
		if (caller->groups[i] == gid)
			return true;
	return false;
}

/* bits: of the "other" class. As the kernel: the first class that fits decides, even if a later one grants more. */
static bool may(const struct caller *caller, uid_t uid, gid_t gid, mode_t mode, mode_t bits)
{
	if (caller_is_privileged(caller))
		return true;
	if (caller_owns(caller, uid))
		return (mode >> 6 & bits) == bits;
	if (in_group(caller, gid))
		return (mode >> 3 & bits) == bits;
	return (mode & bits) == bits;
}

bool caller_reads(const struct caller *caller, uid_t uid, gid_t gid, mode_t mode)
{
	return caller_owns(caller, uid) || may(caller, uid, gid, mode, S_IROTH);
}

static bool may_use(const struct caller *caller, const char *path, mode_t bits)
{
	struct stat st;
	return stat(path, &st) == 0 && may(caller, st.st_uid, st.st_gid, st.st_mode, bits);
}

bool caller_lists(const struct caller *caller, const char *dir)
{
	char path[PATH_MAX];
	if (caller_is_privileged(caller))
		return true;
	if (strlen(dir) >= sizeof(path) || !may_use(caller, dir, S_IROTH | S_IXOTH))
		return false;
	strcpy(path, dir);
	for (char *slash; (slash = strrchr(path, '/')) && slash != path;) {
		*slash = 0;
		if (!may_use(caller, path, S_IXOTH))
			return false;
	}
	return may_use(caller, "/", S_IXOTH);
}
