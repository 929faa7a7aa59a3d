/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FIPC_CHILD_H
#define FIPC_CHILD_H

/*
 * Write to the memory of a file that somebody may truncate at any moment, for then the kernel ends who writes (SIGBUS): so a
 * process of its own does it. It runs no handler, neither of signals (all are blocked, and the SIGBUS kills all the same) nor
 * of fork, and its end sends no signal. Returns what f does, 0 to 255; -EINVAL: it was killed; -EAGAIN, -ENOMEM: none can
 * be made. f makes nothing but system calls and stores; without TSan, whose threads are not in the child.
 */
int fipc__in_child(int (*f)(void *argument), void *argument);

#endif
