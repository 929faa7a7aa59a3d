/* SPDX-License-Identifier: Apache-2.0 */
/* What the user of `top` has chosen, and what each key does to it. Knows no screen. */
#ifndef FIPCCTL_TOP_KEYS_H
#define FIPCCTL_TOP_KEYS_H

#include "top_view.h"

enum { /* keys beside characters */
       TOP_KEY_UP = 256,
       TOP_KEY_DOWN,
       TOP_KEY_PAGE_UP,
       TOP_KEY_PAGE_DOWN,
       TOP_KEY_HOME,
       TOP_KEY_END,
       TOP_KEY_BACKSPACE,
       TOP_KEY_ESCAPE,
       TOP_KEY_OTHER,
};

struct top {
	struct top_view view;
	int64_t delay_ns; /* from one look to the next */
	size_t first;     /* of the rows shown, on top of the screen */
	size_t page;      /* how many fit */
	bool paused, quits;
	bool editing; /* the pattern is being typed, and is in force already */
	char unedited[sizeof(((struct top_view *)0)->pattern)];
	char where[300];   /* the objects come from */
	char message[300]; /* "": nothing is wrong */
};

void top_press(struct top *t, int key);

/* Keep `first` where there are rows; after a change of rows or of page. */
void top_scroll(struct top *t);

/* What the keys do, as much as fits into a line of this width. */
void top_help(char *ret, size_t size, unsigned width);

/* "fipcctl top  12:30:00  every 2s  ..." */
void top_title(char *ret, size_t size, const struct top *t, const char *time);

#endif
