/* SPDX-License-Identifier: Apache-2.0 */
/* The semaphore whose tokens belong to processes (FIPC_OWNED); named only. Its shared bytes and rules: sem_owned.c. */
#ifndef FIPC_INTERNAL_SEM_OWNED_H
#define FIPC_INTERNAL_SEM_OWNED_H

#include "futex.h"
#include "object.h"

#include <fipc/sem.h>
#include <stddef.h>
#include <stdint.h>

/* For struct object_kind: the size of a new one; fill its first bytes; is this the head of one of `size` bytes? */
int fipc__owned_size(uint32_t initial, size_t *ret);
void fipc__owned_image(void *ret, uint32_t initial, unsigned flags);
int fipc__owned_check(const void *head, size_t *size);
int fipc__owned_busy(const void *object);
int fipc__owned_look(const struct look *l, struct fipc_sem_info *ret);

/*
 * Take one token; give n back. object: open by name, for writing. wait: 0, -EAGAIN (d is FIPC_NOW), -ETIMEDOUT,
 * -EINTR, -EUSERS (too many threads use it), or as fipc_mutex_lock(); post: 0, -EPERM (this process does not hold n),
 * or the same.
 */
int fipc__owned_wait(void *object, fipc_deadline d);
int fipc__owned_post(void *object, uint32_t n);

/*
 * For who waits for several things at once. watch: raise `any` first, so that whoever wakes, wakes all. 1: there are tokens,
 * or may be; 0: there are none, and *ret_n places, of `room`, say where to sleep; the first of them is a park word. -E2BIG:
 * they are more. pass_on: a wake-up that came may have been for somebody else.
 */
_Atomic uint32_t *fipc__owned_any(void *object);
int fipc__owned_watch(void *object, struct futex_place *places, unsigned room, unsigned *ret_n);
void fipc__owned_pass_on(void *object);

/* What it is like; `size` bytes may be read there. */
int64_t fipc__owned_value(const void *object, size_t size);
int fipc__owned_info(const void *object, size_t size, struct fipc_sem_info *ret);

/* The processes that hold tokens: how many; the first `room` of them are told. */
struct owned_holder {
	uint64_t process; /* with pid: which process */
	uint32_t pid, held;
};
unsigned fipc__owned_holders(const void *object, size_t size, struct owned_holder *ret, unsigned room);

#endif
