/* SPDX-License-Identifier: Apache-2.0 */
#include "name.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define PIDS ".pids"
#define META ".meta."
#define ALPHABET "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"

static const char *const types[] = {
	[FIPC_TYPE_MUTEX] = "mutex",	[FIPC_TYPE_SEM] = "sem",   [FIPC_TYPE_EVENT] = "event", [FIPC_TYPE_COND] = "cond",
	[FIPC_TYPE_RWLOCK] = "rwlock", [FIPC_TYPE_SHM] = "shm", [FIPC_TYPE_MQ] = "mq",
	[FIPC_TYPE_PY_MUTEX] = "py-mutex", [FIPC_TYPE_PY_SEMA] = "py-sema", [FIPC_TYPE_PY_EVENT] = "py-event",
};

const char *fipc_type_name(enum fipc_type type)
{
	return (size_t)type < sizeof(types) / sizeof(*types) ? types[type] : NULL;
}

int fipc_type_from_name(const char *name)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (types[i] && strcmp(types[i], name) == 0)
			return (int)i;
	return -EINVAL;
}

static bool good(const char *name, size_t length)
{
	return length >= 1 && length <= NAME_LONGEST && *name != '.' && strspn(name, ALPHABET) >= length &&
	       strncmp(name, FIPC_PYTHON_PREFIX, strlen(FIPC_PYTHON_PREFIX)) != 0;
}

int fipc__name_parse(const char *name, char ret[NAME_LONGEST + 1])
{
	size_t length;
	if (*name == '/')
		name++;
	length = strnlen(name, NAME_LONGEST + 1);
	if (!good(name, length))
		return -EINVAL;
	memcpy(ret, name, length + 1);
	return 0;
}

static uint64_t random_number(void)
{
	uint64_t n;
	struct timespec now;
	if (getrandom(&n, sizeof(n), GRND_NONBLOCK) == (ssize_t)sizeof(n))
		return n;
	/* Early at boot. It need not be a secret: a name that is taken is tried again. */
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_nsec << 32 ^ (uint64_t)now.tv_sec << 16 ^ (uint64_t)getpid();
}

void fipc__name_random(char ret[NAME_LONGEST + 1])
{
	snprintf(ret, NAME_LONGEST + 1, "fipc-%016" PRIx64, random_number());
}

/* Every open and close makes five names: by hand, for printf costs as much as a system call. Lengths were checked. */
static char *put(char *at, const char *text)
{
	size_t length = strlen(text);
	memcpy(at, text, length + 1);
	return at + length;
}

static char *put_number(char *at, uint64_t n)
{
	char digits[24], *p = digits + sizeof(digits) - 1;
	*p = '\0';
	do
		*--p = (char)('0' + n % 10);
	while ((n /= 10) > 0);
	return put(at, p);
}

/* With the slash; nothing for a bare name. */
static char *put_directory(char *at, const char *file)
{
	const char *slash = file ? strrchr(file, '/') : NULL;
	size_t length = slash ? (size_t)(slash + 1 - file) : 0;
	memcpy(at, file ? file : "", length);
	at[length] = '\0';
	return at + length;
}

void fipc__name_unfinished(char ret[PATH_SIZE_MAX], const char *file)
{
	char *at = put_directory(ret, file);
	snprintf(at, 64, UNFINISHED "%d-%016" PRIx64, (int)getpid(), random_number());
}

void fipc__name_directory(char ret[PATH_SIZE_MAX], const char *file)
{
	put(put_directory(ret, file), ".");
}

void fipc__name_file(char ret[PATH_SIZE_MAX], const char *directory, const char *name, enum fipc_type type)
{
	char *at = directory ? put(put(ret, directory), "/") : ret;
	put(put(put(at, name), "."), fipc_type_name(type));
}

void fipc__name_pids(char ret[PIDS_SIZE_MAX], const char *file)
{
	put(put(ret, file), PIDS);
}

void fipc__name_tracker(char ret[PATH_SIZE_MAX], const char *file, const char *tracker)
{
	put(put(put_directory(ret, file), FIPC_TRACKERS "/"), tracker);
}

void fipc__name_entry(char ret[ENTRY_SIZE_MAX], const char *file, uint64_t pid, uint64_t tracker, uint64_t object)
{
	char *at = put_number(put(put(ret, file), PIDS "/"), pid);
	put_number(put(put_number(put(at, "."), tracker), "."), object);
}

void fipc__name_meta(char ret[META_SIZE_MAX], uint64_t object)
{
	put_number(put(ret, META), object);
}

int fipc__name_of_file(const char *file, size_t *ret_length)
{
	const char *dot = strrchr(file, '.');
	int type = dot ? fipc_type_from_name(dot + 1) : -EINVAL;
	if (type < 0 || fipc_type_is_python((enum fipc_type)type) || !good(file, (size_t)(dot - file)))
		return -EINVAL;
	*ret_length = (size_t)(dot - file);
	return type;
}

bool fipc__name_is_pids(const char *file, size_t *ret_length)
{
	size_t length = strlen(file);
	if (length <= strlen(PIDS) || strcmp(file + length - strlen(PIDS), PIDS) != 0)
		return false;
	*ret_length = length - strlen(PIDS);
	return true;
}

/* Digits up to `end`; moves *at behind it. */
static bool number(const char **at, char end, uint64_t *ret)
{
	char *stop;
	if (**at < '0' || **at > '9')
		return false;
	errno = 0;
	*ret = strtoull(*at, &stop, 10);
	if (errno || *stop != end)
		return false;
	*at = stop + 1;
	return true;
}

bool fipc__name_of_entry(const char *entry, int32_t *ret_pid, uint64_t *ret_tracker, uint64_t *ret_object)
{
	uint64_t pid;
	if (!number(&entry, '.', &pid) || pid > INT32_MAX || !number(&entry, '.', ret_tracker) ||
	    !number(&entry, '\0', ret_object))
		return false;
	*ret_pid = (int32_t)pid;
	return true;
}

bool fipc__name_of_meta(const char *entry, uint64_t *ret_object)
{
	if (strncmp(entry, META, strlen(META)) != 0)
		return false;
	entry += strlen(META);
	return number(&entry, '\0', ret_object);
}
