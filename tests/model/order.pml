/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Litmus tests of a weakly ordered machine: what docs/memory-order.md says of AArch64, for the places of libfipc where one
 * word is stored, or looked at, before another. The other models know one order that all see; here each thread performs
 * its loads and stores in any order that the architecture allows, and each is seen by all at once (AArch64 is
 * multi-copy atomic). OP(x, y, ...) is one of them: x is its bit, y those that come before it, by coherence, or because
 * one of the two is a release, an acquire, or seq_cst.
 *
 *	LITMUS    the place
 *	ATTACH    place.c: one makes a primitive in zeroed memory, another looks whether it is made
 *	DEKKER    each says something, then looks at what the other one says: a reader's slot and the writer's gate, `any`,
 *	          `turn`, `emptied` and the state beside them
 *	CLOSE     robust.h: one lets go of a lock, another, who closes it, looks whether it is held or pending
 *	WAITS     slot.c: a thread writes what it waits for, and fipcd reads it twice
 *
 * WEAK: without one of the orders. PENDING_FIRST: looked at in the other order, which is wrong on any machine.
 */
#define ATTACH 1
#define DEKKER 2
#define CLOSE 3
#define WAITS 4

#define NOTHING 0
#define STORE 1
#define LOAD 2
#define PENDING_FIRST 3

#ifndef WEAK
#define WEAK NOTHING
#endif

#if WEAK == STORE
#define STORED(before) 0
#else
#define STORED(before) before
#endif
#if WEAK == LOAD
#define LOADED(before) 0
#else
#define LOADED(before) before
#endif

#define OP(bit, before, action) :: !(done & (bit)) && (done & (before)) == (before) -> atomic { action; done = done | bit }
#define ALL(bits) :: done == (bits) -> break

bool unordered;
byte finished;

#if LITMUS == ATTACH

bit kind, own, magic;

proctype one()
{
	byte done;
	do
	OP(1, 0, kind = 1)
	OP(2, STORED(1), own = 1)
	OP(4, 1 | 2, magic = 1)
	ALL(7)
	od;
	finished++
}

proctype another()
{
	byte done;
	bit first_magic, first_kind, owns, second_kind, second_magic;
	do
	OP(1, 0, first_magic = magic)
	OP(2, 0, first_kind = kind)
	OP(4, 0, owns = own)
	OP(8, 2 | LOADED(4), second_kind = kind)
	OP(16, 1 | LOADED(4) | 8, second_magic = magic)
	ALL(31)
	od;
	/* Not made, not zeros, and not of this kind: refused. */
	unordered = !first_magic && (first_kind || owns) && !second_kind && !second_magic;
	assert(!unordered);
	finished++
}

#elif LITMUS == DEKKER

bit said[2], saw[2];

proctype one()
{
	byte done;
	do
	OP(1, 0, said[0] = 1)
	OP(2, LOADED(1), saw[0] = said[1])
	ALL(3)
	od;
	finished++
}

proctype another()
{
	byte done;
	do
	OP(1, 0, said[1] = 1)
	OP(2, LOADED(1), saw[1] = said[0])
	ALL(3)
	od;
	finished++;
	finished == 2;
	unordered = !saw[0] && !saw[1];
	assert(!unordered)
}

#elif LITMUS == CLOSE

bit held = 1, pending, released;

/* What comes before a store is known not to fault by the time that the store is seen. */
proctype one()
{
	byte done;
	do
	OP(1, 0, pending = 1)
	OP(2, STORED(1), held = 0)
	OP(4, 1 | 2, released = 1)
	OP(8, 1 | 4, pending = 0)
	ALL(15)
	od;
	finished++
}

proctype another()
{
	byte done;
	bit saw_held, saw_pending;
	do
#if WEAK == PENDING_FIRST
	OP(1, 2, saw_held = held)
	OP(2, 0, saw_pending = pending)
#else
	OP(1, 0, saw_held = held)
	OP(2, LOADED(1), saw_pending = pending)
#endif
	ALL(3)
	od;
	unordered = !saw_held && !saw_pending && !released; /* and unmaps it */
	assert(!unordered);
	finished++
}

#elif LITMUS == WAITS

byte number = 1, object = 1, since = 1;

proctype one()
{
	byte done;
	do
	OP(1, 0, number = 2)
	OP(2, STORED(1), object = 2)
	OP(4, STORED(1), since = 2)
	OP(8, 1 | 2 | 4, number = 3)
	ALL(15)
	od;
	finished++
}

#define FIRST (1 | 2 | 4)

/* Between its system calls the kernel has full barriers. */
proctype another()
{
	byte done, n[2], o[2], s[2];
	do
	OP(1, 0, n[0] = number)
	OP(2, 0, o[0] = object)
	OP(4, 0, s[0] = since)
	OP(8, LOADED(FIRST), n[1] = number)
	OP(16, LOADED(FIRST), o[1] = object)
	OP(32, LOADED(FIRST), s[1] = since)
	ALL(63)
	od;
	unordered = (n[0] & 1) && n[0] == n[1] && o[0] == o[1] && s[0] == s[1] && (o[0] != s[0] || o[0] != (n[0] + 1) / 2);
	assert(!unordered);
	finished++
}

#endif

init
{
	atomic {
		run one();
		run another()
	}
}
