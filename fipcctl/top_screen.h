/* SPDX-License-Identifier: Apache-2.0 */
/* The screen and the keyboard of `top`, by ncurses. */
#ifndef FIPCCTL_TOP_SCREEN_H
#define FIPCCTL_TOP_SCREEN_H

#include "top_keys.h"

/* Returns an exit status; if it is STATUS_DONE the terminal must be given back by screen_close(). */
int screen_open(bool color);
void screen_close(void);

/* Draw everything; sets t->page. */
void screen_draw(struct top *t, const char *time);

/* A key that has been pressed; 0: none. */
int screen_key(void);

#endif
