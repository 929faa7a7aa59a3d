/* SPDX-License-Identifier: Apache-2.0 */
/* What the examples of commands look at: the mutex "ledger" and a token of the semaphore "slots", held. Says so in a
 * line, and holds them until its standard input ends. */
#include <fipc.h>
#include <stdio.h>
#include <unistd.h>

int main(void)
{
	fipc_mutex *ledger;
	fipc_sem *slots;
	char end;

	if (fipc_mutex_open(&ledger, "ledger", FIPC_CREATE | FIPC_REPLACE, 0600) < 0 || fipc_mutex_lock(ledger) != 0)
		return 1;
	if (fipc_sem_open(&slots, "slots", 4, FIPC_CREATE | FIPC_OWNED, 0600) < 0 || fipc_sem_wait(slots) < 0)
		return 1;
	puts("held");
	fflush(stdout);
	return read(STDIN_FILENO, &end, 1) != 0;
}
