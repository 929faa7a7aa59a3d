/* SPDX-License-Identifier: Apache-2.0 */
#include "shared.h"

#include <errno.h>
#include <stdlib.h>

int shared_open(struct shared **ret, const char *path)
{
	struct shared *s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	int r = fipc_registry_open(&s->registry, path, 0);
	if (r < 0) {
		free(s);
		return r;
	}
	s->users = 1;
	*ret = s;
	return 0;
}

struct shared *shared_ref(struct shared *s)
{
	s->users++;
	return s;
}

void shared_unref(struct shared *s)
{
	if (!s || --s->users > 0)
		return;
	fipc_registry_close(s->registry);
	free(s);
}
