/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An event loop on io_uring that also waits for a semaphore and an event of fipc, without a thread for them.
 *
 * The loop arms each of them (fipc_futex_arm), has io_uring sleep on the futex word that it is told, and when that
 * completes disarms and tries. Another process posts five tokens and then sets the event. IORING_OP_FUTEX_WAIT needs
 * Linux 6.7; where it is missing this says so and ends with status 77.
 *
 *	cc io_uring_wait.c -lfipc
 */
#include <errno.h>
#include <fipc.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OP_FUTEX_WAIT = 51, SIZE_U32 = 2, ENTRIES = 8, TOKENS = 5, UNSUPPORTED = 77 };

/* ---- the little of io_uring(7) that this needs ---- */

struct ring {
	int fd;
	unsigned *sq_tail, *sq_mask, *sq_array;
	unsigned *cq_head, *cq_tail, *cq_mask;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
};

static void *map(int fd, size_t size, off_t offset)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, offset);
	return p == MAP_FAILED ? NULL : p;
}

static int ring_open(struct ring *r)
{
	struct io_uring_params p = {0};
	char *sq, *cq;
	r->fd = (int)syscall(SYS_io_uring_setup, ENTRIES, &p);
	if (r->fd < 0)
		return -errno;
	sq = map(r->fd, p.sq_off.array + p.sq_entries * sizeof(unsigned), IORING_OFF_SQ_RING);
	cq = map(r->fd, p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe), IORING_OFF_CQ_RING);
	r->sqes = map(r->fd, p.sq_entries * sizeof(struct io_uring_sqe), IORING_OFF_SQES);
	if (!sq || !cq || !r->sqes)
		return -ENOMEM;
	r->sq_tail = (void *)(sq + p.sq_off.tail);
	r->sq_mask = (void *)(sq + p.sq_off.ring_mask);
	r->sq_array = (void *)(sq + p.sq_off.array);
	r->cq_head = (void *)(cq + p.cq_off.head);
	r->cq_tail = (void *)(cq + p.cq_off.tail);
	r->cq_mask = (void *)(cq + p.cq_off.ring_mask);
	r->cqes = (void *)(cq + p.cq_off.cqes);
	return 0;
}

/* Have *f slept on; `which` comes back with the completion. */
static int ring_wait_for(struct ring *r, const struct fipc_futex *f, unsigned which)
{
	unsigned tail = *r->sq_tail, i = tail & *r->sq_mask;
	r->sqes[i] = (struct io_uring_sqe){
		.opcode = OP_FUTEX_WAIT,
		.fd = SIZE_U32,
		.addr = (uintptr_t)f->word,
		.off = f->expected,
		.addr3 = UINT32_MAX, /* woken by any */
		.user_data = which,
	};
	r->sq_array[i] = i;
	__atomic_store_n(r->sq_tail, tail + 1, __ATOMIC_RELEASE);
	return syscall(SYS_io_uring_enter, r->fd, 1, 0, 0, NULL, 0) < 0 ? -errno : 0;
}

/* The next completion: which it is, *ret what became of it. */
static int ring_next(struct ring *r, int *ret)
{
	unsigned head = *r->cq_head;
	const struct io_uring_cqe *c;
	int which;
	while (head == __atomic_load_n(r->cq_tail, __ATOMIC_ACQUIRE))
		if (syscall(SYS_io_uring_enter, r->fd, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0 && errno != EINTR)
			return -errno;
	c = &r->cqes[head & *r->cq_mask];
	*ret = c->res;
	which = (int)c->user_data;
	__atomic_store_n(r->cq_head, head + 1, __ATOMIC_RELEASE);
	return which;
}

/* ---- the loop ---- */

struct shared {
	fipc_sem work;
	fipc_event stop;
};
enum { WORK, STOP };

struct loop {
	struct ring ring;
	struct shared *s;
	struct fipc_waitable w[2];
	int done, stopped;
};

/* Take what there is. */
static int act(struct loop *l, int which)
{
	int r;
	if (which == STOP) {
		r = fipc_event_wait_until(&l->s->stop, FIPC_NOW);
		l->stopped = r == 0;
		return r == -EAGAIN ? 0 : r;
	}
	while ((r = fipc_sem_trywait(&l->s->work)) == 0)
		l->done++;
	return r == -EAGAIN ? 0 : r;
}

/* Until it is armed, take what there is. */
static int arm(struct loop *l, int which)
{
	struct fipc_futex f;
	int r;
	while ((r = fipc_futex_arm(&l->w[which], &f)) == 1) {
		r = act(l, which);
		if (r < 0 || l->stopped)
			return r;
	}
	return r < 0 ? r : ring_wait_for(&l->ring, &f, (unsigned)which);
}

static int run(struct loop *l)
{
	int r = arm(l, WORK), woken = 0;
	if (r == 0)
		r = arm(l, STOP);
	while (r == 0 && !l->stopped) {
		int which = ring_next(&l->ring, &woken);
		if (which < 0)
			return which;
		r = fipc_futex_disarm(&l->w[which]);
		if (r == 0 && woken < 0 && woken != -EAGAIN) /* -EAGAIN: the word had changed before it slept */
			return woken;
		if (r == 0)
			r = act(l, which);
		if (r == 0 && !l->stopped)
			r = arm(l, which);
	}
	return r < 0 ? r : act(l, WORK);
}

/* ---- somebody else ---- */

static int feed(struct shared *s)
{
	int r = 0;
	for (int i = 0; i < TOKENS && r == 0; i++) {
		usleep(1000); /* so that the loop sleeps, as in life */
		r = fipc_sem_post(&s->work, 1);
	}
	return r < 0 ? r : fipc_event_set(&s->stop);
}

int main(void)
{
	struct loop l = {0};
	int r = ring_open(&l.ring), status;
	pid_t pid;
	if (r < 0) {
		printf("SKIP: no io_uring here: %s\n", strerror(-r));
		return UNSUPPORTED;
	}
	l.s = mmap(NULL, sizeof(*l.s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (l.s == MAP_FAILED || fipc_sem_init(&l.s->work, 0, 0) < 0 || fipc_event_init(&l.s->stop, 0) < 0)
		return EXIT_FAILURE;
	l.w[WORK] = (struct fipc_waitable){FIPC_KIND_SEM, &l.s->work};
	l.w[STOP] = (struct fipc_waitable){FIPC_KIND_EVENT, &l.s->stop};
	pid = fork();
	if (pid == 0)
		_exit(feed(l.s) < 0);
	r = pid < 0 ? -errno : run(&l);
	if (pid > 0 && (waitpid(pid, &status, 0) != pid || status != 0))
		return EXIT_FAILURE;
	if (r == -EINVAL) { /* the kernel does not know this operation */
		printf("SKIP: no IORING_OP_FUTEX_WAIT here: it needs Linux 6.7\n");
		return UNSUPPORTED;
	}
	printf("%d of %d tokens: %s\n", l.done, TOKENS, r < 0 ? strerror(-r) : "stopped");
	return r < 0 || l.done != TOKENS ? EXIT_FAILURE : EXIT_SUCCESS;
}
