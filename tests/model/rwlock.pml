/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rwlock's protocol of libfipc/rwlock.c, for spin: every interleaving of readers and writers, and SIGKILL before
 * every step of each. `sh run.sh` checks it, and that the variants known to be bad are found out.
 *
 * What is modelled: the gate, the state, the slots' words, the one sleeper on slots, and of each thread what it holds
 * (its list) and its pending entry where that is a slot. The gate's own word is that of a mutex, whose protocol word.pml
 * is about: here it is had and let go of in one step, waiting for it is blocking, and death lets go of it.
 *
 *	A step is what cannot be cut in two: an atomic instruction, or a futex system call, which compares and sleeps, or
 *	clears and wakes, under the kernel's lock. Death is several: the kernel looks at one word after the other, and
 *	releases before it wakes.
 *	Whoever sleeps, sleeps on slots, and has the gate: asserted.
 *	Memory is sequentially consistent here: the orders that rwlock.c asks for are all that its claims need, see there.
 *	More slots than can be watched, time-outs and destroy are not modelled.
 *
 * What must hold:
 *
 *	company         a writer inside is alone; readers are with readers
 *	told            killed with the state WRITING or RECOVERING, having the gate: the next to enter is told, and nobody
 *	                enters who is not; nobody is told for any other death
 *	nobody stranded no end state in which a thread sleeps or waits
 *
 * A run is chosen by READERS, WRITERS (threads), TURNS (times that each locks), SLOTS, KILLS, and BAD, a variant:
 */
#define WAITERS_DROPPED 1 /* who takes a slot does not keep WAITERS */
#define GATE_BEFORE 2     /* a reader looks at the gate only before it takes its slot */
#define WRITING_EARLY 3   /* the state says WRITING before the readers have left */
#define CLEAN_LATE 4      /* unlock lets go of the gate before it clears the state */
#define STATE_UNSEEN 5    /* a reader looks at the gate but not at the state */
#define UNPENDED 6        /* a slot is not kept pending until its sleeper is woken */
#define SLOT_MISSED 7     /* a writer looks at all slots but the first */

#ifndef BAD
#define BAD 0
#endif
#ifndef READERS
#define READERS 2
#endif
#ifndef WRITERS
#define WRITERS 1
#endif
#ifndef TURNS
#define TURNS 1
#endif
#ifndef SLOTS
#define SLOTS 2
#endif
#ifndef KILLS
#define KILLS 1
#endif

#define NONE 255
#define CLEAN 0
#define WRITING 1
#define RECOVERING 2

byte gate;                  /* who has it; 0: nobody */
byte state = CLEAN;
byte slot[SLOTS];           /* who has it; 0: nobody */
bool waiters[SLOTS];        /* the bit in its word */
byte sleeper;               /* who sleeps on slots; 0: nobody */
bool on[SLOTS];             /* on which */
byte kills = KILLS;

byte readers_inside, writers_inside; /* and alive */
bool untold;                /* a death inside that nobody was told of yet */

/* Before a step of a thread: here it may be killed. */
#define MAY_DIE if :: kills > 0 -> kills--; goto dead :: true fi

inline enter_to_read()
{
	assert(writers_inside == 0);
	assert(!untold);
	readers_inside++
}

inline enter_to_write()
{
	assert(writers_inside == 0 && readers_inside == 0);
	writers_inside++
}

/* FUTEX_WAKE of one on slot s; if there was nobody, FUTEX_WAKE_OP: the bit goes, and all are woken, but there is nobody. */
inline wake_on(s)
{
	d_step {
		if
		:: sleeper != 0 && on[s] -> sleeper = 0
		:: else -> waiters[s] = false
		fi
	}
}

/* The kernel wakes one, and clears nothing. */
inline kernel_wakes_on(s)
{
	d_step {
		if
		:: sleeper != 0 && on[s] -> sleeper = 0
		:: else
		fi
	}
}

/* try_word() of any slot: mine is the one, or NONE. Tried in each order of two. */
inline take_slot()
{
	i = 0;
	if
	:: true -> first = 0
	:: SLOTS > 1 -> first = 1
	fi;
	do
	:: i < SLOTS && mine == NONE ->
		atomic {
			MAY_DIE;
			if
			:: slot[(i + first) % SLOTS] == 0 ->
				mine = (i + first) % SLOTS;
				slot[mine] = _pid;
				if
				:: BAD == WAITERS_DROPPED -> waiters[mine] = false
				:: else
				fi
			:: else
			fi;
			i++
		}
	:: else -> break
	od
}

/* give_back() of a slot. */
inline give_back()
{
	atomic {
		MAY_DIE;
		slot[mine] = 0;
		pending = mine;
		mine = NONE;
		i = waiters[pending];
		if
		:: BAD == UNPENDED -> first = pending; pending = NONE
		:: else -> first = pending
		fi
	}
	if
	:: i != 0 ->
		atomic { MAY_DIE; wake_on(first); pending = NONE }
	:: else -> pending = NONE
	fi
}

/* mark(): marked says whether it is; not if the slot is free. */
inline mark(s)
{
	atomic {
		MAY_DIE;
		if
		:: slot[s] != 0 -> waiters[s] = true; marked = true
		:: else -> marked = false
		fi
	}
}

/* Going to sleep on slot s, or on all, if each word is still as marked. */
inline sleep_on(s, all)
{
	atomic {
		MAY_DIE;
		assert(sleeper == 0 && gate == _pid);
		i = 0;
		marked = true;
		do
		:: i < SLOTS ->
			if
			:: (all || i == s) && (slot[i] == 0 || !waiters[i]) -> marked = false
			:: else
			fi;
			on[i] = all || i == s;
			i++
		:: else -> break
		od;
		if
		:: marked -> sleeper = _pid
		:: else
		fi;
		i = 0
	}
	if
	:: sleeper != _pid
	:: kills > 0 && sleeper == _pid -> atomic { kills--; sleeper = 0; goto dead }
	fi
}

/* enter_gate(): told says whether a death was. */
inline enter_gate()
{
	if
	:: atomic { gate == 0 -> gate = _pid }
	:: kills > 0 -> kills--; goto dead
	fi;
	atomic {
		MAY_DIE;
		told = state != CLEAN;
		if
		:: told -> assert(untold); untold = false; state = RECOVERING
		:: else -> assert(!untold)
		fi
	}
}

/* Inside, alone, and out: consistent() if told. */
inline write_and_leave()
{
	enter_to_write();
	if
	:: told -> atomic { MAY_DIE; state = WRITING }
	:: else
	fi;
	if
	:: BAD == CLEAN_LATE ->
		atomic { MAY_DIE; writers_inside--; gate = 0 };
		atomic { MAY_DIE; state = CLEAN }
	:: else ->
		atomic { MAY_DIE; writers_inside--; state = CLEAN };
		atomic { MAY_DIE; gate = 0 }
	fi
}

/* exit_robust_list(): the slot and the gate, then the pending entry. What is killed after it was told owes a telling. */
inline die()
{
	atomic {
		if
		:: gate == _pid && state != CLEAN -> untold = true
		:: else
		fi;
		if
		:: inside == 1 -> readers_inside--
		:: else
		fi;
		if
		:: gate == _pid && writers_inside > 0 -> writers_inside--
		:: else
		fi
	}
	if
	:: mine != NONE -> slot[mine] = 0; kernel_wakes_on(mine)
	:: else
	fi;
	if
	:: gate == _pid -> gate = 0
	:: else
	fi;
	if
	:: pending != NONE && slot[pending] == 0 -> kernel_wakes_on(pending)
	:: else
	fi
}

proctype reader()
{
	byte mine = NONE, pending = NONE, i, first, turn, inside;
	bool told, marked;

	do
	:: turn < TURNS ->
		turn++;
		if
		:: gate != 0 -> goto slowly
		:: else
		fi;
		take_slot();
		if
		:: mine == NONE -> goto slowly
		:: else
		fi;
		if
		:: BAD == GATE_BEFORE -> goto reads
		:: else
		fi;
		atomic { MAY_DIE; told = gate != 0 };
		atomic {
			MAY_DIE;
			if
			:: !told && (state == CLEAN || BAD == STATE_UNSEEN) -> goto reads
			:: else
			fi
		}
		give_back();
slowly:
		enter_gate();
		if
		:: told -> write_and_leave(); goto out
		:: else
		fi;
again:
		take_slot();
		if
		:: mine == NONE ->
			first = 0;
			marked = true;
			do
			:: first < SLOTS && marked -> mark(first); first++
			:: else -> break
			od;
			if
			:: marked -> sleep_on(0, true)
			:: else
			fi;
			goto again
		:: else
		fi;
		atomic { MAY_DIE; gate = 0 };
reads:
		atomic { enter_to_read(); inside = 1 };
		atomic { MAY_DIE; readers_inside--; inside = 0 };
		give_back();
out:
		told = false
	:: else -> break
	od;
	goto end;
dead:
	die();
end:
	skip
}

proctype writer()
{
	byte mine = NONE, pending = NONE, i, at, turn, inside;
	bool told, marked;

	do
	:: turn < TURNS ->
		turn++;
		enter_gate();
		if
		:: told -> goto writes
		:: else
		fi;
		if
		:: BAD == WRITING_EARLY -> state = WRITING
		:: else
		fi;
		at = (BAD == SLOT_MISSED -> 1 : 0);
		do
		:: at < SLOTS ->
			atomic {
				MAY_DIE;
				if
				:: slot[at] == 0 -> at++; goto next
				:: else
				fi
			}
			mark(at);
			if
			:: marked -> sleep_on(at, false)
			:: else
			fi;
next:
			skip
		:: else -> break
		od;
		atomic { MAY_DIE; state = WRITING };
writes:
		write_and_leave();
		told = false
	:: else -> break
	od;
	goto end;
dead:
	die();
end:
	skip
}

init {
	byte n;

	atomic {
		do
		:: n < READERS -> run reader(); n++
		:: else -> break
		od;
		n = 0;
		do
		:: n < WRITERS -> run writer(); n++
		:: else -> break
		od
	}
}
