/* SPDX-License-Identifier: Apache-2.0 */
void do_one(void);
void leave(void);
#define EXAMPLE_PARAMETERS int r, fipc_event *stop, fipc_sem *work
