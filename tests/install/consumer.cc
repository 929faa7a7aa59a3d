/* SPDX-License-Identifier: Apache-2.0 */
/* That the headers are C++ too: the macros, the initialisers, the flags, callbacks. Compiled, not run. */
#include <fipc.h>
#include <fipc/registry.h>

static fipc_mutex lock = FIPC_MUTEX_INITIALIZER;
static fipc_sem slots = FIPC_SEM_INITIALIZER(2);

static int count(const struct fipc_object *object, void *context)
{
	*static_cast<unsigned *>(context) += object->reason == FIPC_TAKE_UNUSED;
	return 0;
}

static int fill(void *data, size_t size, void *)
{
	return size < sizeof(fipc_event) ? -1 : fipc_event_init(static_cast<fipc_event *>(data), FIPC_AUTORESET);
}

/* One call of each of the other types. */
static bool others()
{
	const fipc_mq_attr attr = {10, 64};
	fipc_cond *changed = nullptr;
	fipc_rwlock *routes = nullptr;
	fipc_shm *frame = nullptr;
	fipc_mq *jobs = nullptr;

	return fipc_sem_wait(&slots) == 0 && fipc_sem_post(&slots, 1) == 0 &&
	       fipc_cond_open(&changed, "changed", FIPC_CREATE, 0600) >= 0 && fipc_cond_signal(changed) == 0 &&
	       fipc_rwlock_open(&routes, "routes", 8, FIPC_CREATE, 0600) >= 0 && fipc_rwlock_rdlock(routes) == 0 &&
	       fipc_shm_create(&frame, "frame", 4096, FIPC_CREATE, 0600, fill, nullptr) >= 0 &&
	       fipc_event_set(static_cast<fipc_event *>(fipc_shm_data(frame))) == 0 &&
	       fipc_mq_open(&jobs, "jobs", &attr, FIPC_CREATE, 0600) >= 0 &&
	       fipc_mq_send(jobs, "7", 1, 0, FIPC_NOW) == 0;
}

int main()
{
	fipc_mutex *named = nullptr;
	fipc_registry *registry = nullptr;
	unsigned unused = 0;

	if (fipc_mutex_lock_until(&lock, fipc_after_ms(10)) < 0 || fipc_mutex_unlock(&lock) < 0)
		return 1;
	if (!others())
		return 1;
	if (fipc_mutex_open(&named, "name", FIPC_CREATE | FIPC_EXCL, 0600) < 0 || fipc_mutex_close(named) < 0)
		return 1;
	if (fipc_registry_open(&registry, nullptr, 0) < 0 ||
	    fipc_registry_walk(registry, 0, nullptr, count, &unused) < 0)
		return 1;
	fipc_registry_close(registry);
	return static_cast<int>(unused);
}
