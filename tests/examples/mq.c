/* SPDX-License-Identifier: Apache-2.0 */
static uint64_t printed;

void print_pages(const struct job *job)
{
	printed = job->pages;
}

int main(void)
{
	struct fipc_mq_attr attr = {.max_messages = 1, .max_message_size = sizeof(struct job)};
	struct job job = {.id = 1, .pages = 7};
	fipc_mq *jobs;

	if (fipc_mq_open(&jobs, "jobs", &attr, FIPC_CREATE, 0600) < 0 ||
	    fipc_mq_send(jobs, &job, sizeof(job), 0, FIPC_NOW) < 0)
		return 1;
	job.pages = 0;
	return example(job) >= 0 && printed == 7 ? 0 : 1;
}
