/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The methods of org.varlink.service and io.fipc.Manager.
 */
#ifndef FIPCD_SERVICE_H
#define FIPCD_SERVICE_H

#include "account.h"
#include "caller.h"
#include "directory.h"
#include "frame.h"

struct service {
	struct directory **directories;
	size_t n_directories;
};

/*
 * Answer one message; what is to be sent is added to `out`. Returns 0, or a negative errno: it is no call (-EBADMSG),
 * or no memory is left; then the connection is of no more use.
 */
int service_handle(const struct service *service, const struct caller *caller, struct account *account,
		   uint64_t now_usec, const char *text, size_t size, struct wire_buffer *out);

/* Say that the daemon has no room for one more connection. */
int service_refuse(struct wire_buffer *out);

#endif
