/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every bound on what a client, or an owner of objects, can make the daemon spend. The size of one message is
 * WIRE_MESSAGE_MAX (16 MiB).
 */
#ifndef FIPCD_LIMIT_H
#define FIPCD_LIMIT_H

enum {
	LIMIT_CLIENTS = 4096,               /* connections at once; fewer if the process may not open so many files */
	LIMIT_CLIENTS_PER_USER = 256,       /* of them, of one uid; root may have all */
	LIMIT_OTHER_FILES = 128,            /* descriptors that connections leave to the rest of the daemon */
	LIMIT_PENDING_PER_CLIENT = 1 << 20, /* bytes of replies not yet read, above which no further call is served */
	LIMIT_PENDING_PER_USER = 64 << 20,  /* bytes half received or not yet read, of all connections of one uid */
	LIMIT_PENDING = 128 << 20,          /* of all users; then who has more than his share is hung up on */
	LIMIT_PENDING_SHARE = 64 << 10,     /* of one connection */
	LIMIT_CLIENT_IDLE_SEC = 60,         /* a connection that neither calls nor reads for so long is closed */
	LIMIT_WALKS_PER_SEC = 32,           /* calls that look at a directory, of one uid; root: no limit */
	LIMIT_WALKS_BURST = 128,            /* so many may come at once */

	LIMIT_CALL_PER_WALK = 1 << 20,      /* so many bytes of a call, beyond the first so many, count like a look */

	LIMIT_OBJECTS_PER_TURN = 64,      /* a List looks at so many before others have their turn */
	LIMIT_LIST_CHUNK = 64 << 10,      /* bytes of one of its replies, about, when there may be many */
	LIMIT_EVENTS_PENDING = 256 << 10, /* bytes that a listener has not read; further events are lost to him */
	LIMIT_TRAFFIC_WATCHES = 16384,    /* objects in a directory whose coming and going of users is told */
	LIMIT_TOLL = 1 << 16,             /* locks in a directory in which an owner has died, and that are still there */

	LIMIT_OBJECT_WATCHES = 1024, /* objects in a directory that nobody is attached to, and somebody has mapped */
	LIMIT_RETRIES = 1024,        /* things in a directory to be looked at again; more: the whole directory is */
	SCAN_LEAST_USEC = 1000000,   /* while the kernel grants no watches, everything is looked at: not more often, */
	SCAN_SHARE = 20,             /* and not for more than this part of the time (a twentieth) */
	RETRY_FIRST_USEC = 100,      /* the first look again, */
	RETRY_TRIES = 14,            /* then after twice that, four times, ...: 3 s in all */
	RETRY_DEAD_USEC = 20000,     /* when a directory has been looked at for the first time, who has died since? */

	GRAPH_LEAST_USEC = 20000, /* from one look at who waits for whom to the next, at least; */
	GRAPH_SHARE = 4,          /* and so many times as long as the last one took */
	POSSIBLE_DEADLOCK_USEC = 1000000, /* from one possible deadlock that is told of to the next */
	LIMIT_DEADLOCKS_TOLD = 64,        /* are remembered, not to be told of again */

	IDLE_EXIT_MIN_SEC = 30, /* less would start and stop with every short-lived object */
};

#endif
