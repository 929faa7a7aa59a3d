/* SPDX-License-Identifier: Apache-2.0 */
/* An exception ends the program: nothing here is expected to fail. */
#include "boost.h"

#include <boost/interprocess/anonymous_shared_memory.hpp>
#include <boost/interprocess/ipc/message_queue.hpp>
#include <boost/interprocess/sync/interprocess_mutex.hpp>
#include <boost/interprocess/sync/interprocess_semaphore.hpp>
#include <boost/interprocess/sync/named_mutex.hpp>
#include <new>
#include <optional>
#include <string>
#include <unistd.h>

using namespace boost::interprocess;

namespace
{
struct shared {
	alignas(64) interprocess_mutex mutex;
	struct alignas(64) {
		interprocess_semaphore semaphore{0};
	} semaphores[3];
};

mapped_region region;
struct shared *shared;
std::optional<message_queue> queues[2];
} // namespace

void boost_make()
{
	mapped_region(anonymous_shared_memory(sizeof(struct shared))).swap(region);
	shared = new (region.get_address()) struct shared;
}

/* Children have the mapping, so the name can go at once. */
void boost_make_queues(size_t messages, size_t size)
{
	for (auto &queue : queues) {
		std::string name = "fipc-test." + std::to_string(getpid());

		queue.emplace(create_only, name.c_str(), messages, size);
		message_queue::remove(name.c_str());
	}
}

void boost_mutex_lock()
{
	shared->mutex.lock();
}

void boost_mutex_unlock()
{
	shared->mutex.unlock();
}

void boost_semaphore_wait(int which)
{
	shared->semaphores[which].semaphore.wait();
}

void boost_semaphore_post(int which)
{
	shared->semaphores[which].semaphore.post();
}

void boost_send(int which, const void *data, size_t size)
{
	queues[which]->send(data, size, 0);
}

size_t boost_receive(int which, void *data, size_t size)
{
	message_queue::size_type received;
	unsigned priority;

	queues[which]->receive(data, size, received, priority);
	return received;
}

void boost_named_create(const char *name)
{
	named_mutex(create_only, name);
}

void boost_named_open(const char *name)
{
	named_mutex(open_only, name);
}

void boost_named_remove(const char *name)
{
	named_mutex::remove(name);
}
