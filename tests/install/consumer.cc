/* SPDX-License-Identifier: Apache-2.0 */
/* That the headers are C++ too: the macros, the initialiser, the flags, a callback. Compiled, not run. */
#include <fipc.h>
#include <fipc/registry.h>

static fipc_mutex lock = FIPC_MUTEX_INITIALIZER;

static int count(const struct fipc_object *object, void *context)
{
	*static_cast<unsigned *>(context) += object->reason == FIPC_TAKE_UNUSED;
	return 0;
}

int main()
{
	fipc_mutex *named = nullptr;
	fipc_registry *registry = nullptr;
	unsigned unused = 0;

	if (fipc_mutex_lock_until(&lock, fipc_after_ms(10)) < 0 || fipc_mutex_unlock(&lock) < 0)
		return 1;
	if (fipc_mutex_open(&named, "name", FIPC_CREATE | FIPC_EXCL, 0600) < 0 || fipc_mutex_close(named) < 0)
		return 1;
	if (fipc_registry_open(&registry, nullptr, 0) < 0 ||
	    fipc_registry_walk(registry, 0, nullptr, count, &unused) < 0)
		return 1;
	fipc_registry_close(registry);
	return static_cast<int>(unused);
}
