/* SPDX-License-Identifier: Apache-2.0 */
#include "top_screen.h"

#include <ncurses.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "color.h"
#include "say.h"

enum { ESCAPE = 27, ESCAPE_MS = 25 }; /* so long after it the rest of a function key's sequence may come */

static SCREEN *screen;

static void choose_colors(void)
{
	start_color();
	use_default_colors();
	init_pair(SHADE_DOUBT, COLOR_YELLOW, -1);
	init_pair(SHADE_BAD, COLOR_RED, -1);
}

void screen_close(void)
{
	endwin();
	delscreen(screen);
}

/* Also of a terminal that is known, but whose cursor cannot be moved, as TERM=dumb. */
static int cannot_draw(void)
{
	const char *term = getenv("TERM");

	if (screen)
		screen_close();
	return fail("cannot draw on this terminal (TERM is '%s'); --batch prints plain lines", term ? term : "");
}

int screen_open(bool color)
{
	screen = newterm(NULL, stdout, stdin);
	if (!screen || !tigetstr("cup"))
		return cannot_draw();
	cbreak();
	noecho();
	nodelay(stdscr, TRUE);
	keypad(stdscr, TRUE);
	set_escdelay(ESCAPE_MS);
	curs_set(0);
	if (color && has_colors())
		choose_colors();
	return STATUS_DONE;
}

int screen_key(void)
{
	static const struct {
		int curses, key;
	} keys[] = {
		{KEY_UP, TOP_KEY_UP},           {KEY_DOWN, TOP_KEY_DOWN},           {KEY_PPAGE, TOP_KEY_PAGE_UP},
		{KEY_NPAGE, TOP_KEY_PAGE_DOWN}, {KEY_HOME, TOP_KEY_HOME},           {KEY_END, TOP_KEY_END},
		{ESCAPE, TOP_KEY_ESCAPE},       {KEY_BACKSPACE, TOP_KEY_BACKSPACE}, {KEY_ENTER, '\n'},
	};
	int key = getch();

	if (key == ERR)
		return 0;
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		if (keys[i].curses == key)
			return keys[i].key;
	return key < KEY_MIN ? key : TOP_KEY_OTHER;
}

/* ---- drawing ---- */

static void line(int y, const char *text)
{
	mvaddnstr(y, 0, text, COLS);
	clrtoeol();
}

static chtype attribute(enum shade shade)
{
	return shade == SHADE_NONE ? A_NORMAL : has_colors() ? (chtype)COLOR_PAIR(shade) : A_BOLD;
}

static void draw_headings(int y, const struct top *t, const struct top_layout *l)
{
	char cell[TOP_WIDTH_MAX + 1];
	int x = 0;

	move(y, 0);
	attron(A_REVERSE);
	hline(' ', COLS);
	for (enum top_column c = 0; c < TOP_COLUMNS && x < COLS; c++) {
		if (!l->width[c])
			continue;
		top_heading(cell, sizeof(cell), l, c);
		if (c == t->view.sort)
			attron(A_BOLD | A_UNDERLINE);
		mvaddnstr(y, x, cell, COLS - x);
		attroff(A_BOLD | A_UNDERLINE);
		x += (int)l->width[c] + 1;
	}
	attroff(A_REVERSE);
}

static void draw_row(int y, const struct top_layout *l, const struct top_row *row)
{
	char cell[TOP_WIDTH_MAX + 1];
	int x = 0;

	move(y, 0);
	clrtoeol();
	for (enum top_column c = 0; c < TOP_COLUMNS && x < COLS; c++) {
		chtype shade;

		if (!l->width[c])
			continue;
		top_cell(cell, sizeof(cell), l, c, row);
		shade = attribute(c < TOP_TEXTS ? shade_of(top_headings[c], row->text[c]) : SHADE_NONE);
		attron(shade);
		mvaddnstr(y, x, cell, COLS - x);
		attroff(shade);
		x += (int)l->width[c] + 1;
	}
}

/* The last line: what is typed, or what is wrong, or the keys. */
static void draw_foot(const struct top *t)
{
	char text[TOP_WIDTH_MAX + 1];

	if (t->editing)
		snprintf(text, sizeof(text), "Names: %s_  (Enter keeps it, Esc goes back)", t->view.pattern);
	else if (*t->message)
		snprintf(text, sizeof(text), "%s", t->message);
	else
		top_help(text, sizeof(text), (unsigned)COLS);
	attron(A_BOLD);
	line(LINES - 1, text);
	attroff(A_BOLD);
}

enum { HEAD = 4, FOOT = 1 }; /* lines that are no rows */

void screen_draw(struct top *t, const char *time)
{
	char text[TOP_WIDTH_MAX + 1];
	struct top_layout layout;

	t->page = LINES > HEAD + FOOT ? (size_t)(LINES - HEAD - FOOT) : 1;
	top_scroll(t);
	top_layout_make(&layout, &t->view, COLS < TOP_WIDTH_MAX ? (unsigned)COLS : TOP_WIDTH_MAX);
	erase();
	top_title(text, sizeof(text), t, time);
	line(0, text);
	top_summary(text, sizeof(text), &t->view);
	line(1, text);
	top_choice(text, sizeof(text), &t->view);
	line(2, text);
	draw_headings(3, t, &layout);
	for (size_t i = 0; i < t->page && t->first + i < t->view.n_shown; i++)
		draw_row(HEAD + (int)i, &layout, t->view.shown[t->first + i]);
	draw_foot(t);
	refresh();
}
