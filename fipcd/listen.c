/* SPDX-License-Identifier: Apache-2.0 */
#include "listen.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

enum { SOCKET_MODE = 0666, BACKLOG = 128 };

static int take_over(struct listener *ret, int n)
{
	int fd = SD_LISTEN_FDS_START;
	if (n > 1 || sd_is_socket_unix(fd, SOCK_STREAM, 1, NULL, 0) <= 0) {
		log_event(LOG_ERR, NULL, "handed over: %d file descriptors; fipcd takes one listening Unix stream socket", n);
		return -EINVAL;
	}
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	*ret = (struct listener){.fd = fd, .activated = true};
	return 0;
}

static int bind_socket(int fd, const struct sockaddr_un *address)
{
	mode_t old = umask(0777 & ~SOCKET_MODE);
	int r = bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? -errno : 0;
	umask(old);
	return r;
}

/* Returns 1 if somebody serves there, 0 if nobody does, or a negative errno. */
static int is_served(const struct sockaddr_un *address)
{
	struct stat st;
	if (lstat(address->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -ENOTSOCK;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	int r = connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? -errno : 0;
	close(fd);
	switch (r) {
	case 0:
	case -EAGAIN: /* its queue is full */
		return 1;
	case -ECONNREFUSED:
	case -ENOENT:
		return 0;
	}
	return r;
}

/* Of two that find the same stale socket, the later one would remove the earlier one's: so one at a time. */
static int lock_parent(const char *path)
{
	char parent[sizeof(((struct sockaddr_un *)0)->sun_path)];
	strcpy(parent, path);
	char *slash = strrchr(parent, '/');
	if (slash)
		slash[slash == parent] = 0;
	int fd = open(slash ? parent : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		int r = errno == EWOULDBLOCK ? -EADDRINUSE : -errno;
		close(fd);
		return r;
	}
	return fd;
}

static int replace_stale(int fd, const struct sockaddr_un *address)
{
	int lock = lock_parent(address->sun_path);
	if (lock < 0)
		return lock;
	int r = is_served(address);
	if (r > 0)
		r = -EADDRINUSE;
	if (r == 0 && unlink(address->sun_path) < 0 && errno != ENOENT)
		r = -errno;
	if (r == 0)
		r = bind_socket(fd, address);
	if (r == 0 && listen(fd, BACKLOG) < 0)
		r = -errno;
	close(lock);
	return r;
}

static int make(struct listener *ret, const struct sockaddr_un *address)
{
	struct stat st;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	int r = replace_stale(fd, address);
	if (r == 0 && stat(address->sun_path, &st) < 0)
		r = -errno;
	if (r < 0) {
		close(fd);
		return r;
	}
	*ret = (struct listener){.fd = fd, .device = st.st_dev, .inode = st.st_ino};
	return 0;
}

static const char *way_out(int error)
{
	switch (error) {
	case -EADDRINUSE:
		return "somebody serves there already: end it, or choose another path with --socket";
	case -ENOTSOCK:
		return "it exists and is no socket: remove it, or choose another path with --socket";
	case -ENOENT:
		return "its directory is missing: make it, or choose another path with --socket";
	case -EACCES:
	case -EPERM:
	case -EROFS:
		return "no permission: run as root, or choose another path with --socket";
	}
	return strerror(-error);
}

int listener_open(struct listener *ret, const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int n = sd_listen_fds(1);
	if (n > 0)
		return take_over(ret, n);
	if (strlen(path) >= sizeof(address.sun_path)) {
		log_event(LOG_ERR, NULL, "%s: a socket's path has at most %zu bytes", path, sizeof(address.sun_path) - 1);
		return -ENAMETOOLONG;
	}
	strcpy(address.sun_path, path);
	int r = make(ret, &address);
	if (r < 0)
		log_event(LOG_ERR, NULL, "%s: %s", path, way_out(r));
	else
		ret->path = path;
	return r;
}

void listener_remove(const struct listener *listener)
{
	struct stat st;
	if (listener->path && lstat(listener->path, &st) == 0 && st.st_dev == listener->device &&
	    st.st_ino == listener->inode)
		unlink(listener->path);
}
