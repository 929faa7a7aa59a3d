/* SPDX-License-Identifier: Apache-2.0 */
/* hold NAME: lock the mutex of that name, say so on standard output, and keep it until killed. */
#include <fipc.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	fipc_mutex *m;
	int r = argc == 2 ? fipc_mutex_open(&m, argv[1], FIPC_CREATE, 0600) : -1;
	if (r >= 0)
		r = fipc_mutex_lock(m);
	if (r < 0) {
		fprintf(stderr, "hold: %s\n", strerror(-r));
		return 1;
	}
	puts("held");
	fflush(stdout);
	for (;;)
		pause();
}
