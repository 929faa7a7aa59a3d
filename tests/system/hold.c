/* SPDX-License-Identifier: Apache-2.0 */
/* hold NAME [persist]: lock the mutex of that name, say so on standard output, and keep it until killed. */
#include <fipc.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	fipc_mutex *m;
	unsigned persist = argc == 3 && strcmp(argv[2], "persist") == 0 ? FIPC_PERSIST : 0;
	int r = argc >= 2 ? fipc_mutex_open(&m, argv[1], FIPC_CREATE | persist, 0600) : -1;
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
