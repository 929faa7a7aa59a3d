/* SPDX-License-Identifier: Apache-2.0 */
/* peer <name>: a program in C that waits for the mutex, says what it was told when it had it, and mends. */
#include <fipc.h>
#include <stdio.h>

int main(int argc, char **argv)
{
	fipc_mutex *m;
	int r = fipc_mutex_open(&m, argc > 1 ? argv[1] : "", FIPC_CREATE, 0600);
	setlinebuf(stdout);
	if (r < 0)
		return 1;
	puts("open");
	r = fipc_mutex_lock(m);
	puts(r == FIPC_OWNER_DIED ? "owner died" : r == 0 ? "held" : "not held");
	if (r == FIPC_OWNER_DIED)
		r = fipc_mutex_consistent(m);
	if (r == 0)
		r = fipc_mutex_unlock(m);
	return r != 0 || fipc_mutex_close(m) != 0;
}
