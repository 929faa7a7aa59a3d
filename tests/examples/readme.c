/* SPDX-License-Identifier: Apache-2.0 */
int mend(struct box *box)
{
	return fipc_mutex_consistent(&box->lock);
}

/* Somebody else has loaded, and has filled the box. */
int main(void)
{
	struct box box = {.lock = FIPC_MUTEX_INITIALIZER, .full = 1};
	fipc_event *loaded;

	if (fipc_event_open(&loaded, "loaded", FIPC_CREATE, 0600) < 0 || fipc_event_set(loaded) < 0 ||
	    fipc_cond_init(&box.filled, FIPC_PRIVATE) < 0)
		return 1;
	return example(0, &box) < 0;
}
