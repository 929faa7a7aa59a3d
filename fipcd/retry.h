/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What could not be settled at the first look, and when to look again. A death is told to inotify a moment before the
 * kernel drops the dead process's locks and mappings, and somebody may be opening or looking at an object just then: so
 * "alive", "busy" and "untracked" right after a death are asked again a few times, at growing intervals.
 */
#ifndef FIPCD_RETRY_H
#define FIPCD_RETRY_H

#include <fipc/registry.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct retry {
	enum retry_what { RETRY_ALL, RETRY_DEAD, RETRY_TRACKER, RETRY_OBJECT } what;
	char *name;          /* of the tracker, or the object; NULL: look at all objects, or all that is dead */
	enum fipc_type type; /* of the object; 0: an unfinished one */
	int pid;             /* whose death made it worth a look; 0: not known */
	unsigned tries;
	uint64_t due_usec;
	bool open; /* was due, and is still not settled */
};

struct retries {
	struct retry *items;
	size_t n, capacity;
};

#define RETRY_NEVER UINT64_MAX

/* Note an object, or a tracker, to be looked at again. One that is noted already keeps its turn. -ENOMEM or 0. */
int retry_object(struct retries *q, const char *name, enum fipc_type type, int pid, uint64_t now_usec);
int retry_tracker(struct retries *q, const char *tracker, uint64_t now_usec);

/* There is news of an object: look at it at once, and begin anew with the intervals. */
int retry_object_now(struct retries *q, const char *name, enum fipc_type type, int pid, uint64_t now_usec);

/* Note that it is to be asked a little later who has died. */
int retry_dead(struct retries *q, uint64_t now_usec);

/* Whose death an object was noted for; 0: not known. */
int retry_pid(const struct retries *q, const char *name, enum fipc_type type);

/* When the next one is due, or RETRY_NEVER. */
uint64_t retry_next(const struct retries *q);

/*
 * A round: retry_begin() marks all that are due as settled; the looks that follow note some again; retry_end() drops
 * the others, and sets the rest their next time. Those whose tries are used up are told to the callback, and dropped.
 */
void retry_begin(struct retries *q, uint64_t now_usec);
void retry_end(struct retries *q, uint64_t now_usec, void (*given_up)(const struct retry *, void *), void *context);

void retries_free(struct retries *q);

#endif
