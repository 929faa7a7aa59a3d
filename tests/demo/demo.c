/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process is killed inside a critical section: what happens next, as a time line. Whatever it prints has been
 * checked; if anything does not happen, it says so and exits with 1.
 */
#include "theatre.h"

#include <stdio.h>

enum { VICTIM = 1, LAST = 3, MANY = 5000 };
#define COLUMNS "NAME,STATE,OWNER,WAITERS,ATTACHED,DEATHS"

static struct stage *stage;

static void work_on(void)
{
	long before = stage->bank.transfers;

	await(stage->bank.transfers >= before + MANY, "the workers to move money");
	claim(!stage->wrong, "the sum was wrong, or two were inside, %d times", stage->wrong);
	tell("%ld transfers so far, each under the lock; whoever got it found the sum right",
	     (long)stage->bank.transfers);
}

static void begin(void)
{
	pid_t pids[WORKERS];

	tell("systemd listens on a socket for fipcd, and will start it at the first call");
	for (int i = 0; i < WORKERS; i++)
		pids[i] = worker_start(i);
	await(stage->ready == WORKERS, "four workers to open the lock");
	tell("workers %d %d %d %d move money between %d accounts under the lock \"%s\"", pids[0], pids[1], pids[2],
	     pids[3], BANK_ACCOUNTS, LOCK_NAME);
	work_on();
}

static void stop_one_inside(void)
{
	stage->stop_halfway = VICTIM;
	await(stage->halfway == VICTIM, "a worker to stop inside");
	await(look().waiters == WORKERS - 1, "the other workers to sleep");
	claim(bank_sum(&stage->bank) == BANK_TOTAL - stage->amount, "the transfer is not half done");
	putchar('\n');
	tell("worker %d stops inside: it has taken %ld from account %d, and not yet given it to %d", worker_pid(VICTIM),
	     (long)stage->amount, stage->from, stage->to);
	tell_more("the sum is %ld instead of %d; the others sleep on the lock", bank_sum(&stage->bank), BANK_TOTAL);
	claim(fipcctl("list", "-o", COLUMNS, NULL) == 2, "fipcctl list does not show the lock");
	claim(fipcd_runs(), "fipcd has not been started");
	show_log();
}

/* The lock goes on by the kernel's hand; the rest is fipcd's work. */
static void kill_it(void)
{
	pid_t victim = worker_pid(VICTIM);
	int64_t killed, cleaned;

	putchar('\n');
	tell("SIGKILL to worker %d", victim);
	killed = worker_kill(VICTIM);
	await(!is_tracked(victim), "fipcd to remove what it left");
	cleaned = now_ns();
	claim(look().left == 0 && look().attached == WORKERS - 1, "fipcd has left an entry of the dead process");
	await(stage->heir != NOBODY, "another worker to get the lock");
	claim(stage->put_back == stage->amount, "the transfer was not put back");
	tell_after(stage->told_ns - killed, "worker %d has the lock, and was told: the owner died inside",
		   worker_pid(stage->heir));
	tell_after(stage->mended_ns - killed, "it has put the %ld back into account %d: the sum is right",
		   (long)stage->put_back, stage->from);
	tell_after(cleaned - killed, "fipcd has removed what the dead process left:");
	show_log();
	claim(fipcctl("list", "-o", COLUMNS, NULL) == 2, "fipcctl list does not show the lock");
	work_on();
	claim(stage->deaths == 1, "%d workers were told of a death", stage->deaths);
}

static void end(void)
{
	int64_t killed, gone;

	putchar('\n');
	stage->leave = 1 << 0 | 1 << 2;
	worker_wait(0);
	worker_wait(2);
	claim(look().there && look().attached == 1, "the lock does not stay for the last worker");
	tell("two workers leave; the lock stays, for worker %d has it", worker_pid(LAST));
	tell("SIGKILL to worker %d, the last one", worker_pid(LAST));
	killed = worker_kill(LAST);
	await(!name_is_there() && !is_tracked(worker_pid(LAST)), "fipcd to remove the name");
	gone = now_ns();
	tell_after(gone - killed, "fipcd has removed the lock's name:");
	show_log();
	claim(fipcctl("list", NULL) == 0, "fipcctl list still shows something");
	tell_more("  (nothing)");
}

int main(void)
{
	puts("A lock's owner is killed: the next one is told, and nothing is left behind.\n");
	theatre_open();
	stage = theatre_stage();
	begin();
	stop_one_inside();
	kill_it();
	end();
	putchar('\n');
	tell("done: all of this was checked while it happened");
	return 0;
}
