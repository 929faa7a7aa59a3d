/* SPDX-License-Identifier: Apache-2.0 */
#include "account.h"
#include "limit.h"

#include <errno.h>
#include <stdlib.h>

enum { WALK = 1000 };

static void refill(struct account *account, uint64_t now_usec)
{
	uint64_t elapsed_ms = (now_usec - account->refilled_usec) / 1000;
	account->refilled_usec += elapsed_ms * 1000;
	account->walks += elapsed_ms * LIMIT_WALKS_PER_SEC;
	if (account->walks > LIMIT_WALKS_BURST * WALK)
		account->walks = LIMIT_WALKS_BURST * WALK;
}

/* An account outlives its connections until it is refilled: else hanging up would be the way around the limit. */
static void forget_refilled(struct accounts *accounts, uint64_t now_usec)
{
	for (struct account **a = &accounts->first; *a;) {
		struct account *account = *a;
		refill(account, now_usec);
		if (account->clients == 0 && account->walks == LIMIT_WALKS_BURST * WALK) {
			*a = account->next;
			free(account);
		} else {
			a = &account->next;
		}
	}
}

static struct account *find(struct accounts *accounts, uid_t uid, uint64_t now_usec)
{
	forget_refilled(accounts, now_usec);
	for (struct account *a = accounts->first; a; a = a->next)
		if (a->uid == uid)
			return a;
	struct account *account = malloc(sizeof(*account));
	if (!account)
		return NULL;
	*account = (struct account){
		.next = accounts->first,
		.uid = uid,
		.unlimited = uid == 0,
		.walks = LIMIT_WALKS_BURST * WALK,
		.refilled_usec = now_usec,
	};
	accounts->first = account;
	return account;
}

struct account *account_enter(struct accounts *accounts, uid_t uid, uint64_t now_usec)
{
	struct account *account = find(accounts, uid, now_usec);
	if (!account || accounts->clients >= accounts->most_clients ||
	    (!account->unlimited && account->clients >= LIMIT_CLIENTS_PER_USER))
		return NULL;
	accounts->clients++;
	account->clients++;
	return account;
}

void account_leave(struct accounts *accounts, struct account *account)
{
	accounts->clients--;
	account->clients--;
}

int account_hold(struct accounts *accounts, struct account *account, size_t before, size_t now)
{
	accounts->pending += now - before;
	account->pending += now - before;
	if (account->pending > LIMIT_PENDING_PER_USER)
		return -EDQUOT;
	return accounts->pending > LIMIT_PENDING && now > LIMIT_PENDING_SHARE ? -EDQUOT : 0;
}

bool account_take_walk(struct account *account, uint64_t now_usec)
{
	if (account->unlimited)
		return true;
	refill(account, now_usec);
	if (account->walks < WALK)
		return false;
	account->walks -= WALK;
	return true;
}

void accounts_free(struct accounts *accounts)
{
	while (accounts->first) {
		struct account *account = accounts->first;
		accounts->first = account->next;
		free(account);
	}
}
