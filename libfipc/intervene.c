/* SPDX-License-Identifier: Apache-2.0 */
/* What an operator does to one object of a directory, whosever it is. Nothing here waits for anybody. */
#include "fork.h"
#include "object.h"
#include "root.h"

#include <sys/mman.h>

static int file_of(char ret[PATH_SIZE_MAX], const char *name, enum fipc_type type)
{
	char checked[NAME_LONGEST + 1];
	int r = name && fipc_type_name(type) ? fipc__name_parse(name, checked) : -EINVAL;
	if (r == 0)
		fipc__name_file(ret, NULL, checked, type);
	return r;
}

int fipc_registry_unlink(fipc_registry *r, const char *name, enum fipc_type type, uint64_t inode)
{
	char file[PATH_SIZE_MAX];
	int error = file_of(file, name, type);
	if (error < 0)
		return error;
	fipc__objects_lock(); /* no fork meanwhile, for a child would keep the object's lock */
	do
		error = fipc__object_unlink(fipc__registry_root(r), file, inode);
	while (error == -EAGAIN);
	fipc__objects_unlock();
	return error;
}

static int revoke(const struct object *o)
{
	char *map;
	int r = fipc__object_map(o, OBJECT_OFFSET + o->size, false, &map);
	if (r < 0)
		return r;
	r = fipc_mutex_revoke((fipc_mutex *)(map + OBJECT_OFFSET));
	munmap(map, OBJECT_OFFSET + o->size);
	return r;
}

int fipc_registry_revoke(fipc_registry *r, const char *name, enum fipc_type type, uint64_t inode)
{
	char file[PATH_SIZE_MAX];
	struct object o;
	int error = type == FIPC_TYPE_MUTEX ? file_of(file, name, type) : -EOPNOTSUPP;
	if (error == 0)
		error = fipc__object_find(fipc__registry_root(r), file, FIPC_ANY_OWNER, &o);
	if (error < 0)
		return error == -EAGAIN ? -ENOENT : error;
	error = inode && inode != o.st.st_ino ? -ENOENT : fipc__object_read(&o, fipc__object_kind(type));
	if (error == 0)
		error = revoke(&o);
	fipc__object_settle(&o);
	return error;
}
