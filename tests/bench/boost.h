/* SPDX-License-Identifier: Apache-2.0 */
/* Boost.Interprocess for C: what is compared. Where it is missing (HAVE_BOOST), its contenders are left out. */
#ifndef FIPC_BENCH_BOOST_H
#define FIPC_BENCH_BOOST_H

#ifdef HAVE_BOOST
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Three semaphores without a token, a mutex; and two queues, of so many messages of up to so many bytes. */
void boost_make(void);
void boost_make_queues(size_t messages, size_t size);

void boost_mutex_lock(void);
void boost_mutex_unlock(void);
void boost_semaphore_wait(int which);
void boost_semaphore_post(int which);
void boost_send(int which, const void *data, size_t size);
size_t boost_receive(int which, void *data, size_t size);

/* A mutex with a name: made and closed, opened and closed, removed. */
void boost_named_create(const char *name);
void boost_named_open(const char *name);
void boost_named_remove(const char *name);

#ifdef __cplusplus
}
#endif
#endif
#endif
