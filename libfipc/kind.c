/* SPDX-License-Identifier: Apache-2.0 */
/* Which types there are. */
#include "object.h"

static const struct object_kind *const kinds[] = {
	[FIPC_TYPE_MUTEX] = &fipc__kind_mutex,
};

const struct object_kind *fipc__object_kind(enum fipc_type type)
{
	return (size_t)type < sizeof(kinds) / sizeof(*kinds) ? kinds[type] : NULL;
}
