/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The work that the demo's processes share: accounts, between which money moves under one lock.
 *
 * Invariant, whenever the lock is free: the balances sum up to BANK_TOTAL, and journal.open is 0.
 * Crash list of a transfer:
 *	killed before open is 1               nothing has happened
 *	killed after it, before open is 0     the journal says what both balances were: bank_mend() puts them back
 * All shared words are seq_cst atomics: so what is in memory at any instruction is in the order of the program.
 */
#ifndef FIPC_DEMO_BANK_H
#define FIPC_DEMO_BANK_H

#include <stdatomic.h>

enum { BANK_ACCOUNTS = 8, BANK_DEPOSIT = 1000, BANK_TOTAL = BANK_ACCOUNTS * BANK_DEPOSIT };

struct bank {
	atomic_long balance[BANK_ACCOUNTS];
	struct {
		atomic_int open;
		atomic_int from, to;
		atomic_long from_before, to_before;
	} journal;
	atomic_long transfers;
};

/* Zeroed memory becomes a bank. */
void bank_init(struct bank *b);
long bank_sum(const struct bank *b);

/* Does the invariant hold? Asked under the lock. */
int bank_is_right(const struct bank *b);

/* Move money, under the lock. halfway is called when it has been taken, and not yet given. */
void bank_transfer(struct bank *b, int from, int to, long amount, void (*halfway)(void *), void *context);

/* Put back what a transfer left half done, under the lock. Returns how much was put back; 0: nothing was open. */
long bank_mend(struct bank *b);

#endif
