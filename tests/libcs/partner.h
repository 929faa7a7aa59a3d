/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program that is built twice from one source, with glibc and with musl. partner <role> [<file>]; the file holds a
 * struct arena, zeroed at first, that partners of both libcs share. Every other role is a test by itself: exit status 0
 * passed, 77 skipped.
 *
 *	obey <file>   do what standard input says in bytes, ORDER_*; on standard output the int that was returned
 *	exec <file>   lock the mutex in a thread that is not the leader, and exec from there into obey
 *	work <file>   lock, change the data, unlock, for ever
 *	mix           fipc's mutexes and libc's robust ones held at random, killed at random: none is lost
 *	scribble      a thread ends holding locks whose links a peer has overwritten
 *	fork          children made while another thread is inside open and close
 *	_Fork         a child that no handler of ours knows of
 *	clone         one that libc does not know of either
 */
#ifndef FIPC_TESTS_PARTNER_H
#define FIPC_TESTS_PARTNER_H

#include <fipc.h>

enum { ORDER_LOCK = 'l', ORDER_UNLOCK = 'u', ORDER_CONSISTENT = 'c', ORDER_REVOKE = 'r' };

struct arena {
	fipc_mutex m;
	/* The invariant of those who work: outside of the lock inside is 0 and a == b. */
	volatile uint64_t inside, a, b;
	fipc_word violations, deaths;
	fipc_u64 done[2]; /* pieces of work, of each libc; changed under the lock */
};

#endif
