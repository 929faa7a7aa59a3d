/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "color.h"
#include "command.h"
#include "say.h"
#include "source.h"
#include "top_keys.h"
#include "top_screen.h"

#define SECOND INT64_C(1000000000)
#define DELAY_NS (2 * SECOND)
#define DELAY_MIN_NS (SECOND / 10)
/* The first look has no rates, so the second one comes soon. */
#define DELAY_FIRST_NS (SECOND / 2)

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * SECOND + now.tv_nsec;
}

static const char *clock_text(char *ret, size_t size)
{
	time_t now = time(NULL);
	struct tm tm;

	if (!localtime_r(&now, &tm) || !strftime(ret, size, "%H:%M:%S", &tm))
		snprintf(ret, size, "?");
	return ret;
}

/* ---- a look ---- */

static int take_look(struct top *t, const struct settings *settings)
{
	struct source *source = NULL;
	json_t *objects = NULL;
	int r = source_open(&source, settings);

	if (r == STATUS_DONE)
		r = source_list(source, NULL, NULL, &objects);
	if (r == STATUS_DONE && top_view_look(&t->view, objects, now_ns()) < 0)
		r = fail("out of memory");
	if (r == STATUS_DONE)
		source_describe(source, t->where, sizeof(t->where));
	json_decref(objects);
	source_close(source);
	return r;
}

/* The source is opened anew each time: fipcd may come and go, and so may the directory. */
static int look(struct top *t, const struct settings *settings)
{
	int r;

	*t->message = '\0';
	say_into(t->message, sizeof(t->message));
	r = take_look(t, settings);
	say_into(NULL, 0);
	return r;
}

/* ---- frames for scripts ---- */

static void print_line(const char *text)
{
	char *safe = safe_text(text);

	puts(safe ? safe : "out of memory");
	free(safe);
}

static void print_cells(const struct top_layout *l, const struct top_row *row)
{
	char cell[TOP_WIDTH_MAX + 1];

	for (enum top_column c = 0; c < TOP_COLUMNS; c++) {
		if (row)
			top_cell(cell, sizeof(cell), l, c, row);
		else
			top_heading(cell, sizeof(cell), l, c);
		printf("%s%s", c ? " " : "", cell);
	}
	putchar('\n');
}

/* Nothing is cut. */
static void widen(struct top_layout *l, const struct top_view *v)
{
	top_layout_make(l, v, TOP_WIDTH_MAX);
	for (enum top_column c = 0; c < TOP_TEXTS; c++) {
		l->width[c] = (unsigned)strlen(top_headings[c]);
		for (size_t i = 0; i < v->n_shown; i++)
			if (strlen(v->shown[i]->text[c]) > l->width[c])
				l->width[c] = (unsigned)strlen(v->shown[i]->text[c]);
	}
}

static void print_frame(const struct top *t)
{
	struct top_layout layout;
	char text[TOP_WIDTH_MAX + 1], time[16];

	top_title(text, sizeof(text), t, clock_text(time, sizeof(time)));
	print_line(text);
	top_summary(text, sizeof(text), &t->view);
	print_line(text);
	top_choice(text, sizeof(text), &t->view);
	print_line(text);
	widen(&layout, &t->view);
	print_cells(&layout, NULL);
	for (size_t i = 0; i < t->view.n_shown; i++)
		print_cells(&layout, t->view.shown[i]);
}

static void sleep_ns(int64_t ns)
{
	struct timespec t = {.tv_sec = ns / SECOND, .tv_nsec = ns % SECOND};

	while (clock_nanosleep(CLOCK_MONOTONIC, 0, &t, &t) == EINTR)
		;
}

static int64_t first_delay(const struct top *t)
{
	return t->delay_ns < DELAY_FIRST_NS ? t->delay_ns : DELAY_FIRST_NS;
}

/* What is wrong is told once, not in each frame. */
static int look_aloud(struct top *t, const struct settings *settings)
{
	char before[sizeof(t->message)];
	int r;

	strcpy(before, t->message);
	r = look(t, settings);
	if (*t->message && strcmp(t->message, before) != 0)
		say("%s", t->message);
	return r;
}

static int run_batch(struct top *t, const struct settings *settings)
{
	int r = look_aloud(t, settings);

	for (unsigned i = 0; r == STATUS_DONE && (!settings->iterations || i < settings->iterations); i++) {
		sleep_ns(i ? t->delay_ns : first_delay(t));
		r = look_aloud(t, settings);
		if (r != STATUS_DONE)
			break;
		printf("%s", i ? "\n" : "");
		print_frame(t);
		if (fflush(stdout))
			break;
	}
	return r;
}

/* ---- the screen ---- */

static volatile sig_atomic_t told_to_end;

static void note_end(int signal)
{
	(void)signal;
	told_to_end = 1;
}

/* These come only while we wait for a key, so none is slept through. */
static void catch_signals(sigset_t *ret_before)
{
	static const int ending[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction action = {.sa_handler = note_end};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGWINCH);
	for (size_t i = 0; i < sizeof(ending) / sizeof(*ending); i++) {
		sigaction(ending[i], &action, NULL);
		sigaddset(&set, ending[i]);
	}
	sigprocmask(SIG_BLOCK, &set, ret_before);
}

/* Until a key is pressed, a signal comes or it is time. The end of the terminal ends us. */
static void await_key(struct top *t, int64_t deadline_ns, const sigset_t *mask)
{
	int64_t left = deadline_ns - now_ns();
	struct timespec timeout = {.tv_sec = left / SECOND, .tv_nsec = left % SECOND};
	struct pollfd keyboard = {.fd = STDIN_FILENO, .events = POLLIN};

	if (left < 0)
		timeout = (struct timespec){0};
	if (ppoll(&keyboard, 1, &timeout, mask) > 0 && (keyboard.revents & (POLLHUP | POLLERR | POLLNVAL)))
		t->quits = true;
	t->quits = t->quits || told_to_end;
}

static void press_keys(struct top *t)
{
	for (int key; !t->quits && (key = screen_key()) != 0;)
		top_press(t, key);
}

static void run_screen(struct top *t, const struct settings *settings, const sigset_t *mask)
{
	unsigned looks = 1;
	int64_t due;
	char time[16];

	look(t, settings);
	due = now_ns() + first_delay(t);
	while (!t->quits) {
		int64_t delay = t->delay_ns;

		screen_draw(t, clock_text(time, sizeof(time)));
		await_key(t, due, mask);
		press_keys(t);
		if (t->delay_ns != delay)
			due = now_ns() + t->delay_ns;
		if (t->quits || now_ns() < due)
			continue;
		if (settings->iterations && looks > settings->iterations)
			return;
		if (!t->paused)
			look(t, settings);
		looks++;
		due = now_ns() + t->delay_ns;
	}
}

static int run_on_terminal(struct top *t, const struct settings *settings)
{
	sigset_t before;
	int r;

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		return misuse("top wants a terminal, and standard %s is none; --batch prints plain lines",
			      isatty(STDIN_FILENO) ? "output" : "input");
	catch_signals(&before);
	r = screen_open(color_wanted(settings));
	if (r != STATUS_DONE)
		return r;
	run_screen(t, settings, &before);
	screen_close();
	return STATUS_DONE;
}

/* ---- the command ---- */

#define SORTS "name type state owner wait hold acq cont sent recv" /* the headings up to a slash */

static enum top_column column_of_sort(const char *sort)
{
	for (enum top_column c = 0; sort && c < TOP_COLUMNS; c++)
		if (strcspn(top_headings[c], "/") == strlen(sort) && !strncasecmp(top_headings[c], sort, strlen(sort)))
			return c;
	return TOP_WAIT;
}

static int fill(struct top *t, const struct settings *settings, const char *pattern)
{
	*t = (struct top){.delay_ns = settings->delay.given ? settings->delay.ns : DELAY_NS};
	t->view.type = settings->type;
	t->view.sort = column_of_sort(settings->sort);
	if (t->delay_ns < DELAY_MIN_NS)
		return misuse("--delay: a look costs time; 0.1s at least");
	if (pattern && strlen(pattern) >= sizeof(t->view.pattern))
		return misuse("top: the pattern is too long");
	strcpy(t->view.pattern, pattern ? pattern : "");
	return STATUS_DONE;
}

static int run(const struct command *self, const struct settings *settings, char **arguments)
{
	struct top top;
	int r = fill(&top, settings, arguments[0]);

	(void)self;
	if (r == STATUS_DONE)
		r = settings->batch ? run_batch(&top, settings) : run_on_terminal(&top, settings);
	top_view_free(&top.view);
	return r;
}

static const struct command_option options[] = {
	{'b', "batch", OPTION_FLAG, NULL, "plain lines, for scripts, not a screen", offsetof(struct settings, batch),
	 NULL},
	{'n', "iterations", OPTION_NUMBER, "N", "end after so many looks", offsetof(struct settings, iterations), NULL},
	{'d', "delay", OPTION_DURATION, "TIME", "from one look to the next (usual: 2s)",
	 offsetof(struct settings, delay), NULL},
	{'s', "sort", OPTION_WORD, "COLUMN", "the order: " SORTS, offsetof(struct settings, sort), SORTS},
	TAKES_TYPE,
	TAKES_COLOR,
	{0},
};

const struct command command_top = {
	.name = "top",
	.arguments = "[PATTERN]",
	.summary = "the objects as they are used, on a live screen",
	.text = "Rates are those since the look before. A pattern without any of *?[ may stand anywhere in the "
		"name.\n\n"
		"  ACQ/S   times a second that a lock was had\n"
		"  CONT/S  times that it was had only after waiting\n"
		"  SENT/S  messages that were sent, events that were set, conditions that were signalled\n"
		"  RECV/S  messages that were received\n"
		"  WAIT    threads asleep on it\n"
		"  HOLD    threads that have it, or processes that have tokens\n\n"
		"Keys: q quits, < and > choose the order's column, r turns it around, / names a pattern, t goes "
		"through the\n"
		"types, space pauses, + and - change the delay; arrows, page up and down, home and end scroll.",
	.options = options,
	.kind = ARGUMENT_OBJECT,
	.max_arguments = 1,
	.run = run,
};
