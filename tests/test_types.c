/* SPDX-License-Identifier: Apache-2.0 */
/* An object of every type, used by real processes: how an operator sees it, and what is reclaimed after a kill. */
#include "fipcctl_support.h"
#include "interface_support.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

enum { FRAME = 5000, SLOTS = 8, MESSAGE = 64 };

static const struct fipc_mq_attr ten = {10, MESSAGE}, single = {1, MESSAGE};

/* ---- processes that use them ---- */

struct actor {
	const char *comm;
	void (*act)(void);
	bool sleeps; /* in the end, on an object; else it waits to be killed */
	pid_t pid;
	struct gate ready;
};

static struct actor *me; /* in an actor */

static void be_actor(void *argument)
{
	struct gate never;

	me = argument;
	prctl(PR_SET_NAME, me->comm);
	gate_make(&never);
	me->act();
	if (me->sleeps)
		return;
	gate_open(&me->ready);
	while (gate_try(&never, PATIENCE_MS) == 0)
		;
}

static void enter(struct actor *a)
{
	gate_make(&a->ready);
	a->pid = start(be_actor, a);
	gate_pass(&a->ready);
	if (a->sleeps)
		await(asleep_in_futex(a->pid));
}

static void enter_all(struct actor *cast, size_t n)
{
	for (size_t i = 0; i < n; i++)
		enter(&cast[i]);
}

static void load(void)
{
	const struct sigevent tell_nobody = {.sigev_notify = SIGEV_NONE};
	fipc_mutex *ledger;
	fipc_sem *tickets, *convert;
	fipc_event *loaded, *bell;
	fipc_cond *filled;
	fipc_rwlock *routes, *zones;
	fipc_shm *frame;
	fipc_mq *jobs, *empty, *full;

	must_be(fipc_mutex_open(&ledger, "ledger", FIPC_CREATE | FIPC_TIMESTAMPS, 0600), FIPC_CREATED);
	must_be(fipc_mutex_lock(ledger), 0);
	must_be(fipc_sem_open(&tickets, "tickets", 2, FIPC_CREATE, 0600), FIPC_CREATED);
	must_be(fipc_sem_wait(tickets), 0);
	must_be(fipc_sem_open(&convert, "convert", 3, FIPC_CREATE | FIPC_OWNED, 0600), FIPC_CREATED);
	must_be(fipc_sem_wait(convert), 0);
	must_be(fipc_sem_wait(convert), 0);
	must_be(fipc_event_open(&loaded, "loaded", FIPC_CREATE, 0600), FIPC_CREATED);
	must_be(fipc_event_open(&bell, "bell", FIPC_CREATE | FIPC_AUTORESET | FIPC_PERSIST, 0600), FIPC_CREATED);
	must_be(fipc_event_set(bell), 0);
	must_be(fipc_cond_open(&filled, "filled", FIPC_CREATE, 0600), FIPC_CREATED);
	must_be(fipc_rwlock_open(&routes, "routes", SLOTS, FIPC_CREATE, 0600), FIPC_CREATED);
	must_be(fipc_rwlock_rdlock(routes), 0);
	must_be(fipc_rwlock_open(&zones, "zones", SLOTS, FIPC_CREATE, 0600), FIPC_CREATED);
	must_be(fipc_rwlock_wrlock(zones), 0);
	must_be(fipc_shm_open(&frame, "frame", FRAME, FIPC_CREATE | FIPC_PERSIST, 0600), FIPC_CREATED);
	must_be(fipc_mq_open(&jobs, "jobs", &ten, FIPC_CREATE, 0600), FIPC_CREATED);
	must_be(fipc_mq_send(jobs, "a", 1, 1, FIPC_NOW), 0);
	must_be(fipc_mq_send(jobs, "b", 1, 1, FIPC_NOW), 0);
	must_be(fipc_mq_notify(jobs, &tell_nobody), 0);
	must_be(fipc_mq_open(&empty, "empty", &ten, FIPC_CREATE, 0600), FIPC_CREATED);
	must_be(fipc_mq_open(&full, "full", &single, FIPC_CREATE, 0600), FIPC_CREATED);
	must_be(fipc_mq_send(full, "a", 1, 1, FIPC_NOW), 0);
}

static void convert(void)
{
	fipc_sem *convert;
	fipc_rwlock *routes;

	must_be(fipc_sem_open(&convert, "convert", 0, 0, 0), 0);
	must_be(fipc_sem_wait(convert), 0);
	must_be(fipc_rwlock_open(&routes, "routes", 1, 0, 0), 0);
	must_be(fipc_rwlock_rdlock(routes), 0);
}

static void sleep_on_mutex(void)
{
	fipc_mutex *m;

	must_be(fipc_mutex_open(&m, "ledger", 0, 0), 0);
	gate_open(&me->ready);
	must_be(fipc_mutex_lock(m), 0);
	must_be(fipc_mutex_unlock(m), 0);
}

static void sleep_on_sem(const char *name)
{
	fipc_sem *s;

	must_be(fipc_sem_open(&s, name, 0, 0, 0), 0);
	gate_open(&me->ready);
	must_be(fipc_sem_wait(s), 0);
}

static void sleep_on_tickets(void)
{
	sleep_on_sem("tickets");
}

static void sleep_on_convert(void)
{
	sleep_on_sem("convert");
}

static void sleep_on_event(void)
{
	fipc_event *e;

	must_be(fipc_event_open(&e, "loaded", 0, 0), 0);
	gate_open(&me->ready);
	must_be(fipc_event_wait(e), 0);
}

/* What one waits for, beyond a signal, is nobody's here: it is a round of one wait, or of more. */
static void sleep_on_cond(void)
{
	static fipc_mutex lock = FIPC_MUTEX_INITIALIZER;
	fipc_cond *c;
	struct fipc_cond_info info = {.signals = 0};

	must_be(fipc_cond_open(&c, "filled", 0, 0), 0);
	must_be(fipc_mutex_lock(&lock), 0);
	gate_open(&me->ready);
	while (info.signals == 0) {
		must_be(fipc_cond_wait(c, &lock), 0);
		must_be(fipc_cond_info(c, &info, sizeof(info)), 0);
	}
	must_be(fipc_mutex_unlock(&lock), 0);
}

static void sleep_to_write(void)
{
	fipc_rwlock *l;

	must_be(fipc_rwlock_open(&l, "routes", 1, 0, 0), 0);
	gate_open(&me->ready);
	must_be(fipc_rwlock_wrlock(l), 0);
	must_be(fipc_rwlock_unlock(l), 0);
}

static void sleep_to_read(void)
{
	fipc_rwlock *l;

	must_be(fipc_rwlock_open(&l, "zones", 1, 0, 0), 0);
	gate_open(&me->ready);
	must_be(fipc_rwlock_rdlock(l), 0);
	must_be(fipc_rwlock_unlock(l), 0);
}

static void sleep_to_receive(void)
{
	char message[MESSAGE];
	fipc_mq *q;

	must_be(fipc_mq_open(&q, "empty", NULL, 0, 0), 0);
	gate_open(&me->ready);
	must_be(fipc_mq_receive(q, message, sizeof(message), NULL, FIPC_FOREVER), 1);
}

static void sleep_to_send(void)
{
	fipc_mq *q;

	must_be(fipc_mq_open(&q, "full", NULL, 0, 0), 0);
	gate_open(&me->ready);
	must_be(fipc_mq_send(q, "b", 1, 0, FIPC_FOREVER), 0);
}

/* ---- a scene ---- */

static struct actor cast[] = {
	{.comm = "loader", .act = load},
	{.comm = "converter", .act = convert},
	{.comm = "locker", .act = sleep_on_mutex, .sleeps = true},
	{.comm = "taker", .act = sleep_on_convert, .sleeps = true},
	{.comm = "starter", .act = sleep_on_event, .sleeps = true},
	{.comm = "waiter", .act = sleep_on_cond, .sleeps = true},
	{.comm = "writer", .act = sleep_to_write, .sleeps = true},
	{.comm = "reader", .act = sleep_to_read, .sleeps = true},
	{.comm = "receiver", .act = sleep_to_receive, .sleeps = true},
	{.comm = "sender", .act = sleep_to_send, .sleeps = true},
};

static void play(void)
{
	names();
	enter_all(cast, COUNT(cast));
}

static pid_t pid_of(const char *comm, size_t length)
{
	for (size_t i = 0; i < COUNT(cast); i++)
		if (strlen(cast[i].comm) == length && !strncmp(cast[i].comm, comm, length))
			return cast[i].pid;
	must(!"an actor");
	return 0;
}

/* What was written with @comm for a pid and $ for our uid. */
static const char *with_pids(const char *text)
{
	static char full[4000];
	size_t used = 0;

	while (*text && used < sizeof(full) - 20) {
		size_t length = strspn(text + 1, "abcdefghijklmnopqrstuvwxyz");

		if (*text == '@')
			used += (size_t)snprintf(full + used, 20, "%d", pid_of(text + 1, length));
		else if (*text == '$')
			used += (size_t)snprintf(full + used, 20, "%u", getuid());
		else
			full[used++] = *text;
		text += *text == '@' ? 1 + length : 1;
	}
	full[used] = '\0';
	return full;
}

IN_CHILD(list_says_what_matters_of_each_type)
{
	play();
	fipcctl(DONE, "list");
	must_print(with_pids("NAME TYPE STATE DETAIL OWNER WAITERS ATTACHED DEAD UID\n"
			     "bell event set - - 0 1 0 $\n"
			     "convert sem exhausted 0 free, 2 holders - 1 3 0 $\n"
			     "empty mq empty 0/10 messages - 1 2 0 $\n"
			     "filled cond awaited - - 1 2 0 $\n"
			     "frame shm filled 5000 bytes - - 1 0 $\n"
			     "full mq full 1/1 messages - 1 2 0 $\n"
			     "jobs mq queued 2/10 messages - 0 1 0 $\n"
			     "ledger mutex held - @loader 1 2 0 $\n"
			     "loaded event clear - - 1 2 0 $\n"
			     "routes rwlock read 2/8 readers - 1 3 0 $\n"
			     "tickets sem available 1 free - 0 1 0 $\n"
			     "zones rwlock written 0/8 readers @loader 1 2 0 $\n"));
	must_be(*told.err, '\0');
}

static bool goes_without_saying(const char *line)
{
	static const char *const vary[] = {"Owner", "Held for", "Permissions", "Created", "Directory"};

	for (size_t i = 0; i < COUNT(vary); i++)
		if (!strncmp(line, vary[i], strlen(vary[i])))
			return true;
	return false;
}

/* Take away the lines that differ from run to run. */
static void drop_varying(char *text)
{
	char *to = text, *from = text;

	while (*from) {
		size_t length = strcspn(from, "\n") + 1;

		if (!goes_without_saying(from)) {
			memmove(to, from, length);
			to += length;
		}
		from += length;
	}
	*to = '\0';
}

#define SLEEPERS "SLEEPER THREAD UID COMM WANTS SLEEPS TIMED"
static const struct {
	const char *name, *record;
	const char *rows[12]; /* in any order */
} shown[] = {
	{"ledger",
	 "ledger.mutex\nState held by process @loader (loader)\nWaiters 1\nAcquired 1, of which 0 after waiting\n"
	 "Died inside 0\nFlags timestamps\nAttached 2 alive, 0 dead, 0 unknown\n",
	 {"PID LIFE UID COMM OBJECT", "@loader alive $ loader this", "@locker alive $ locker this", "",
	  SLEEPERS, "@locker @locker $ locker lock T s -"}},
	{"tickets",
	 "tickets.sem\nState available\nTokens 1 free\nLast taken by process @loader (loader)\nWaiters 0\n"
	 "Attached 1 alive, 0 dead, 0 unknown\n",
	 {"PID LIFE UID COMM OBJECT", "@loader alive $ loader this"}},
	{"convert",
	 "convert.sem\nState exhausted\nTokens 0 free; processes that have some: 2\n"
	 "Last taken by process @converter (converter)\n"
	 "Waiters 1\nFlags owned\nAttached 3 alive, 0 dead, 0 unknown\n",
	 {"HOLDER TOKENS COMM", "@loader 2 loader", "@converter 1 converter", "", "PID LIFE UID COMM OBJECT",
	  "@loader alive $ loader this", "@converter alive $ converter this", "@taker alive $ taker this", "", SLEEPERS,
	  "@taker @taker $ taker wake T s -"}},
	{"loaded",
	 "loaded.event\nState clear\nWaiters 1\nTimes set 0\nAttached 2 alive, 0 dead, 0 unknown\n",
	 {"PID LIFE UID COMM OBJECT", "@loader alive $ loader this", "@starter alive $ starter this", "", SLEEPERS,
	  "@starter @starter $ starter wake T s -"}},
	{"bell",
	 "bell.event\nState set\nWaiters 0\nTimes set 1\nFlags persistent,autoreset\n"
	 "Attached 1 alive, 0 dead, 0 unknown\n",
	 {"PID LIFE UID COMM OBJECT", "@loader alive $ loader this"}},
	{"filled",
	 "filled.cond\nState awaited\nWaiters 1\nSignals 0\nAttached 2 alive, 0 dead, 0 unknown\n",
	 {"PID LIFE UID COMM OBJECT", "@loader alive $ loader this", "@waiter alive $ waiter this", "", SLEEPERS,
	  "@waiter @waiter $ waiter wake T s -"}},
	{"routes",
	 "routes.rwlock\nState read\nReaders 2 of at most 8\nWaiters 1\n"
	 "Acquired 2 times to read, 0 to write; 0 of these after waiting\nDied inside 0 writing, 0 reading\n"
	 "Attached 3 alive, 0 dead, 0 unknown\n",
	 {"READER THREAD UID COMM", "@loader @loader $ loader", "@converter @converter $ converter", "",
	  SLEEPERS, "@writer @writer $ writer readers T s -", "",
	  "PID LIFE UID COMM OBJECT", "@loader alive $ loader this", "@converter alive $ converter this",
	  "@writer alive $ writer this"}},
	{"zones",
	 "zones.rwlock\nState written by process @loader (loader)\nReaders 0 of at most 8\nWaiters 1\n"
	 "Acquired 0 times to read, 1 to write; 0 of these after waiting\nDied inside 0 writing, 0 reading\n"
	 "Attached 2 alive, 0 dead, 0 unknown\n",
	 {"PID LIFE UID COMM OBJECT", "@loader alive $ loader this", "@reader alive $ reader this", "", SLEEPERS,
	  "@reader @reader $ reader read T s -"}},
	{"frame",
	 "frame.shm\nState filled\nContents 5000 bytes; 8192 bytes of memory\nFlags persistent\n"
	 "Attached 1 alive, 0 dead, 0 unknown\n",
	 {"PID LIFE UID COMM OBJECT", "@loader alive $ loader this"}},
	{"jobs",
	 "jobs.mq\nState queued\nMessages 2 of at most 10, of up to 64 bytes each\nPassed on 2 sent, 0 received\n"
	 "Waiters 0 to receive, 0 to send\nNotifies process @loader (loader)\nAttached 1 alive, 0 dead, 0 unknown\n",
	 {"PID LIFE UID COMM OBJECT", "@loader alive $ loader this"}},
	{"empty",
	 "empty.mq\nState empty\nMessages 0 of at most 10, of up to 64 bytes each\nPassed on 0 sent, 0 received\n"
	 "Waiters 1 to receive, 0 to send\nAttached 2 alive, 0 dead, 0 unknown\n",
	 {"PID LIFE UID COMM OBJECT", "@loader alive $ loader this", "@receiver alive $ receiver this", "", SLEEPERS,
	  "@receiver @receiver $ receiver wake T s -"}},
	{"full",
	 "full.mq\nState full\nMessages 1 of at most 1, of up to 64 bytes each\nPassed on 1 sent, 0 received\n"
	 "Waiters 0 to receive, 1 to send\nAttached 2 alive, 0 dead, 0 unknown\n",
	 {"PID LIFE UID COMM OBJECT", "@loader alive $ loader this", "@sender alive $ sender this", "", SLEEPERS,
	  "@sender @sender $ sender wake T s -"}},
};

static void must_have_rows(const char *text, const char *const *rows, int max)
{
	int n = 0;

	for (; n < max && rows[n]; n++) {
		char line[200];

		snprintf(line, sizeof(line), "\n%s\n", with_pids(rows[n]));
		must_say(text, line);
	}
	must_be(lines(text), n + 1);
}

IN_CHILD(show_tells_who_has_it)
{
	play();
	for (size_t i = 0; i < COUNT(shown); i++) {
		char rows[2000], wanted[1000], *end;

		fipcctl(DONE, "show %", shown[i].name);
		squeeze(told.out);
		drop_varying(told.out);
		hide_times(told.out);
		end = strstr(told.out, "\n\n");
		must(end != NULL);
		snprintf(rows, sizeof(rows), "%s", end + 1);
		end[1] = '\0';
		snprintf(wanted, sizeof(wanted), "%sVerdict stays: a live process has it\n", with_pids(shown[i].record));
		must_print_exactly(wanted);
		must_have_rows(rows, shown[i].rows, COUNT(shown[i].rows));
	}
	fipcctl(DONE, "show ledger");
	must_say(told.out, "Held for ");
}

IN_CHILD(fipcd_says_the_same)
{
	struct service service = {0};

	play();
	service_start(&service);
	same_through(&service, "list");
	same_through(&service, "list --json");
	same_through(&service, "show convert"); /* made of the same JSON */
	service_stop(&service);
}

/* ---- the JSON and the interface's text ---- */

/* Each field of a state is one that some type has. */
static void must_all_be_used(const json_t *objects)
{
	struct declared type;
	bool used[COUNT(type.fields)] = {false};
	const json_t *object;
	const char *key;
	json_t *member;
	size_t i;

	find_type("State", &type);
	json_array_foreach((json_t *)objects, i, object) {
		json_object_foreach(json_object_get(object, "state"), key, member)
			used[find_field(&type, key)] = true;
	}
	for (int f = 0; f < type.n; f++) {
		if (!used[f])
			fprintf(stderr, "in the interface, but nowhere seen: %s\n", type.fields[f].name);
		must(used[f]);
	}
}

/* Python's fastipc: its segments, and the directories of their entries. */
static const struct {
	const char *kind;
	uint32_t bytes[16];
} python[] = {
	{"mutex", {[2] = 1, [3] = 1, [5] = 1}}, /* held by process 1 since 4.3 s after the epoch */
	{"sema", {[2] = 2}},
	{"event", {1}},
};

static const char *python_name(size_t i)
{
	static char name[100];

	snprintf(name, sizeof(name), FIPC_PYTHON_PREFIX "%s_%s", python[i].kind, strrchr(test_dir(), '/') + 1);
	return name;
}

static int clean_python(void **state)
{
	char path[200];

	(void)state;
	for (size_t i = 0; i < COUNT(python); i++) {
		snprintf(path, sizeof(path), FIPC_PYTHON_DIR "/%s", python_name(i));
		unlink(path);
	}
	return 0;
}

static void leave_python(void)
{
	for (size_t i = 0; i < COUNT(python); i++) {
		char path[200];
		int fd;

		snprintf(path, sizeof(path), FIPC_PYTHON_DIR "/%s", python_name(i));
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600); /* and stays open: whoever collects here leaves it alone */
		must_be(write(fd, python[i].bytes, sizeof(python[i].bytes)), sizeof(python[i].bytes));
		snprintf(path, sizeof(path), "%s/%s.pids", names(), python_name(i));
		must_be(mkdir(path, 0755), 0);
	}
}

IN_CHILD(json_is_as_the_interface_says)
{
	json_t *value;

	play();
	leave_python();
	fipcctl(DONE, "list --json");
	value = answer("objects");
	must_be(json_array_size(value), COUNT(shown) + COUNT(python));
	must_be_of("[]Object", value);
	must_all_be_used(value);
	json_decref(value);
	fipcctl(DONE, "show convert --json");
	value = answer("object");
	must_be_of("Object", value);
	json_decref(value);
	fipcctl(DONE, "ps --json");
	value = answer("processes");
	must_be(json_array_size(value), COUNT(cast));
	must_be_of("[]Process", value);
	json_decref(value);
}

/* ---- killed ---- */

static void unlink_persistent(void)
{
	must_be(fipc_event_unlink("bell"), 0);
	must_be(fipc_shm_unlink("frame"), 0);
}

IN_CHILD(gc_takes_all_types)
{
	play();
	for (size_t i = COUNT(cast); i-- > 0;)
		murder(cast[i].pid);
	fipcctl(DONE, "list --no-headings -o NAME,STATE,WAITERS,ATTACHED,DEAD,RECLAIM");
	must_print("bell set 0 0 1 persistent\n"
		   "convert available 0 0 3 unused\n"
		   "empty empty 0 0 2 unused\n"
		   "filled idle 0 0 2 unused\n"
		   "frame filled - 0 1 persistent\n"
		   "full full 0 0 2 unused\n"
		   "jobs queued 0 0 1 unused\n"
		   "ledger owner-died 0 0 2 unused\n"
		   "loaded clear 0 0 2 unused\n"
		   "routes free 0 0 3 unused\n"
		   "tickets available 0 0 1 unused\n"
		   "zones owner-died 0 0 2 unused\n");
	fipcctl(DONE, "list --no-headings -o NAME,DETAIL --type sem");
	must_print("convert 3 free, 0 holders\ntickets 1 free\n");
	fipcctl(DONE, "show jobs");
	must(!strstr(told.out, "Notifies"));
	fipcctl(DONE, "gc --dry-run");
	must_say(told.err, "would remove 10 objects and 22 entries of dead processes; 2 stay\n");
	fipcctl(DONE, "gc");
	must_say(told.err, "removed 10 objects and 22 entries of dead processes; 2 stay\n");
	fipcctl(DONE, "list --no-headings -o NAME,TYPE,ATTACHED,DEAD");
	must_print("bell event 0 0\nframe shm 0 0\n");
	unlink_persistent();
	must(is_clean(names(), 1));
}

struct all {
	fipc_mutex *mutex;
	fipc_sem *sem, *owned;
	fipc_event *event;
	fipc_cond *cond;
	fipc_rwlock *written, *read;
	fipc_shm *shm;
	fipc_mq *empty, *full;
};
enum { ALL = 10 };

/* The names are those that the sleepers sleep on. */
static void open_all(struct all *ret, unsigned flags, int wanted)
{
	must_be(fipc_mutex_open(&ret->mutex, "ledger", flags, 0600), wanted);
	must_be(fipc_sem_open(&ret->sem, "tickets", 0, flags, 0600), wanted);
	must_be(fipc_sem_open(&ret->owned, "convert", 2, flags | FIPC_OWNED, 0600), wanted);
	must_be(fipc_event_open(&ret->event, "loaded", flags, 0600), wanted);
	must_be(fipc_cond_open(&ret->cond, "filled", flags, 0600), wanted);
	must_be(fipc_rwlock_open(&ret->written, "zones", SLOTS, flags, 0600), wanted);
	must_be(fipc_rwlock_open(&ret->read, "routes", SLOTS, flags, 0600), wanted);
	must_be(fipc_shm_open(&ret->shm, "frame", FRAME, flags, 0600), wanted);
	must_be(fipc_mq_open(&ret->empty, "empty", &ten, flags, 0600), wanted);
	must_be(fipc_mq_open(&ret->full, "full", &single, flags, 0600), wanted);
}

static void close_all(struct all *a)
{
	must_be(fipc_mutex_close(a->mutex), 0);
	must_be(fipc_sem_close(a->sem), 0);
	must_be(fipc_sem_close(a->owned), 0);
	must_be(fipc_event_close(a->event), 0);
	must_be(fipc_cond_close(a->cond), 0);
	must_be(fipc_rwlock_close(a->written), 0);
	must_be(fipc_rwlock_close(a->read), 0);
	must_be(fipc_shm_close(a->shm), 0);
	must_be(fipc_mq_close(a->empty), 0);
	must_be(fipc_mq_close(a->full), 0);
}

static void unlink_all(void)
{
	must_be(fipc_mutex_unlink("ledger"), 0);
	must_be(fipc_sem_unlink("tickets"), 0);
	must_be(fipc_sem_unlink("convert"), 0);
	must_be(fipc_event_unlink("loaded"), 0);
	must_be(fipc_cond_unlink("filled"), 0);
	must_be(fipc_rwlock_unlink("zones"), 0);
	must_be(fipc_rwlock_unlink("routes"), 0);
	must_be(fipc_shm_unlink("frame"), 0);
	must_be(fipc_mq_unlink("empty"), 0);
	must_be(fipc_mq_unlink("full"), 0);
}

static struct all opened;

static void make_all(void)
{
	open_all(&opened, FIPC_CREATE, FIPC_CREATED);
}

static void make_all_persist(void)
{
	open_all(&opened, FIPC_CREATE | FIPC_PERSIST, FIPC_CREATED);
}

static void join_all(void)
{
	open_all(&opened, 0, 0);
}

struct tally {
	unsigned objects, dead;
};

static int count(const struct fipc_object *object, void *context)
{
	struct tally *t = context;

	t->objects++;
	t->dead += object->n_dead;
	return 0;
}

/* So many objects, and no entry of a dead process. */
static bool reclaimed(unsigned objects)
{
	fipc_registry *registry;
	struct tally t = {0};

	must_be(fipc_registry_open(&registry, names(), 0), 0);
	must_be(fipc_registry_walk(registry, 0, NULL, count, &t), 0);
	fipc_registry_close(registry);
	return t.objects == objects && t.dead == 0;
}

static void kill_and_await_reclaim(struct actor *victim, unsigned objects_left)
{
	murder(victim->pid);
	await(reclaimed(objects_left));
}

IN_CHILD(fipcd_takes_what_only_the_dead_had)
{
	struct actor victim = {.comm = "victim", .act = make_all};
	struct service service = {0};

	names();
	service_start(&service);
	enter(&victim);
	murder(victim.pid);
	await(is_clean(names(), 0)); /* no .pids either, nor what a segment has beside its bytes */
	service_stop(&service);
}

IN_CHILD(fipcd_leaves_what_another_one_has)
{
	struct actor victim = {.comm = "victim", .act = make_all};
	struct service service = {0};

	names();
	service_start(&service);
	enter(&victim);
	join_all();
	kill_and_await_reclaim(&victim, ALL);
	fipcctl(DONE, "list --no-headings -o ATTACHED,RECLAIM");
	for (const char *line = told.out; *line; line = strchr(line, '\n') + 1)
		must(strncmp(line + strspn(line, " "), "1 attached\n", 11) == 0);
	close_all(&opened);
	await(is_clean(names(), 1));
	service_stop(&service);
}

IN_CHILD(fipcd_leaves_what_is_to_persist)
{
	struct actor victim = {.comm = "victim", .act = make_all_persist};
	struct service service = {0};

	names();
	service_start(&service);
	enter(&victim);
	kill_and_await_reclaim(&victim, ALL);
	join_all();
	close_all(&opened);
	unlink_all();
	await(is_clean(names(), 1));
	service_stop(&service);
}

static void take_two(void)
{
	join_all();
	must_be(fipc_sem_wait(opened.owned), 0);
	must_be(fipc_sem_wait(opened.owned), 0);
}

IN_CHILD(tokens_of_the_dead_are_back)
{
	struct actor victim = {.comm = "victim", .act = take_two};
	struct actor taker = {.comm = "taker", .act = sleep_on_convert, .sleeps = true};
	struct service service = {0};

	names();
	service_start(&service);
	make_all();
	enter(&victim);
	enter(&taker);
	must_be(fipc_sem_value(opened.owned), 0);
	kill_and_await_reclaim(&victim, ALL);
	must_be(finish(taker.pid), 0);
	await(fipc_sem_value(opened.owned) == 2); /* it ended, with its token */
	must_be(fipc_sem_trywait(opened.owned), 0);
	must_be(fipc_sem_trywait(opened.owned), 0);
	must_be(fipc_sem_trywait(opened.owned), -EAGAIN);
	service_stop(&service);
}

/* ---- sleepers ---- */

static struct actor sleeping[] = {
	{.comm = "locker", .act = sleep_on_mutex, .sleeps = true},
	{.comm = "ticket", .act = sleep_on_tickets, .sleeps = true},
	{.comm = "taker", .act = sleep_on_convert, .sleeps = true},
	{.comm = "starter", .act = sleep_on_event, .sleeps = true},
	{.comm = "waiter", .act = sleep_on_cond, .sleeps = true},
	{.comm = "reader", .act = sleep_to_read, .sleeps = true},
	{.comm = "writer", .act = sleep_to_write, .sleeps = true},
	{.comm = "receiver", .act = sleep_to_receive, .sleeps = true},
	{.comm = "sender", .act = sleep_to_send, .sleeps = true},
};

/* How many times it has gone to sleep. */
static long times_asleep(pid_t pid)
{
	char path[40], line[100];
	long n = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = fopen(path, "re");
	must(file != NULL);
	while (n < 0 && fgets(line, sizeof(line), file))
		sscanf(line, "voluntary_ctxt_switches: %ld", &n);
	fclose(file);
	must(n >= 0);
	return n;
}

static void hold_all(void)
{
	make_all();
	must_be(fipc_mutex_lock(opened.mutex), 0);
	must_be(fipc_sem_wait(opened.owned), 0);
	must_be(fipc_sem_wait(opened.owned), 0);
	must_be(fipc_rwlock_wrlock(opened.written), 0);
	must_be(fipc_rwlock_rdlock(opened.read), 0);
	must_be(fipc_mq_send(opened.full, "a", 1, 0, FIPC_NOW), 0);
}

static void give_all(void)
{
	char message[MESSAGE];

	must_be(fipc_mutex_unlock(opened.mutex), 0);
	must_be(fipc_sem_post(opened.sem, 1), 0);
	must_be(fipc_sem_post(opened.owned, 1), 0);
	must_be(fipc_event_set(opened.event), 0);
	must_be(fipc_cond_signal(opened.cond), 0);
	must_be(fipc_rwlock_unlock(opened.written), 0);
	must_be(fipc_rwlock_unlock(opened.read), 0);
	must_be(fipc_mq_send(opened.empty, "a", 1, 0, FIPC_NOW), 0);
	must_be(fipc_mq_receive(opened.full, message, sizeof(message), NULL, FIPC_NOW), 1);
}

/* One of the dead may have been woken and not passed it on: so fipcd wakes all, who look, and sleep on. */
IN_CHILD(fipcd_wakes_who_may_have_missed_it)
{
	struct actor victim = {.comm = "victim", .act = join_all};
	long before[COUNT(sleeping)];
	struct service service = {0};

	names();
	service_start(&service);
	hold_all();
	enter_all(sleeping, COUNT(sleeping));
	enter(&victim);
	for (size_t i = 0; i < COUNT(sleeping); i++)
		before[i] = times_asleep(sleeping[i].pid);
	kill_and_await_reclaim(&victim, ALL);
	for (size_t i = 0; i < COUNT(sleeping); i++)
		await(times_asleep(sleeping[i].pid) > before[i] && asleep_in_futex(sleeping[i].pid));
	give_all();
	for (size_t i = 0; i < COUNT(sleeping); i++)
		must_be(finish(sleeping[i].pid), 0);
	service_stop(&service);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(list_says_what_matters_of_each_type),
		cmocka_unit_test(show_tells_who_has_it),
		cmocka_unit_test(fipcd_says_the_same),
		cmocka_unit_test(json_is_as_the_interface_says),
		cmocka_unit_test(gc_takes_all_types),
		cmocka_unit_test(fipcd_takes_what_only_the_dead_had),
		cmocka_unit_test(fipcd_leaves_what_another_one_has),
		cmocka_unit_test(fipcd_leaves_what_is_to_persist),
		cmocka_unit_test(tokens_of_the_dead_are_back),
		cmocka_unit_test(fipcd_wakes_who_may_have_missed_it),
	};

	test_dir();
	return cmocka_run_group_tests(tests, NULL, clean_python);
}
