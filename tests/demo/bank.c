/* SPDX-License-Identifier: Apache-2.0 */
#include "bank.h"

void bank_init(struct bank *b)
{
	for (int i = 0; i < BANK_ACCOUNTS; i++)
		b->balance[i] = BANK_DEPOSIT;
}

long bank_sum(const struct bank *b)
{
	long sum = 0;

	for (int i = 0; i < BANK_ACCOUNTS; i++)
		sum += b->balance[i];
	return sum;
}

int bank_is_right(const struct bank *b)
{
	return bank_sum(b) == BANK_TOTAL && !b->journal.open;
}

void bank_transfer(struct bank *b, int from, int to, long amount, void (*halfway)(void *), void *context)
{
	b->journal.from = from;
	b->journal.to = to;
	b->journal.from_before = b->balance[from];
	b->journal.to_before = b->balance[to];
	b->journal.open = 1;
	b->balance[from] -= amount;
	halfway(context);
	b->balance[to] += amount;
	b->journal.open = 0;
	b->transfers++;
}

long bank_mend(struct bank *b)
{
	long missing = BANK_TOTAL - bank_sum(b);

	if (!b->journal.open)
		return 0;
	b->balance[b->journal.from] = b->journal.from_before;
	b->balance[b->journal.to] = b->journal.to_before;
	b->journal.open = 0;
	return missing;
}
