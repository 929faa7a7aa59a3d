/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every bound on what a client, or an owner of objects, can make the daemon spend. The size of one message is
 * WIRE_MESSAGE_MAX (16 MiB).
 */
#ifndef FIPCD_LIMIT_H
#define FIPCD_LIMIT_H

enum {
	LIMIT_CLIENTS = 256,                /* connections at once */
	LIMIT_CLIENTS_PER_USER = 32,        /* of them, of one uid; root may have all */
	LIMIT_PENDING_PER_CLIENT = 1 << 20, /* bytes of replies not yet read, above which no further call is served */
	LIMIT_PENDING_PER_USER = 64 << 20,  /* bytes half received or not yet read, of all connections of one uid */
	LIMIT_CLIENT_IDLE_SEC = 60,         /* a connection without a whole call for so long is closed */
	LIMIT_WALKS_PER_SEC = 32,           /* calls that look at a directory, of one uid; root: no limit */
	LIMIT_WALKS_BURST = 128,            /* so many may come at once */

	LIMIT_OBJECT_WATCHES = 1024, /* objects in a directory that nobody is attached to, and somebody has mapped */
	LIMIT_RETRIES = 1024,        /* things in a directory to be looked at again; more: the whole directory is */
	RETRY_FIRST_USEC = 100,      /* the first look again, */
	RETRY_TRIES = 14,            /* then after twice that, four times, ...: 3 s in all */
	RETRY_ALL_USEC = 20000,      /* when a directory has been looked at for the first time, the second look */

	IDLE_EXIT_MIN_SEC = 30, /* less would start and stop with every short-lived object */
};

#endif
