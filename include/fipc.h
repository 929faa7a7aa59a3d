/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fipc: locks that survive the death of their holders.
 *
 * Everything a program needs; <fipc/registry.h>, for tools that look at other programs' objects, is apart.
 *
 *	struct account { fipc_mutex lock; int64_t balance, total; };   // lock protects: balance == total
 *
 *	int r = fipc_mutex_lock(&a->lock);
 *	if (r < 0)
 *		return r;                              // not held
 *	if (r == FIPC_OWNER_DIED) {                    // held, and the previous owner died inside
 *		a->total = a->balance;                 // mend what it left half done,
 *		r = fipc_mutex_consistent(&a->lock);   // and say so: else nobody gets the lock again
 *	}
 *	a->balance += amount;
 *	a->total += amount;
 *	r = fipc_mutex_unlock(&a->lock);
 */
#ifndef FIPC_H
#define FIPC_H

#include <fipc/base.h>
#include <fipc/cond.h>
#include <fipc/event.h>
#include <fipc/mq.h>
#include <fipc/mutex.h>
#include <fipc/rwlock.h>
#include <fipc/sem.h>
#include <fipc/shm.h>
#include <fipc/wait.h>
#include <fipc/word.h>

#endif
