/* SPDX-License-Identifier: Apache-2.0 */
/* `fipcctl top`: what it makes of two looks and of each key; and the program itself, on a terminal of 80 x 24. */
#include "fipcctl_support.h"
#include "top_keys.h"

#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <pty.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>
#include <utmp.h>

#include <cmocka.h>

#define SECOND INT64_C(1000000000)
#define COUNT(array) (sizeof(array) / sizeof(*(array)))

/* ---- the view ---- */

static void look(struct top_view *v, int64_t ns, const char *objects)
{
	json_t *array = json_loads(objects, 0, NULL);

	assert_non_null(array);
	assert_int_equal(top_view_look(v, array, ns), 0);
	json_decref(array);
}

/* Names, in their order, with blanks between. */
static void assert_shown(const struct top_view *v, const char *wanted)
{
	char names[200] = "";

	for (size_t i = 0; i < v->n_shown; i++) {
		strcat(names, i ? " " : "");
		strcat(names, v->shown[i]->text[TOP_NAME]);
	}
	assert_string_equal(names, wanted);
}

#define MUTEX(name, inode, acquisitions, contended)                                                                    \
	"{\"name\":\"" name "\",\"type\":\"mutex\",\"inode\":" inode ",\"state\":{\"state\":\"free\",\"waiters\":0,"   \
	"\"acquisitions\":" acquisitions ",\"contended\":" contended "}}"

static void rates_are_made_of_two_looks(void **state)
{
	struct top_view v = {.sort = TOP_NAME};

	(void)state;
	look(&v, SECOND, "[" MUTEX("m", "1", "100", "5") "]");
	assert_true(isnan(v.shown[0]->number[TOP_ACQUIRED]));
	look(&v, 3 * SECOND, "[" MUTEX("m", "1", "300", "6") "]");
	assert_true(v.shown[0]->number[TOP_ACQUIRED] == 100 && v.shown[0]->number[TOP_CONTENDED] == 0.5);
	assert_true(isnan(v.shown[0]->number[TOP_SENT]));
	top_view_free(&v);
}

/* Counters of 32 bits do; and of a new object of that name there is no earlier look. */
static void counters_wrap_and_objects_are_replaced(void **state)
{
	struct top_view v = {.sort = TOP_NAME};

	(void)state;
	look(&v, SECOND, "[" MUTEX("m", "1", "4294967290", "0") "," MUTEX("n", "2", "50", "0") "]");
	look(&v, 2 * SECOND, "[" MUTEX("m", "1", "4", "0") "," MUTEX("n", "3", "60", "0") "]");
	assert_true(v.shown[0]->number[TOP_ACQUIRED] == 10);
	assert_true(isnan(v.shown[1]->number[TOP_ACQUIRED]));
	look(&v, 2 * SECOND, "[" MUTEX("m", "1", "5", "0") "]");
	assert_true(isnan(v.shown[0]->number[TOP_ACQUIRED])); /* no time has passed */
	top_view_free(&v);
}

static const char *const zoo_before =
	"[{\"name\":\"q\",\"type\":\"mq\",\"state\":{\"state\":\"queued\",\"waiters\":3,\"sent\":10,\"received\":5}},"
	"{\"name\":\"rw\",\"type\":\"rwlock\",\"state\":{\"state\":\"read\",\"waiters\":0,\"readers\":2,\"reads\":1,"
	"\"writes\":2,\"owner_tid\":0}},"
	"{\"name\":\"sem\",\"type\":\"sem\",\"state\":{\"state\":\"available\",\"waiters\":0,\"n_holders\":4}},"
	"{\"name\":\"shm\",\"type\":\"shm\",\"state\":{\"state\":\"filled\",\"bytes\":1}},"
	"{\"name\":\"closed\",\"error\":\"EACCES\"},"
	"{\"name\":\"m\",\"type\":\"mutex\",\"state\":{\"state\":\"owner-died\",\"waiters\":1,\"owner_tid\":7,"
	"\"owner_pid\":6,\"acquisitions\":0}}]";
static const char *const zoo_after =
	"[{\"name\":\"q\",\"type\":\"mq\",\"state\":{\"state\":\"queued\",\"waiters\":3,\"sent\":40,\"received\":15}},"
	"{\"name\":\"rw\",\"type\":\"rwlock\",\"state\":{\"state\":\"read\",\"waiters\":0,\"readers\":2,\"reads\":11,"
	"\"writes\":12,\"owner_tid\":0}},"
	"{\"name\":\"sem\",\"type\":\"sem\",\"state\":{\"state\":\"available\",\"waiters\":0,\"n_holders\":4}},"
	"{\"name\":\"shm\",\"type\":\"shm\",\"state\":{\"state\":\"filled\",\"bytes\":1}},"
	"{\"name\":\"closed\",\"error\":\"EACCES\"},"
	"{\"name\":\"m\",\"type\":\"mutex\",\"state\":{\"state\":\"owner-died\",\"waiters\":1,\"owner_tid\":7,"
	"\"owner_pid\":6,\"acquisitions\":0}}]";

static void look_at_the_zoo(struct top_view *v)
{
	look(v, 0, zoo_before);
	look(v, SECOND, zoo_after);
}

static void each_column_orders(void **state)
{
	static const struct {
		enum top_column sort;
		bool reverse;
		const char *names;
	} orders[] = {
		{TOP_NAME, false, "closed m q rw sem shm"},     {TOP_NAME, true, "shm sem rw q m closed"},
		{TOP_WAIT, false, "q m rw sem closed shm"},     {TOP_HOLD, false, "sem rw m q closed shm"},
		{TOP_SENT, false, "q rw closed m sem shm"},     {TOP_RECEIVED, false, "q rw closed m sem shm"},
		{TOP_ACQUIRED, false, "rw m q closed sem shm"},
	};
	struct top_view v = {.sort = TOP_WAIT};

	(void)state;
	look_at_the_zoo(&v);
	for (size_t i = 0; i < COUNT(orders); i++) {
		v.sort = orders[i].sort;
		v.reverse = orders[i].reverse;
		top_view_arrange(&v);
		assert_shown(&v, orders[i].names);
	}
	top_view_free(&v);
}

static void names_and_types_are_chosen(void **state)
{
	static const struct {
		const char *pattern, *type, *names;
	} choices[] = {
		{"", NULL, "closed m q rw sem shm"},
		{"m", NULL, "m sem shm"},
		{"m*", NULL, "m"},
		{"s?m", NULL, "sem shm"},
		{"[qr]*", NULL, "q rw"},
		{"", "mutex", "m"},
		{"s", "sem", "sem"},
		{"none", NULL, ""},
	};
	struct top_view v = {.sort = TOP_NAME};

	(void)state;
	look_at_the_zoo(&v);
	for (size_t i = 0; i < COUNT(choices); i++) {
		strcpy(v.pattern, choices[i].pattern);
		v.type = choices[i].type;
		top_view_arrange(&v);
		assert_shown(&v, choices[i].names);
	}
	top_view_free(&v);
}

static void columns_give_way(void **state)
{
	struct top_view v = {.sort = TOP_WAIT};
	struct top_layout l;

	(void)state;
	for (unsigned width = 24; width < 200; width++) {
		unsigned sum = 0;

		top_layout_make(&l, &v, width);
		for (int i = 0; i < TOP_COLUMNS; i++)
			sum += l.width[i] ? l.width[i] + 1 : 0;
		assert_int_equal(sum - 1, width);
		assert_true(l.width[TOP_NAME] >= 12 && l.width[TOP_WAIT] > 0);
	}
	top_layout_make(&l, &v, 80);
	for (int i = 0; i < TOP_COLUMNS; i++)
		assert_true(l.width[i] > 0);
	v.sort = TOP_RECEIVED;
	top_layout_make(&l, &v, 40);
	assert_true(l.width[TOP_RECEIVED] > 0 && l.width[TOP_SENT] == 0);
}

static void numbers_are_short(void **state)
{
	static const struct {
		double number;
		const char *text;
	} numbers[] = {
		{NAN, "-"},        {0, "0"},          {0.04, "0.0"},   {0.5, "0.5"},
		{2, "2"},          {9.94, "9.9"},     {9.96, "10"},    {9999, "9999"},
		{9999.6, "10.0k"}, {12345, "12.3k"},  {99960, "100k"}, {999499, "999k"},
		{999501, "1.0M"},  {8123456, "8.1M"}, {1e9, "1.0G"},   {1e18, "1.0E"},
	};
	char text[30];

	(void)state;
	for (size_t i = 0; i < COUNT(numbers); i++) {
		top_number(text, sizeof(text), numbers[i].number);
		assert_string_equal(text, numbers[i].text);
	}
}

static void cells_are_cut_and_filled(void **state)
{
	struct top_view v = {.sort = TOP_NAME};
	struct top_layout l = {.width = {[TOP_NAME] = 4, [TOP_OWNER] = 3, [TOP_WAIT] = 4}};
	char cell[40];

	(void)state;
	look_at_the_zoo(&v);
	top_cell(cell, sizeof(cell), &l, TOP_NAME, v.shown[0]);
	assert_string_equal(cell, "clo+");
	top_cell(cell, sizeof(cell), &l, TOP_NAME, v.shown[1]);
	assert_string_equal(cell, "m   ");
	top_cell(cell, sizeof(cell), &l, TOP_OWNER, v.shown[1]);
	assert_string_equal(cell, "6/7");
	l.width[TOP_OWNER] = 2;
	top_cell(cell, sizeof(cell), &l, TOP_OWNER, v.shown[1]);
	assert_string_equal(cell, " 6");
	top_cell(cell, sizeof(cell), &l, TOP_WAIT, v.shown[1]);
	assert_string_equal(cell, "   1");
	top_summary(cell, sizeof(cell), &v);
	assert_string_equal(cell, "6/6 objects, 2 awaited, 1 owner-died");
	top_view_free(&v);
}

/* ---- keys ---- */

static void press(struct top *t, const char *keys)
{
	for (; *keys; keys++)
		top_press(t, *keys);
}

static void keys_do_what_the_help_says(void **state)
{
	struct top t = {.delay_ns = 2 * SECOND, .page = 2, .view.sort = TOP_NAME};

	(void)state;
	look_at_the_zoo(&t.view);
	press(&t, ">");
	assert_int_equal(t.view.sort, TOP_TYPE);
	press(&t, "<<");
	assert_int_equal(t.view.sort, TOP_RECEIVED);
	press(&t, ">r");
	assert_shown(&t.view, "shm sem rw q m closed");
	press(&t, "rt");
	assert_string_equal(t.view.type, fipc_type_name(1));
	for (int i = 1; fipc_type_name((enum fipc_type)i); i++)
		press(&t, "t");
	assert_null(t.view.type);
	press(&t, " ");
	assert_true(t.paused);
	press(&t, "p");
	assert_false(t.paused);
	press(&t, "+");
	assert_true(t.delay_ns == 5 * SECOND);
	press(&t, "--------------------");
	assert_true(t.delay_ns == SECOND / 10);
	press(&t, "++++++++++++++++++++");
	assert_true(t.delay_ns == 60 * SECOND);
	assert_false(t.quits);
	press(&t, "xq");
	assert_true(t.quits);
	top_view_free(&t.view);
}

static void it_scrolls_no_further_than_there_are_rows(void **state)
{
	static const struct {
		int key;
		size_t first;
	} keys[] = {
		{TOP_KEY_UP, 0},      {TOP_KEY_DOWN, 1}, {TOP_KEY_PAGE_DOWN, 3}, {TOP_KEY_PAGE_DOWN, 4},
		{TOP_KEY_PAGE_UP, 2}, {TOP_KEY_HOME, 0}, {TOP_KEY_END, 4},       {TOP_KEY_DOWN, 4},
	};
	struct top t = {.page = 2, .view.sort = TOP_NAME};

	(void)state;
	look_at_the_zoo(&t.view);
	for (size_t i = 0; i < COUNT(keys); i++) {
		top_press(&t, keys[i].key);
		assert_int_equal(t.first, keys[i].first);
	}
	press(&t, "/se\n");
	assert_int_equal(t.first, 0);
	top_view_free(&t.view);
}

static void a_pattern_is_typed(void **state)
{
	struct top t = {.view.sort = TOP_NAME};
	char help[100];

	(void)state;
	look_at_the_zoo(&t.view);
	press(&t, "/sq");
	assert_true(t.editing && !t.quits);
	assert_shown(&t.view, "");
	top_press(&t, TOP_KEY_BACKSPACE);
	assert_shown(&t.view, "closed sem shm");
	press(&t, "\n");
	assert_false(t.editing);
	press(&t, "/h");
	assert_shown(&t.view, "shm");
	top_press(&t, TOP_KEY_ESCAPE);
	assert_string_equal(t.view.pattern, "s");
	press(&t, "/\025\n");
	assert_shown(&t.view, "closed m q rw sem shm");
	press(&t, "/");
	for (int i = 0; i < 1000; i++)
		press(&t, "y");
	assert_int_equal(strlen(t.view.pattern), sizeof(t.view.pattern) - 1);
	top_help(help, sizeof(help), 20);
	assert_string_equal(help, "q quit  < > order");
	top_view_free(&t.view);
}

/* ---- a terminal ---- */

enum { LINES = 24, COLUMNS = 80 };

/* A VT52, of which no more is told than a program may ask for: it is the simplest that ncurses can draw on. */
struct terminal {
	int fd, slave;
	pid_t pid;
	char cells[LINES][COLUMNS + 1];
	int y, x;
	char escape; /* what the sequence that has begun is waiting for */
};

static void clear_from(struct terminal *t, int y, int x)
{
	memset(&t->cells[y][x], ' ', (size_t)(COLUMNS - x));
}

static void obey(struct terminal *t, char c)
{
	t->escape = '\0';
	if (c == 'Y')
		t->escape = 'Y';
	else if (c == 'H')
		t->y = t->x = 0;
	else if (c == 'A' || c == 'I')
		t->y -= t->y > 0;
	else if (c == 'B')
		t->y += t->y < LINES - 1;
	else if (c == 'C')
		t->x += t->x < COLUMNS - 1;
	else if (c == 'D')
		t->x -= t->x > 0;
	else if (c == 'K' || c == 'J')
		clear_from(t, t->y, t->x);
	for (int y = t->y + 1; c == 'J' && y < LINES; y++)
		clear_from(t, y, 0);
}

static void type_out(struct terminal *t, char c)
{
	if (c == '\r')
		t->x = 0;
	else if (c == '\n')
		t->y += t->y < LINES - 1;
	else if (c == '\b')
		t->x -= t->x > 0;
	else if (c >= ' ') {
		t->cells[t->y][t->x] = c;
		t->x += t->x < COLUMNS - 1;
	}
}

static void feed(struct terminal *t, char c)
{
	if (t->escape == '\033') {
		obey(t, c);
	} else if (t->escape == 'Y') {
		t->y = c - ' ';
		t->escape = 'y';
	} else if (t->escape == 'y') {
		t->x = c - ' ';
		t->escape = '\0';
		must(t->y >= 0 && t->y < LINES && t->x >= 0 && t->x < COLUMNS);
	} else if (c == '\033') {
		t->escape = c;
	} else {
		type_out(t, c);
	}
}

static void drain(struct terminal *t)
{
	char bytes[4096];
	struct pollfd fd = {.fd = t->fd, .events = POLLIN};

	while (poll(&fd, 1, 0) > 0) {
		ssize_t n = read(t->fd, bytes, sizeof(bytes));

		if (n <= 0)
			return;
		for (ssize_t i = 0; i < n; i++)
			feed(t, bytes[i]);
	}
}

static bool line_has(struct terminal *t, int y, const char *text)
{
	drain(t);
	return strstr(t->cells[y], text) != NULL;
}

static bool shows(struct terminal *t, const char *text)
{
	for (int y = 0; y < LINES; y++)
		if (line_has(t, y, text))
			return true;
	return false;
}

struct order {
	struct terminal *terminal;
	const char *type;
	char **words;
};

static void be_top(void *argument)
{
	const struct order *order = argument;

	must_be(setenv("TERM", order->type, 1), 0);
	must_be(login_tty(order->terminal->slave), 0);
	fipcctl_exec(order->words, STDOUT_FILENO, STDERR_FILENO);
}

static void resize(struct terminal *t, unsigned short lines, unsigned short columns)
{
	struct winsize size = {.ws_row = lines, .ws_col = columns};

	must_be(ioctl(t->fd, TIOCSWINSZ, &size), 0);
}

static void terminal_start(struct terminal *t, const char *type, char **words)
{
	struct order order = {t, type, words};

	memset(t, 0, sizeof(*t));
	for (int y = 0; y < LINES; y++)
		clear_from(t, y, 0);
	must_be(openpty(&t->fd, &t->slave, NULL, NULL, NULL), 0);
	must_be(fcntl(t->fd, F_SETFD, FD_CLOEXEC), 0);
	resize(t, LINES, COLUMNS);
	t->pid = start(be_top, &order);
}

static void top_start(struct terminal *t)
{
	static char *words[] = {(char *)"fipcctl", (char *)"top", (char *)"--delay", (char *)"0.1", NULL};

	terminal_start(t, "vt52", words);
	await(line_has(t, LINES - 1, "q quit"));
}

static void type_in(struct terminal *t, const char *keys)
{
	must_be(write(t->fd, keys, strlen(keys)), (long)strlen(keys));
}

/* What it ended with; the terminal must be as it was. */
static int terminal_end(struct terminal *t)
{
	struct termios after;
	int status = -1;

	await((drain(t), ended(t->pid, &status, 1)));
	must_be(tcgetattr(t->slave, &after), 0);
	must((after.c_lflag & (ICANON | ECHO | ISIG)) == (ICANON | ECHO | ISIG) && (after.c_oflag & OPOST));
	drain(t);
	close(t->fd);
	close(t->slave);
	return status;
}

IN_CHILD(the_screen_shows_what_is_there)
{
	struct terminal t;
	fipc_mutex *held, *idle;
	char owner[20];

	names();
	held = must_open("held", FIPC_CREATE, FIPC_CREATED);
	idle = must_open("idle", FIPC_CREATE, FIPC_CREATED);
	must_be(fipc_mutex_lock(held), 0);
	top_start(&t);
	await(line_has(&t, 1, "2/2 objects, 0 awaited"));
	await(line_has(&t, 3, "NAME") && line_has(&t, 3, "RECV/S"));
	snprintf(owner, sizeof(owner), " %d ", getpid());
	await(line_has(&t, 4, "held") && line_has(&t, 4, owner) && line_has(&t, 5, "idle"));
	await(line_has(&t, 0, "  directly in "));
	/* What happens meanwhile is seen. */
	must_be(fipc_mutex_unlock(held), 0);
	await(line_has(&t, 4, "held") && line_has(&t, 4, " free "));
	await(line_has(&t, 4, " 0 ")); /* a rate, of two looks */
	type_in(&t, "/id");
	await(line_has(&t, LINES - 1, "Names: id_") && line_has(&t, 4, "idle") && !shows(&t, "held"));
	type_in(&t, "\n>");
	await(line_has(&t, 2, "Order: HOLD") && line_has(&t, LINES - 1, "q quit"));
	type_in(&t, " ");
	await(line_has(&t, 0, "PAUSED"));
	type_in(&t, "q");
	must_be(terminal_end(&t), 0);
	must_be(fipc_mutex_close(held), 0);
	must_be(fipc_mutex_close(idle), 0);
}

IN_CHILD(the_screen_may_change_its_size)
{
	struct terminal t;
	fipc_mutex *m;

	names();
	m = must_open("m", FIPC_CREATE, FIPC_CREATED);
	top_start(&t);
	resize(&t, 10, 40);
	await(line_has(&t, 9, "q quit  < > order"));
	await(line_has(&t, 3, "WAIT") && !line_has(&t, 3, "RECV/S") && line_has(&t, 4, "m  "));
	for (unsigned short lines = 1; lines < 6; lines++)
		resize(&t, lines, lines);
	resize(&t, LINES, COLUMNS);
	await(line_has(&t, LINES - 1, "q quit") && line_has(&t, 3, "RECV/S"));
	type_in(&t, "q");
	must_be(terminal_end(&t), 0);
	must_be(fipc_mutex_close(m), 0);
}

IN_CHILD(signals_give_the_terminal_back)
{
	struct terminal t;

	names();
	top_start(&t);
	type_in(&t, "\003");
	must_be(terminal_end(&t), 0);
	top_start(&t);
	must_be(kill(t.pid, SIGTERM), 0);
	must_be(terminal_end(&t), 0);
}

IN_CHILD(it_goes_on_when_fipcd_goes)
{
	struct service service = {0};
	struct terminal t;
	fipc_mutex *m;

	names();
	m = must_open("m", FIPC_CREATE, FIPC_CREATED);
	service_start(&service);
	setenv("FIPC_SOCKET", service.socket, 1);
	top_start(&t);
	await(line_has(&t, 0, "  through fipcd in ") && line_has(&t, 4, "m  "));
	service_stop(&service);
	await(line_has(&t, 0, "  directly in ") && line_has(&t, 4, "m  "));
	must_be(fipc_mutex_close(m), 0);
	/* The name went with its last user. */
	await(line_has(&t, 1, "0/0 objects"));
	type_in(&t, "q");
	must_be(terminal_end(&t), 0);
}

IN_CHILD(a_terminal_that_cannot_be_drawn_on_is_refused)
{
	static char *words[] = {(char *)"fipcctl", (char *)"top", NULL};
	struct terminal t;

	names();
	terminal_start(&t, "dumb", words);
	must_be(terminal_end(&t), FAILED);
	must(shows(&t, "cannot draw on this terminal (TERM is 'dumb')"));
	fipcctl(USAGE, "top");
	must_say(told.err, "--batch prints plain lines");
	must_be(lines(told.err), 1);
	must_print("");
}

/* ---- for scripts ---- */

IN_CHILD(frames_are_printed)
{
	struct service service = {0};
	fipc_mutex *m, *n;
	const char *second;

	names();
	fipcctl(DONE, "top --batch -n 1 -d 0.1");
	must_say(told.out, "0/0 objects");
	m = must_open("a-name-that-is-longer-than-its-column-on-a-screen", FIPC_CREATE, FIPC_CREATED);
	n = must_open("n", FIPC_CREATE, FIPC_CREATED);
	fipcctl(DONE, "top -b -n 2 -d 100ms --sort name");
	must_be(*told.err, '\0');
	must_be(lines(told.out), 13);
	second = strstr(told.out, "\n\nfipcctl top  ");
	must(second != NULL);
	squeeze(told.out);
	must_say(told.out, "NAME TYPE STATE OWNER WAIT HOLD ACQ/S CONT/S SENT/S RECV/S\n"
			   "a-name-that-is-longer-than-its-column-on-a-screen mutex free - 0 0 0 0 - -\n"
			   "n mutex free - 0 0 0 0 - -\n");
	service_start(&service);
	fipcctl(DONE, "top -b -n 1 -d 0.1 --type sem --socket %", service.socket);
	must_say(told.out, "through fipcd");
	must_say(told.out, "0/2 objects");
	service_stop(&service);
	fipcctl(FAILED, "top -b -n 1 -d 0.1 --socket %", service.socket);
	must_be(lines(told.err), 1);
	must_be(fipc_mutex_close(m), 0);
	must_be(fipc_mutex_close(n), 0);
}

IN_CHILD(each_column_can_be_named)
{
	static const struct {
		const char *word, *says;
	} sorts[] = {
		{"name", "NAME"}, {"type", "TYPE"}, {"state", "STATE"}, {"owner", "OWNER"}, {"wait", "WAIT"},
		{"hold", "HOLD"}, {"acq", "ACQ/S"}, {"cont", "CONT/S"}, {"sent", "SENT/S"}, {"recv", "RECV/S"},
	};
	char wanted[40];

	names();
	must_be(COUNT(sorts), TOP_COLUMNS);
	for (size_t i = 0; i < COUNT(sorts); i++) {
		fipcctl(DONE, "top -b -n 1 -d 0.1 -s %", sorts[i].word);
		snprintf(wanted, sizeof(wanted), "Order: %s  Names: all", sorts[i].says);
		must_say(told.out, wanted);
	}
	fipcctl(USAGE, "top -b -s weight");
	must_say(told.err, "one of: name type");
	fipcctl(USAGE, "top -b -n 0");
	fipcctl(USAGE, "top -b -d 1ms");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(rates_are_made_of_two_looks),
		cmocka_unit_test(counters_wrap_and_objects_are_replaced),
		cmocka_unit_test(each_column_orders),
		cmocka_unit_test(names_and_types_are_chosen),
		cmocka_unit_test(columns_give_way),
		cmocka_unit_test(numbers_are_short),
		cmocka_unit_test(cells_are_cut_and_filled),
		cmocka_unit_test(keys_do_what_the_help_says),
		cmocka_unit_test(it_scrolls_no_further_than_there_are_rows),
		cmocka_unit_test(a_pattern_is_typed),
		cmocka_unit_test(the_screen_shows_what_is_there),
		cmocka_unit_test(the_screen_may_change_its_size),
		cmocka_unit_test(signals_give_the_terminal_back),
		cmocka_unit_test(it_goes_on_when_fipcd_goes),
		cmocka_unit_test(a_terminal_that_cannot_be_drawn_on_is_refused),
		cmocka_unit_test(frames_are_printed),
		cmocka_unit_test(each_column_can_be_named),
	};

	test_dir();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
