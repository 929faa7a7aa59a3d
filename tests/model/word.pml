/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lock word's protocol of libfipc/mutex.c, for spin: every interleaving, and SIGKILL before every step of every
 * thread. `sh run.sh` checks it, and that the variants known to be bad are found out.
 *
 * What is modelled: the lock word, the state word, the kernel's queue of sleepers, and of each thread its list (listed)
 * and its pending entry (pending), by which its death goes. A step is what cannot be cut in two: an atomic instruction,
 * a store that the kernel may look at, a futex system call. Each names the function of mutex.c that takes it; its name
 * in `at` says where a thread stands that has not yet taken it.
 *
 *	FUTEX_WAIT compares and sleeps, and FUTEX_WAKE_OP clears and wakes, in one step: the kernel holds the queue's
 *	lock. Only another thread's atomic instruction could fall between, and it does the same before or after.
 *	Whom FUTEX_WAKE wakes is left open: any sleeper. A sleeper that is killed was woken before, or is not any more.
 *	Spinning before the sleep is left out: it only loads the word again, as a thread does that came later.
 *	A compare_exchange_weak that fails for no reason is left out: it tries again.
 *	Memory is sequentially consistent here. The protocol is on one word, whose changes have one order on every
 *	machine; what is written under the lock is handed on by the pairs of acquire and release named in mutex.c.
 *
 * Not modelled: attach and destroy, which go through the same take and let_go; several mutexes at once; a peer that
 * scribbles; who gets the lock how often (nobody is promised a turn).
 *
 * A death is the kernel's exit_robust_list() and handle_futex_death(): first the list, but for the pending entry, then
 * the pending entry; so one mutex is looked at once.
 *
 *	TID part the dead one's    (word & WAITERS) | OWNER_DIED by compare-and-swap; then wake one, if WAITERS
 *	TID part 0, and pending    wake one
 *	else                       nothing
 *
 * Reading, swapping and waking are steps of their own: others run in between. But nothing kills a thread twice.
 *
 * What must hold, in every state that can be reached:
 *
 *	one inside         never two threads between a lock that succeeded and its unlock
 *	told               killed, or ended, while the word had its TID: the next one to enter gets OWNER_DIED
 *	gone               unlocked without consistent: nobody enters any more
 *	nobody stranded    when all who are alive have finished or sleep, none sleeps; not even until its time-out
 *	the bit            while somebody sleeps WAITERS is set; who goes to sleep does so on a word with a TID
 *
 * A run is chosen by:
 *
 *	WAITERS_N    threads that lock once, beside the one that barges in: CALLS times (2 unless told), lock or trylock
 *	KILLS        how many SIGKILLs there may be, anywhere
 *	TIMED        a waiter may call lock_until: a time-out, or a signal that it has asked for, may end its sleep at
 *	             any moment; and any sleeper may get a signal that sends it back into FUTEX_WAIT
 *	EXITS        a thread may end while it holds the lock (fipc__mutex_abandon)
 *	BAD          a variant, see below; "the bit" is not asserted then, so that what follows from it is seen
 *
 * A failure as a story, the shortest: spin -a -DBAD=1 word.pml && cc -w -DSAFETY -DREACH -o pan pan.c && ./pan -i &&
 * spin -DBAD=1 -t -p -g -l word.pml
 */

/* Variants known to be bad. */
#define UNLOCK_CLEARS 1  /* unlock stores 0 and wakes one; who has slept acquires with WAITERS (glibc) */
#define COUNT_KEEPS 2    /* a count of waiters, read before acquiring, decides whether the bit is kept */
#define COUNT_WAKES 3    /* a count of waiters, read after releasing, decides whether to wake (musl) */
#define FLAG_OUTSIDE 4   /* a flag beside the word says that somebody sleeps; set before each sleep, never cleared */
#define FLAG_CLEARED 5   /* the same, cleared when nobody was woken, together with waking all */
#define CLEAR_ONLY 6     /* WAITERS goes after a wake of nobody, but without waking all in the same step */
#define STATE_IN_WORD 7  /* not recoverable is said by a TID that nobody has */
#define STATE_LATE 8     /* not recoverable is said after the release */
#define TIMEOUT_FIRST 9  /* a wake-up and a time-out at once are a time-out */
#define NOT_PENDING 10   /* the pending entry is not kept during the sleep */
#define WHOLE_WORD 11    /* an older kernel: it passes a wake-up on if the whole word is 0, not just the TID part */
#define BLIND_SWAP 12    /* acquire stores its TID without comparing */
#define UNTOLD 13        /* acquire takes OWNER_DIED for a free word */

#ifndef BAD
#define BAD 0
#endif
#ifndef WAITERS_N
#define WAITERS_N 2
#endif
#ifndef CALLS
#define CALLS 2
#endif
#ifndef KILLS
#define KILLS 1
#endif
#ifndef TIMED
#define TIMED 0
#endif
#ifndef EXITS
#define EXITS 0
#endif

#define COUNTING (BAD == COUNT_KEEPS || BAD == COUNT_WAKES)
#define FLAGGING (BAD == FLAG_OUTSIDE || BAD == FLAG_CLEARED)

/* ---- layout.h ---- */

#define WORD_TID 63
#define WORD_OWNER_DIED 64
#define WORD_WAITERS 128

#define TID(v) ((v) & WORD_TID)
#define BIT(v) ((v) & WORD_WAITERS)

#define STATE_CONSISTENT 0
#define STATE_RECOVERING 1
#define STATE_NOT_RECOVERABLE 2

#define NOBODYS_TID 63 /* STATE_IN_WORD */

byte word;
byte state;
byte waiter_count; /* COUNT_KEEPS, COUNT_WAKES */
bit flag;          /* FLAG_OUTSIDE, FLAG_CLEARED */

/* ---- the kernel's queue of the word, by TID ---- */

#define THREADS (WAITERS_N + 1)

bit asleep[THREADS + 1];

#if WAITERS_N == 2
#define ANY_ASLEEP (asleep[1] || asleep[2] || asleep[3])
#elif WAITERS_N == 3
#define ANY_ASLEEP (asleep[1] || asleep[2] || asleep[3] || asleep[4])
#else
#error "two waiters or three"
#endif

/* ---- what is watched ---- */

byte kills = KILLS;
byte awake = THREADS; /* neither asleep nor at their end */
byte inside;          /* TID of the one between lock and unlock */
bit untold;           /* an owner died, and nobody has heard yet */
bit unrecoverable;    /* unlocked without consistent */

inline rest() /* asleep, finished, or dead to the end */
{
	awake--;
	assert(awake > 0 || !ANY_ASLEEP);
	assert(awake > 0 || BAD != COUNT_WAKES || waiter_count == 0) /* too high for ever: each unlock a system call */
}

/* A macro: an inline would not take a conditional expression. */
#define set_word(value)                                                                                                \
	word = (value);                                                                                                \
	assert(BAD || BIT(word) || !ANY_ASLEEP)

inline wake_up(who)
{
	asleep[who] = 0;
	awake++
}

inline wake_any(ret_woken) /* FUTEX_WAKE, 1 */
{
	if
	:: asleep[1] -> wake_up(1); ret_woken = true
	:: asleep[2] -> wake_up(2); ret_woken = true
	:: asleep[3] -> wake_up(3); ret_woken = true
#if WAITERS_N == 3
	:: asleep[4] -> wake_up(4); ret_woken = true
#endif
	:: else -> ret_woken = false
	fi
}

inline wake_all()
{
	if :: asleep[1] -> wake_up(1) :: else fi;
	if :: asleep[2] -> wake_up(2) :: else fi;
	if :: asleep[3] -> wake_up(3) :: else fi
#if WAITERS_N == 3
	;
	if :: asleep[4] -> wake_up(4) :: else fi
#endif
}

/* ---- a thread ---- */

mtype = { forever, later, now };

mtype = {
	BETWEEN, FAST_SWAP, TAKE, LOAD, READ_COUNT, SWAP, COUNT_UP, SET_WAITERS, WAIT, ASLEEP, COUNT_DOWN, GIVE_UP,
	PUSH, GOT, ENTERED, INSIDE,
	UNLOCK, POP, SUBTRACT, RELEASE_LOAD, RELEASE_SWAP, SAY_STATE, READ_BESIDE, WAKE, CLEAR_AND_WAKE_ALL, RELEASED,
	DEATH_READ, DEATH_SWAP, DEATH_WAKE
};

#define ME _pid /* init is 0 */

/* acquire: its loop, having v, as far as the next step */
inline look()
{
	if
	:: TID(v) == 0 -> at = (BAD == COUNT_KEEPS -> READ_COUNT : SWAP)
	:: BAD == STATE_IN_WORD && TID(v) == NOBODYS_TID -> at = GIVE_UP
	:: else ->
		assert(BAD || TID(v) != ME);
		if
		:: deadline == now -> at = GIVE_UP
		:: deadline != now && COUNTING && !counted -> at = COUNT_UP
		:: else -> at = (BIT(v) -> WAIT : SET_WAITERS)
		fi
	fi
}

/* unlock, let_go: on from a release that found v */
inline after_release()
{
	if
	:: BAD == STATE_LATE && spoilt -> at = SAY_STATE
	:: BAD == COUNT_WAKES || FLAGGING -> at = READ_BESIDE
	:: else -> at = (BIT(v) -> WAKE : RELEASED)
	fi
}

inline finish()
{
	at = BETWEEN; deadline = forever; calls = 0;
	v = 0; left = 0; died = 0; pending = 0; listed = 0;
	slept = 0; counted = 0; keep = 0; spoilt = 0;
	rest()
}

proctype thread(byte calls; bit barges)
{
	mtype at = BETWEEN;
	mtype deadline = forever;
	byte v;              /* as in acquire and release: what was last seen in the word */
	byte left;           /* let_go's argument */
	bit died;            /* what acquire said */
	bit quick;           /* unlock: the fast path */
	bit pending, listed; /* what the kernel would find */
	bit dying;
	bit slept, counted, keep, spoilt; /* used by variants alone */
	bit woke;

	do
	/* SIGKILL, before any step. A sleeper leaves the queue first: it is not woken, or it had been. */
	:: atomic {
		kills > 0 && !dying ->
		kills--;
		dying = true;
		if
		:: asleep[ME] -> wake_up(ME)
		:: else
		fi;
		if
		:: inside == ME -> inside = 0
		:: else
		fi;
		if
		:: TID(word) == ME -> untold = true
		:: else
		fi;
		if
		:: pending || listed -> at = DEATH_READ
		:: else -> finish(); break
		fi
	}

	/* lock: set_pending, before the word is touched */
	:: atomic {
		at == BETWEEN ->
		if
		:: calls == 0 -> dying = true; finish(); break
		:: calls > 0 ->
			calls--;
			if
			:: deadline = forever
			:: TIMED && !barges -> deadline = later
			:: barges -> deadline = now
			fi;
			pending = true;
			at = FAST_SWAP
		fi
	}

	/* lock: swaps 0, and nothing else, for its TID; else clears pending, and lock_slowly begins anew */
	:: atomic {
		at == FAST_SWAP ->
		if
		:: word == 0 -> set_word(ME); at = PUSH
		:: else -> pending = false; at = TAKE
		fi
	}

	/* take: set_pending; what it had cleared is not missed, for nobody had woken it */
	:: atomic { at == TAKE -> pending = true; at = LOAD }

	/* acquire: loads the word, at first and after each sleep (NOT_PENDING: and only now sets pending again) */
	:: atomic { at == LOAD -> v = word; pending = true; look() }

	/* COUNT_KEEPS: is it needed that the bit stays? */
	:: atomic { at == READ_COUNT -> keep = waiter_count != 0; at = SWAP }

	/* acquire: swaps a word of TID 0 for its TID, and keeps WAITERS, for whoever sleeps on; OWNER_DIED it takes */
	:: atomic {
		at == SWAP ->
		if
		:: word == v || BAD == BLIND_SWAP ->
			if
			:: BAD == COUNT_KEEPS -> set_word(ME | (keep -> BIT(v) : 0))
			:: else -> set_word(ME | BIT(v) | (slept -> WORD_WAITERS : 0))
			fi;
			died = BAD != UNTOLD && (v & WORD_OWNER_DIED) != 0;
			v = 0; slept = 0; keep = 0;
			at = PUSH
		:: else -> v = word; look()
		fi
	}

	/* COUNT_KEEPS, COUNT_WAKES: counts itself among the waiters */
	:: atomic { at == COUNT_UP -> waiter_count++; counted = true; at = (BIT(v) -> WAIT : SET_WAITERS) }

	/* acquire: sets WAITERS before it sleeps, in a word that has an owner still */
	:: atomic {
		at == SET_WAITERS ->
		if
		:: FLAGGING -> flag = true; at = WAIT
		:: !FLAGGING && word == v -> v = v | WORD_WAITERS; set_word(v); at = WAIT
		:: else ->
			v = word;
			if
			:: COUNTING -> at = COUNT_DOWN
			:: else -> look()
			fi
		fi
	}

	/* acquire: fipc__futex_wait. Sleeps if the word is v still, which has an owner and WAITERS; else -EAGAIN */
	:: atomic {
		at == WAIT ->
		if
		:: word == v ->
			assert(TID(v) != 0 && (BIT(v) || FLAGGING));
			asleep[ME] = true;
			slept = BAD == UNLOCK_CLEARS;
			pending = BAD != NOT_PENDING;
			at = ASLEEP;
			rest()
		:: else -> v = 0; at = (COUNTING -> COUNT_DOWN : LOAD)
		fi
	}

	/* acquire: woken; by whom, and whether it may have the word, is to be seen */
	:: atomic { at == ASLEEP && !asleep[ME] -> v = 0; at = (COUNTING -> COUNT_DOWN : LOAD) }

	/* acquire: -ETIMEDOUT or -EINTR, of a sleeper that was not woken */
	:: atomic { at == ASLEEP && asleep[ME] && deadline == later -> wake_up(ME); at = GIVE_UP }
	:: atomic { BAD == TIMEOUT_FIRST && at == ASLEEP && !asleep[ME] && deadline == later -> at = GIVE_UP }

	/* fipc__futex_wait: a signal came that the thread had not asked to hear of: waits again, for the same value */
	:: atomic { TIMED && at == ASLEEP && asleep[ME] -> wake_up(ME); at = WAIT }

	/* COUNT_KEEPS, COUNT_WAKES: no waiter any more */
	:: atomic { at == COUNT_DOWN -> waiter_count--; counted = false; at = LOAD }

	/* take: clears pending, having failed: no wake-up was given to it, or it would have tried once more */
	:: atomic {
		at == GIVE_UP ->
		waiter_count = waiter_count - counted;
		v = 0; slept = 0; counted = 0; keep = 0;
		pending = false;
		deadline = forever;
		at = BETWEEN
	}

	/* take, lock: push_held; the list has it as soon as FIRST leads to it */
	:: atomic { at == PUSH -> listed = true; at = GOT }

	/* take, lock: clears pending, now that the list has it */
	:: atomic { at == GOT -> pending = false; deadline = forever; at = ENTERED }

	/* entered (lock, if all is well): what the state word says; no other thread writes it meanwhile */
	:: atomic {
		at == ENTERED ->
		if
		:: state == STATE_NOT_RECOVERABLE -> /* the next one finds the same */
			quick = false;
			at = UNLOCK
		:: else ->
			if
			:: died || state == STATE_RECOVERING -> state = STATE_RECOVERING; untold = false
			:: else
			fi;
			assert(!untold);
			assert(!unrecoverable);
			assert(inside == 0);
			inside = ME;
			at = INSIDE
		fi;
		died = false
	}

	/* unlock, of a consistent mutex */
	:: atomic { at == INSIDE && state == STATE_CONSISTENT -> inside = 0; quick = true; at = UNLOCK }

	/* consistent */
	:: atomic { at == INSIDE && state == STATE_RECOVERING -> state = STATE_CONSISTENT }

	/* unlock_slowly: after a death and without consistent. The state word first: the release publishes it. */
	:: atomic {
		at == INSIDE && state == STATE_RECOVERING ->
		inside = 0;
		if
		:: BAD == STATE_LATE -> spoilt = true
		:: BAD == STATE_IN_WORD -> left = NOBODYS_TID
		:: else -> state = STATE_NOT_RECOVERABLE
		fi;
		quick = false;
		at = UNLOCK
	}

	/* fipc__mutex_abandon: the thread ends, holding it */
	:: atomic {
		EXITS && at == INSIDE ->
		inside = 0;
		untold = true;
		left = WORD_OWNER_DIED;
		calls = 0;
		quick = false;
		at = UNLOCK
	}

	/* unlock, let_go: set_pending, before the list loses it */
	:: atomic { at == UNLOCK -> pending = true; at = POP }

	/* unlock: pop_held; let_go: remove_held */
	:: atomic { at == POP -> listed = false; at = (quick -> SUBTRACT : RELEASE_LOAD) }

	/* unlock: subtracts its TID, whatever the bits are now, and so WAITERS stays */
	:: atomic {
		at == SUBTRACT ->
		assert(BAD || TID(word) == ME);
		v = word;
		set_word((BAD == UNLOCK_CLEARS -> 0 : word - ME));
		after_release()
	}

	/* release: loads the word */
	:: atomic { at == RELEASE_LOAD -> v = word; at = RELEASE_SWAP }

	/* release: the same by compare-and-swap, leaving 0 or OWNER_DIED */
	:: atomic {
		at == RELEASE_SWAP ->
		assert(BAD || TID(v) == ME);
		if
		:: word == v ->
			set_word(left | (BAD == UNLOCK_CLEARS -> 0 : BIT(v)));
			unrecoverable = state == STATE_NOT_RECOVERABLE || left == NOBODYS_TID || spoilt;
			after_release()
		:: else -> v = word
		fi
	}

	/* STATE_LATE */
	:: atomic {
		at == SAY_STATE ->
		state = STATE_NOT_RECOVERABLE;
		spoilt = false;
		at = (BIT(v) -> WAKE : RELEASED)
	}

	/* COUNT_WAKES, FLAG_OUTSIDE, FLAG_CLEARED: is there anybody to wake? */
	:: atomic { at == READ_BESIDE -> at = (waiter_count > 0 || flag -> WAKE : RELEASED) }

	/* wake: FUTEX_WAKE, 1 */
	:: atomic {
		at == WAKE ->
		v = 0;
		if
		:: left == NOBODYS_TID -> wake_all(); woke = true
		:: else -> wake_any(woke)
		fi;
		at = (woke || BAD == UNLOCK_CLEARS || BAD == FLAG_OUTSIDE -> RELEASED : CLEAR_AND_WAKE_ALL);
		woke = 0
	}

	/* wake: fipc__futex_clear_and_wake_all, FUTEX_WAKE_OP: nobody was asleep, but somebody may be by now */
	:: atomic {
		at == CLEAR_AND_WAKE_ALL ->
		if
		:: BAD != CLEAR_ONLY -> wake_all()
		:: else
		fi;
		if
		:: BAD == FLAG_CLEARED -> flag = false
		:: else -> set_word(word & ~WORD_WAITERS)
		fi;
		at = RELEASED
	}

	/* unlock, let_go: clears pending */
	:: atomic { at == RELEASED -> v = 0; left = 0; pending = false; at = BETWEEN }

	/* kernel, handle_futex_death: reads the word */
	:: atomic {
		at == DEATH_READ ->
		v = word;
		if
		:: pending && (BAD == WHOLE_WORD -> v == 0 : TID(v) == 0) -> at = DEATH_WAKE
		:: TID(v) == ME -> at = DEATH_SWAP
		:: else -> finish(); break
		fi
	}

	/* kernel, handle_futex_death: says that the owner died; again from the start if the word has changed */
	:: atomic {
		at == DEATH_SWAP ->
		if
		:: word == v ->
			set_word(BIT(v) | WORD_OWNER_DIED);
			if
			:: BIT(v) -> at = DEATH_WAKE
			:: else -> finish(); break
			fi
		:: else -> at = DEATH_READ
		fi
	}

	/* kernel, handle_futex_death: wakes one, if there is one */
	:: atomic { at == DEATH_WAKE -> wake_any(woke); woke = 0; finish(); break }
	od
}

init {
	atomic {
		run thread(1, 0);
		run thread(1, 0);
#if WAITERS_N == 3
		run thread(1, 0);
#endif
		run thread(CALLS, 1)
	}
}
