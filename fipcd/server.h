/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The socket and its connections. None of them holds up another: everything is non-blocking, and each has one call
 * served per turn of the loop.
 */
#ifndef FIPCD_SERVER_H
#define FIPCD_SERVER_H

#include "service.h"

#include <systemd/sd-event.h>

struct server;

/* Serve on a listening Unix socket, which is taken over. Returns 0 or a negative errno. service stays the caller's. */
int server_new(struct server **ret, sd_event *event, int fd, struct service *service);
void server_free(struct server *server);

unsigned server_clients(const struct server *server);

#endif
