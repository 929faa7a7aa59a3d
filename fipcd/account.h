/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What each user has taken of the daemon: connections, bytes, and looks at a directory.
 */
#ifndef FIPCD_ACCOUNT_H
#define FIPCD_ACCOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct account {
	struct account *next;
	uid_t uid;
	bool unlimited; /* root: only the bounds of all users together hold */
	unsigned clients;
	size_t pending; /* bytes in the buffers of all its connections */
	uint64_t walks; /* in thousandths; refilled with time */
	uint64_t refilled_usec;
};

struct accounts {
	struct account *first;
	unsigned clients, most_clients;
	size_t pending; /* of all users */
};

/* One connection more: its user's account, or NULL if that is too many (or no memory). */
struct account *account_enter(struct accounts *accounts, uid_t uid, uint64_t now_usec);
void account_leave(struct accounts *accounts, struct account *account);

/*
 * A connection has `now` bytes in its buffers, and had `before`. Returns 0, or -EDQUOT: that is too much for its
 * user, or for all of them and it has more than its share.
 */
int account_hold(struct accounts *accounts, struct account *account, size_t before, size_t now);

/* May this user have a directory looked at now? */
bool account_take_walk(struct account *account, uint64_t now_usec);

void accounts_free(struct accounts *accounts);

#endif
