/* SPDX-License-Identifier: Apache-2.0 */
/* Which types there are, and what their looks have in common. */
#include "futex.h"
#include "object.h"

#include <limits.h>
#include <sys/mman.h>

static const struct object_kind *const kinds[] = {
	[FIPC_TYPE_MQ] = &fipc__kind_mq,
	[FIPC_TYPE_MUTEX] = &fipc__kind_mutex,
	[FIPC_TYPE_COND] = &fipc__kind_cond,
	[FIPC_TYPE_EVENT] = &fipc__kind_event,
	[FIPC_TYPE_RWLOCK] = &fipc__kind_rwlock,
	[FIPC_TYPE_SEM] = &fipc__kind_sem,
	[FIPC_TYPE_SHM] = &fipc__kind_shm,
};

const struct object_kind *fipc__object_kind(enum fipc_type type)
{
	return (size_t)type < sizeof(kinds) / sizeof(*kinds) ? kinds[type] : NULL;
}

const char *fipc__look_map(const struct look *l)
{
	struct look_map *m = l->map;
	void *p = m->at;
	if (!p) {
		p = mmap(NULL, OBJECT_OFFSET + m->size, PROT_READ, MAP_SHARED, m->fd, 0);
		if (p == MAP_FAILED)
			return NULL;
		m->at = p;
	}
	return m->at + OBJECT_OFFSET;
}

uint32_t fipc__look_asleep(const struct look *l, size_t word)
{
	const char *map = fipc__look_map(l);
	uint32_t n;
	if (!map)
		return 0;
	n = fipc__futex_sleepers(map + word);
	if (l->wake)
		fipc__futex_wake(map + word, UINT_MAX, FUTEX_SHARED);
	return n;
}
