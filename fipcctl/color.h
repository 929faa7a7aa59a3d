/* SPDX-License-Identifier: Apache-2.0 */
/* What is coloured, and whether. Colour only repeats what the words say: they are all there without it. */
#ifndef FIPCCTL_COLOR_H
#define FIPCCTL_COLOR_H

#include "command.h"

enum shade { SHADE_NONE, SHADE_HEADING, SHADE_DOUBT, SHADE_BAD };

/* As --color says, else on a terminal that knows colours, unless $NO_COLOR is there. */
bool color_wanted(const struct settings *settings);

/* Of a cell in a column (or record line) of this name, any letters' case. */
enum shade shade_of(const char *column, const char *cell);

/* The escape sequence that begins it; "" of none. */
const char *shade_begin(enum shade shade);
#define SHADE_END "\033[0m"

#endif
