/* SPDX-License-Identifier: Apache-2.0 */
/* The journal's entries of what an operator did by himself, without fipcd; that makes its own. */
#ifndef FIPCCTL_JOURNAL_H
#define FIPCCTL_JOURNAL_H

#include <jansson.h>

enum deed { DEED_REVOKE, DEED_UNLINK };

/* The journal says by itself, and vouches for it, which process and user this was. Without a journal nothing happens.
 */
void journal_deed(enum deed deed, const json_t *object);

#endif
