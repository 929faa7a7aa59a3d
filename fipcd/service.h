/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The methods of org.varlink.service and io.fipc.Manager: which call goes to which.
 */
#ifndef FIPCD_SERVICE_H
#define FIPCD_SERVICE_H

#include "account.h"
#include "caller.h"
#include "directory.h"
#include "frame.h"
#include "monitor.h"

#include <systemd/sd-event.h>

struct service {
	struct directory **directories;
	size_t n_directories;
	struct monitor *monitor;
	struct accounts accounts;
	uint64_t started_usec; /* on CLOCK_MONOTONIC */
	uint64_t calls, errors, refused;
};

/* One who calls, as the methods see him. */
struct connection {
	struct caller caller;
	struct account *account;
	struct wire_buffer out; /* what he has not read yet */
	struct answer *answer;  /* his last call is still being answered, and no further one is served; NULL: none */
	sd_event_source *turn;  /* enabled: the answer goes on, or the next call is served */
};

/* An answer that takes more than one turn of the loop, or never ends. */
struct answer {
	/* Add to connection->out. Returns what comes next, or a negative errno: the connection is of no more use. */
	int (*go_on)(struct answer *answer, struct connection *connection);
	void (*free)(struct answer *answer);
	size_t held; /* bytes in its hands that are not in connection->out yet */
};
enum { ANSWER_WAITS, ANSWER_GOES_ON, ANSWER_IS_OVER };

/*
 * Answer one message; what is to be sent is added to connection->out, or there is a connection->answer from now on.
 * Returns 0, or a negative errno: it is no call (-EBADMSG), or no memory is left; then the connection is of no more
 * use.
 */
int service_handle(struct service *service, struct connection *connection, uint64_t now_usec, const char *text,
		   size_t size);

/* Say that the daemon has no room for one more connection. */
int service_refuse(struct service *service, struct wire_buffer *out);

#endif
