/* SPDX-License-Identifier: Apache-2.0 */
#include "top_keys.h"

#include <fipc/registry.h>
#include <stdio.h>
#include <string.h>

#define MS INT64_C(1000000)
enum { CONTROL_H = 'h' & 31, CONTROL_U = 'u' & 31, DELETE = 127 };

/* ---- what a key does ---- */

static void quit(struct top *t)
{
	t->quits = true;
}

static void pause_it(struct top *t)
{
	t->paused = !t->paused;
}

static void order_by(struct top *t, unsigned steps)
{
	t->view.sort = (t->view.sort + steps) % TOP_COLUMNS;
	top_view_arrange(&t->view);
}

static void order_by_left(struct top *t)
{
	order_by(t, TOP_COLUMNS - 1);
}

static void order_by_right(struct top *t)
{
	order_by(t, 1);
}

static void reverse(struct top *t)
{
	t->view.reverse = !t->view.reverse;
	top_view_arrange(&t->view);
}

/* All, then one after the other. */
static void next_type(struct top *t)
{
	int type = t->view.type ? fipc_type_from_name(t->view.type) : 0;

	t->view.type = fipc_type_name((enum fipc_type)(type + 1));
	top_view_arrange(&t->view);
}

static const int64_t delays[] = {100 * MS,  200 * MS,   500 * MS,   1000 * MS, 2000 * MS,
				 5000 * MS, 10000 * MS, 30000 * MS, 60000 * MS};
enum { N_DELAYS = sizeof(delays) / sizeof(*delays) };

static void slower(struct top *t)
{
	for (int i = 0; i < N_DELAYS; i++)
		if (delays[i] > t->delay_ns) {
			t->delay_ns = delays[i];
			return;
		}
}

static void faster(struct top *t)
{
	for (int i = N_DELAYS - 1; i >= 0; i--)
		if (delays[i] < t->delay_ns) {
			t->delay_ns = delays[i];
			return;
		}
}

static void edit(struct top *t)
{
	t->editing = true;
	strcpy(t->unedited, t->view.pattern);
}

static void scroll_by(struct top *t, size_t down, size_t up)
{
	t->first = t->first + down > up ? t->first + down - up : 0;
	top_scroll(t);
}

static void scroll_up(struct top *t)
{
	scroll_by(t, 0, 1);
}

static void scroll_down(struct top *t)
{
	scroll_by(t, 1, 0);
}

static void page_up(struct top *t)
{
	scroll_by(t, 0, t->page);
}

static void page_down(struct top *t)
{
	scroll_by(t, t->page, 0);
}

static void scroll_home(struct top *t)
{
	t->first = 0;
}

static void scroll_end(struct top *t)
{
	scroll_by(t, t->view.n_shown, 0);
}

/* In the order of the help line: what is most needed first. */
static const struct {
	int key;
	const char *help; /* NULL: none, or it is with another key */
	void (*press)(struct top *t);
} keys[] = {
	{'q', "q quit", quit},
	{'<', "< > order", order_by_left},
	{'>', NULL, order_by_right},
	{'/', "/ names", edit},
	{'t', "t type", next_type},
	{'r', "r reverse", reverse},
	{' ', "space pause", pause_it},
	{'p', NULL, pause_it},
	{'+', "+ - delay", slower},
	{'-', NULL, faster},
	{TOP_KEY_UP, NULL, scroll_up},
	{TOP_KEY_DOWN, NULL, scroll_down},
	{TOP_KEY_PAGE_UP, NULL, page_up},
	{TOP_KEY_PAGE_DOWN, NULL, page_down},
	{TOP_KEY_HOME, NULL, scroll_home},
	{TOP_KEY_END, NULL, scroll_end},
};

/* ---- typing a pattern ---- */

static void type_character(char *text, size_t size, int key)
{
	size_t length = strlen(text);

	if (key == TOP_KEY_BACKSPACE || key == CONTROL_H || key == DELETE) {
		text[length ? length - 1 : 0] = '\0';
	} else if (key == CONTROL_U) {
		*text = '\0';
	} else if (key > ' ' && key <= '~' && length + 1 < size) {
		text[length] = (char)key;
		text[length + 1] = '\0';
	}
}

static void press_editing(struct top *t, int key)
{
	if (key == TOP_KEY_ESCAPE)
		strcpy(t->view.pattern, t->unedited);
	if (key == TOP_KEY_ESCAPE || key == '\n' || key == '\r')
		t->editing = false;
	else
		type_character(t->view.pattern, sizeof(t->view.pattern), key);
	top_view_arrange(&t->view);
	top_scroll(t);
}

void top_press(struct top *t, int key)
{
	if (t->editing) {
		press_editing(t, key);
		return;
	}
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		if (keys[i].key == key)
			keys[i].press(t);
	top_scroll(t);
}

void top_scroll(struct top *t)
{
	size_t last = t->view.n_shown > t->page ? t->view.n_shown - t->page : 0;

	if (t->first > last)
		t->first = last;
}

/* ---- as text ---- */

void top_help(char *ret, size_t size, unsigned width)
{
	size_t used = 0;

	*ret = '\0';
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		size_t wanted = keys[i].help ? used + 2 * (used > 0) + strlen(keys[i].help) : 0;

		if (wanted > width || wanted >= size)
			return;
		if (keys[i].help)
			used += (size_t)sprintf(ret + used, "%s%s", used ? "  " : "", keys[i].help);
	}
}

void top_title(char *ret, size_t size, const struct top *t, const char *time)
{
	snprintf(ret, size, "fipcctl top  %s  %severy %gs  %s", time, t->paused ? "PAUSED, else " : "",
		 (double)t->delay_ns / 1e9, t->where);
}
