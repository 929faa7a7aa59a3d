/* SPDX-License-Identifier: Apache-2.0 */
static int used;

void use(const struct config *config)
{
	(void)config;
	used++;
}

int main(void)
{
	fipc_event *loaded;

	if (fipc_event_open(&loaded, "config-loaded", FIPC_CREATE, 0600) < 0 || fipc_event_set(loaded) < 0)
		return 1;
	return example(0, NULL) == 0 && used ? 0 : 1;
}
