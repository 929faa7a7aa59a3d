/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzed directories: each input says what lies in a tracking directory, byte by byte. It is looked at, encoded as for
 * `Get`, asked who waits, reclaimed from and collected, as root does with what another user has put there.
 *
 * An input is a list of pieces; each is a byte that says which (pieces[], below) and what that piece takes. What is
 * missing at the end is zero. Objects and trackers are copies of real ones, of which single bytes are changed.
 */
#include "encode.h"
#include "fuzz.h"
#include "who.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fipc.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECES_MAX = 32, TEMPLATE_MAX = 1 << 17, TYPES = FIPC_TYPE_MQ, TRACKER = 0, PATH = 512 };

static struct template
{
	uint8_t bytes[TEMPLATE_MAX];
	size_t size;
}
templates[TYPES + 1]; /* by type; the first is a tracker */

static int root; /* the directory */

/* ---- what real ones look like ---- */

static void read_template(const char *path, struct template *ret)
{
	int fd = openat(root, path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	fuzz_must(fd >= 0);
	n = read(fd, ret->bytes, sizeof(ret->bytes));
	fuzz_must(n > 0);
	ret->size = (size_t)n;
	close(fd);
}

static void read_objects(void)
{
	for (int type = FIPC_TYPE_MUTEX; type <= TYPES; type++) {
		char file[PATH];

		snprintf(file, sizeof(file), "a.%s", fipc_type_name((enum fipc_type)type));
		read_template(file, &templates[type]);
	}
}

static void read_tracker(void)
{
	int fd = openat(root, FIPC_TRACKERS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fdopendir(fd);
	struct dirent *e;

	fuzz_must(dir);
	while ((e = readdir(dir)) && e->d_name[0] == '.')
		;
	fuzz_must(e);
	root = fd; /* for a moment */
	read_template(e->d_name, &templates[TRACKER]);
	closedir(dir);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	fipc_mutex *mutex;
	fipc_sem *sem;
	fipc_event *event;
	fipc_cond *cond;
	fipc_rwlock *lock;
	fipc_mq *queue;
	fipc_shm *shm;
	int directory;

	(void)argc, (void)argv;
	directory = open(fuzz_directory(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fuzz_must(directory >= 0);
	root = directory;
	fuzz_must(fipc_mutex_open(&mutex, "a", FIPC_CREATE, 0600) >= 0 && fipc_mutex_lock(mutex) == 0);
	fuzz_must(fipc_sem_open(&sem, "a", 3, FIPC_CREATE | FIPC_OWNED, 0600) >= 0 && fipc_sem_wait(sem) == 0);
	fuzz_must(fipc_event_open(&event, "a", FIPC_CREATE, 0600) >= 0);
	fuzz_must(fipc_cond_open(&cond, "a", FIPC_CREATE, 0600) >= 0);
	fuzz_must(fipc_rwlock_open(&lock, "a", 4, FIPC_CREATE, 0600) >= 0 && fipc_rwlock_rdlock(lock) == 0);
	fuzz_must(fipc_mq_open(&queue, "a", NULL, FIPC_CREATE, 0600) >= 0);
	fuzz_must(fipc_shm_open(&shm, "a", 100, FIPC_CREATE, 0600) >= 0);
	read_objects();
	read_tracker();
	root = directory;
	return 0;
}

/* ---- an input ---- */

struct input {
	const uint8_t *data;
	size_t size;
};

static unsigned take(struct input *in, unsigned bytes)
{
	unsigned n = 0;

	for (unsigned i = 0; i < bytes; i++) {
		n = n << 8 | (in->size > 0 ? *in->data : 0);
		in->data += in->size > 0;
		in->size -= in->size > 0;
	}
	return n;
}

static void take_text(struct input *in, char *ret, size_t size)
{
	size_t length = take(in, 1) % size;

	for (size_t i = 0; i < length; i++) {
		char c = (char)take(in, 1);

		ret[i] = c == '\0' || c == '/' ? '.' : c;
	}
	ret[length] = '\0';
}

/* One of few, so that pieces meet: a.mutex, or what the input says. */
static void take_file(struct input *in, char *ret, size_t size)
{
	unsigned n = take(in, 1);

	if (n % 16 == 15)
		take_text(in, ret, 64);
	else
		snprintf(ret, size, "%c.%s", "ab"[n / 16 % 2], fipc_type_name((enum fipc_type)(1 + n % TYPES)));
}

static int make(const char *path)
{
	return openat(root, path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
}

static uint64_t inode_of(const char *path)
{
	struct stat st;

	return fstatat(root, path, &st, AT_SYMLINK_NOFOLLOW) == 0 ? st.st_ino : 1;
}

/* It may be a FIFO that an earlier piece has put there. */
static void put(int fd, const void *bytes, size_t size)
{
	if (pwrite(fd, bytes, size, 0) < 0)
		fuzz_must(errno == ESPIPE);
}

/* A copy of a real one, cut somewhere, with some bytes changed. */
static void write_copy(struct input *in, int fd, const struct template *template)
{
	static uint8_t bytes[TEMPLATE_MAX];
	unsigned cut = take(in, 2), changes = take(in, 1) % 16;
	size_t size = cut ? cut : template->size;

	memcpy(bytes, template->bytes, sizeof(bytes));
	for (unsigned i = 0; i < changes; i++) {
		size_t at = take(in, 2) % template->size;

		bytes[at] = (uint8_t)take(in, 1);
	}
	put(fd, bytes, size);
}

static void add_object(struct input *in)
{
	char file[PATH];
	int fd;

	take_file(in, file, sizeof(file));
	fd = make(file);
	if (fd < 0)
		return;
	write_copy(in, fd, &templates[1 + take(in, 1) % TYPES]);
	close(fd);
}

static void add_bytes(struct input *in)
{
	char file[PATH], text[256];
	int fd;

	take_file(in, file, sizeof(file));
	fd = make(file);
	take_text(in, text, sizeof(text));
	if (fd < 0)
		return;
	put(fd, text, strlen(text));
	close(fd);
}

static void name_tracker(struct input *in, const char *path, char *ret, size_t size)
{
	uint64_t inode = take(in, 1) % 4 ? inode_of(path) : take(in, 2);

	snprintf(ret, size, FIPC_TRACKERS "/%u-%" PRIu64, take(in, 1), inode);
}

static void add_tracker(struct input *in)
{
	static const char unnamed[] = FIPC_TRACKERS "/x";
	char path[PATH];
	int fd;

	mkdirat(root, FIPC_TRACKERS, 01777);
	fd = make(unnamed);
	if (fd < 0)
		return;
	write_copy(in, fd, &templates[TRACKER]);
	close(fd);
	name_tracker(in, unnamed, path, sizeof(path));
	renameat(root, unnamed, root, path);
}

static void name_entry(struct input *in, const char *file, char *ret, size_t size)
{
	unsigned n = take(in, 1);

	if (n % 4 == 0)
		snprintf(ret, size, "%s.pids/%u.%u.%" PRIu64, file, take(in, 1), take(in, 2), inode_of(file));
	else if (n % 4 == 1)
		snprintf(ret, size, "%s.pids/.meta.%" PRIu64, file, inode_of(file));
	else if (n % 4 == 2)
		snprintf(ret, size, "%s.pids/%u", file, take(in, 1)); /* as Python's */
	else
		take_text(in, ret + snprintf(ret, size, "%s.pids/", file), 64);
}

static void add_entry(struct input *in)
{
	char file[PATH / 2], path[PATH], bytes[256];
	int fd;

	take_file(in, file, sizeof(file));
	snprintf(path, sizeof(path), "%s.pids", file);
	mkdirat(root, path, 01777);
	name_entry(in, file, path, sizeof(path));
	fd = make(path);
	take_text(in, bytes, sizeof(bytes));
	if (fd < 0)
		return;
	put(fd, bytes, strlen(bytes));
	close(fd);
}

/* An entry that is what it should be: a link to a tracker. */
static void add_link(struct input *in)
{
	char file[PATH / 2], path[PATH], tracker[PATH];

	take_file(in, file, sizeof(file));
	snprintf(path, sizeof(path), "%s.pids", file);
	mkdirat(root, path, 01777);
	name_entry(in, file, path, sizeof(path));
	name_tracker(in, FIPC_TRACKERS, tracker, sizeof(tracker));
	linkat(root, tracker, root, path, 0);
}

static int add_sparse(const char *path, unsigned bits)
{
	int fd = make(path), r = fd < 0 ? -1 : ftruncate(fd, INT64_C(1) << bits);

	if (fd >= 0)
		close(fd);
	return r;
}

/* What is there already stays. */
static void add_odd(struct input *in)
{
	unsigned n = take(in, 1);
	char file[PATH / 2], path[PATH];
	int r;

	take_file(in, file, sizeof(file));
	snprintf(path, sizeof(path), "%s%s", file, n & 8 ? ".pids" : "");
	r = n % 4 == 0   ? symlinkat("/dev/null", root, path)
	    : n % 4 == 1 ? mkfifoat(root, path, 0600)
	    : n % 4 == 2 ? mkdirat(root, path, 0700)
			 : add_sparse(path, n / 16 + 30);
	fuzz_must(r == 0 || errno == EEXIST || errno == ENXIO || errno == EISDIR || errno == ELOOP || errno == EINVAL ||
		  errno == ENOENT || errno == EFBIG || errno == EPERM);
}

static void (*const pieces[])(struct input *) = {add_object, add_bytes, add_tracker, add_entry, add_link, add_odd};

/* ---- what is done with it ---- */

static int encode(const struct fipc_object *object, void *who)
{
	json_t *json = fipc_object_to_json(object, "/dir", who, OBJECT_WHOLE);
	char *text;

	fuzz_must(json);
	text = json_dumps(json, JSON_COMPACT);
	fuzz_must(text && *text);
	free(text);
	json_decref(json);
	return 0;
}

static int encode_process(const struct fipc_process *process, void *context)
{
	json_t *json = fipc_process_to_json(process, "/dir");

	(void)context;
	fuzz_must(json);
	json_decref(json);
	return 0;
}

struct trackers {
	char names[PIECES_MAX][32];
	unsigned n;
};

static int note_tracker(const struct fipc_process *process, void *context)
{
	struct trackers *t = context;

	if (t->n < PIECES_MAX)
		snprintf(t->names[t->n++], sizeof(t->names[0]), "%d-%" PRIu64, process->pid, process->tracker);
	return 0;
}

static void look(fipc_registry *r, unsigned flags)
{
	struct who *who;

	fuzz_must(who_look(&who, r) == 0);
	fuzz_must(fipc_registry_walk(r, flags, NULL, encode, who) == 0);
	who_free(who);
	fuzz_must(fipc_registry_processes(r, flags, encode_process, NULL) == 0);
}

static void reclaim(fipc_registry *r)
{
	struct trackers trackers = {.n = 0};

	fuzz_must(fipc_registry_processes(r, 0, note_tracker, &trackers) == 0);
	for (unsigned i = 0; i < trackers.n; i++)
		fuzz_must(fipc_registry_reclaim(r, trackers.names[i], NULL, NULL) >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	fipc_registry *r;

	fuzz_empty_directory();
	for (unsigned i = 0; in.size > 0 && i < PIECES_MAX; i++)
		pieces[take(&in, 1) % (sizeof(pieces) / sizeof(*pieces))](&in);
	fuzz_must(fipc_registry_open(&r, fuzz_directory(), 0) == 0);
	look(r, 0);
	reclaim(r);
	look(r, FIPC_WALK_COLLECT);
	fipc_registry_close(r);
	return 0;
}
