/* SPDX-License-Identifier: Apache-2.0 */
/* Which types there are. */
#include "object.h"

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
