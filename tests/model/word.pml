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
 *	Spinning is left out: it only loads the word again; before WAITERS is set as a thread does that came later,
 *	after that as one whose FUTEX_WAIT finds another word.
 *	A compare_exchange_weak that fails for no reason is left out: it tries again.
 *	Memory is sequentially consistent here. The protocol is on one word, whose changes have one order on every
 *	machine; what is written under the lock is handed on by the pairs of acquire and release named in mutex.c.
 *
 * The revoker is an operator who calls fipc_mutex_revoke: once whenever he likes, and there he may be killed; and once
 * more, in peace, when all have come to rest and somebody waits for an owner that will never unlock, unless a revoke of
 * just that lock had been completed: then once has to do.
 *
 * Not modelled: destroy, which goes through the same take and let_go; several mutexes at once; a peer that scribbles;
 * who gets the lock how often (nobody is promised a turn); a TID that is given to a new thread.
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
 *	told               killed, or ended, while the word had its TID: the next one to enter gets OWNER_DIED; but for
 *	                   the maker, before whom nobody was inside
 *	gone               unlocked without consistent, or a living owner's lock revoked: nobody enters any more
 *	nobody stranded    when all who are alive have finished or sleep, none sleeps; not even until its time-out
 *	the bit            while somebody sleeps WAITERS is set; who goes to sleep does so on a word with a TID, and not
 *	                   on a revoked one
 *
 * A run is chosen by:
 *
 *	WAITERS_N    threads that lock once, beside the one that barges in: CALLS times (2 unless told), lock or trylock
 *	KILLS        how many SIGKILLs there may be, anywhere
 *	TIMED        a waiter may call lock_until: a time-out, or a signal that it has asked for, may end its sleep at
 *	             any moment; and any sleeper may get a signal that sends it back into FUTEX_WAIT
 *	EXITS        a thread may end while it holds the lock (fipc__mutex_abandon)
 *	REVOKES      there is the revoker; and one thread may stay inside for ever, or vanish there, without the work of
 *	             the kernel at its death: as by an exec that another thread than the main one calls
 *	ATTACH       it begins with zeroed memory: whoever finds that makes the mutex of it (make_in_place)
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
#define MARK_BESIDE 14   /* revoked is said in the state word alone; who goes to sleep looks at it before */
#define HAND_OVER 15     /* a living owner's lock is revoked as a dead one's, and given to the next */
#define WAKE_UNKEPT 16   /* the pending entry is not kept while a dead owner's lock is revoked */
#define STATE_TRUSTED 17 /* revoke does nothing if the state word says not recoverable already */
#define STATE_STORED 18  /* consistent stores without comparing */
#define DEATH_DROPPED 19 /* attach, having found a mutex made meanwhile, lets go of it as if nobody had died */

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
#ifndef REVOKES
#define REVOKES 0
#endif
#ifndef ATTACH
#define ATTACH 0
#endif

#define COUNTING (BAD == COUNT_KEEPS || BAD == COUNT_WAKES)
#define FLAGGING (BAD == FLAG_OUTSIDE || BAD == FLAG_CLEARED)

/* ---- layout.h ---- */

#define WORD_TID 63
#define WORD_OWNER_DIED 64
#define WORD_WAITERS 128

#define TID(v) ((v) & WORD_TID)
#define BIT(v) ((v) & WORD_WAITERS)
#define IS_REVOKED(v) (TID(v) != 0 && ((v) & WORD_OWNER_DIED))

#define STATE_CONSISTENT 0
#define STATE_RECOVERING 1
#define STATE_NOT_RECOVERABLE 2
#define STATE_NEW 3
#define UNMADE 4 /* no magic yet */

#define NOBODYS_TID 63 /* STATE_IN_WORD */

byte word;
byte state = (ATTACH -> UNMADE : STATE_CONSISTENT);
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
byte awake = THREADS + REVOKES; /* neither asleep nor at their end */
byte inside;          /* TID of the one between lock and unlock */
bit untold;           /* an owner died, and nobody has heard yet */
bit unrecoverable;    /* unlocked without consistent, or revoked */
bit gone[THREADS + 1]; /* by TID: there is no such thread any more */
byte stays;           /* TID of an owner that never unlocks: it stays inside, or has vanished there; one in a run */
byte revoked;         /* TID of a living owner that had the word when the revoke of its lock was completed */
bit over;             /* nobody comes any more */

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
	MAKE, STAYING, MEND,
	DEATH_READ, DEATH_SWAP, DEATH_WAKE,
	NOBODY_HERE, REVOKE, REVOKE_LOAD, IS_GONE, REVOKE_SWAP, REVOKE_WAKE, REVOKE_CLEAR, REVOKE_WAKE_ALL,
	REVOKE_STATE, REVOKED
};

#define ME _pid /* init is 0 */

#define IN_VAIN(v) (IS_REVOKED(v) || (BAD == MARK_BESIDE && state == STATE_NOT_RECOVERABLE))

/* acquire: its loop, having v, as far as the next step */
inline look()
{
	if
	:: TID(v) == 0 -> at = (BAD == COUNT_KEEPS -> READ_COUNT : SWAP)
	:: BAD == STATE_IN_WORD && TID(v) == NOBODYS_TID -> at = GIVE_UP
	:: else ->
		assert(BAD || TID(v) != ME);
		if
		:: deadline == now || IN_VAIN(v) -> at = GIVE_UP
		:: deadline != now && !IN_VAIN(v) && COUNTING && !counted -> at = COUNT_UP
		:: else -> at = (BIT(v) -> WAIT : SET_WAITERS)
		fi
	fi
}

/* unlock, let_go: on from a release that found v. odd: something in it to see to, as the one or the other takes it */
inline after_release(odd)
{
	if
	:: BAD == STATE_LATE && spoilt -> at = SAY_STATE
	:: BAD == COUNT_WAKES || FLAGGING -> at = READ_BESIDE
	:: else -> at = (odd -> WAKE : RELEASED)
	fi
}

inline finish()
{
	at = BETWEEN; deadline = forever; calls = 0;
	v = 0; left = 0; died = 0; pending = 0; listed = 0;
	slept = 0; counted = 0; keep = 0; spoilt = 0; attaching = 0;
	gone[ME] = true;
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
	bit attaching;       /* make_in_place */
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
		:: at == STAYING -> awake++
		:: else
		fi;
		if
		:: inside == ME -> inside = 0
		:: else
		fi;
		if
		:: TID(word) == ME && state != UNMADE && state != STATE_NEW -> untold = true
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
		:: state == UNMADE && calls > 0 -> attaching = true; at = TAKE
		:: calls == 0 -> dying = true; finish(); break
		:: state != UNMADE && calls > 0 ->
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
			assert(TID(v) != 0 && (BIT(v) || FLAGGING) && (BAD || !IS_REVOKED(v)));
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
		attaching = false;
		deadline = forever;
		at = BETWEEN
	}

	/* take, lock: push_held; the list has it as soon as FIRST leads to it */
	:: atomic { at == PUSH -> listed = true; at = GOT }

	/* take, lock: clears pending, now that the list has it */
	:: atomic { at == GOT -> pending = false; deadline = forever; at = (attaching -> MAKE : ENTERED) }

	/* make_in_place: somebody may have made it meanwhile; and somebody have died inside */
	:: atomic {
		at == MAKE ->
		if
		:: state == UNMADE -> state = STATE_NEW
		:: else -> left = (died && BAD != DEATH_DROPPED -> WORD_OWNER_DIED : 0)
		fi;
		died = false;
		attaching = false;
		quick = false;
		at = UNLOCK
	}

	/* entered and judge (lock, if all is well): what the state word says. Of others only the revoker writes it, and
	   always the same: to compare it, where it is changed, is the same as to look as late as that */
	:: atomic {
		at == ENTERED ->
		if
		:: state == STATE_NOT_RECOVERABLE -> /* the next one finds the same */
			quick = false;
			at = UNLOCK
		:: else ->
			if
			:: state == STATE_NEW -> state = STATE_CONSISTENT
			:: state != STATE_NEW && (died || state == STATE_RECOVERING) ->
				state = STATE_RECOVERING;
				untold = false
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
	:: atomic {
		at == INSIDE && state == STATE_RECOVERING ->
		if
		:: BAD == STATE_STORED -> at = MEND
		:: else -> state = STATE_CONSISTENT
		fi
	}

	/* STATE_STORED */
	:: atomic { at == MEND -> state = STATE_CONSISTENT; at = INSIDE }

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

	/* unlock_slowly: revoked meanwhile */
	:: atomic { at == INSIDE && state == STATE_NOT_RECOVERABLE -> inside = 0; quick = false; at = UNLOCK }

	/* It never unlocks. It can be killed, and the kernel sees to that. */
	:: atomic { REVOKES && at == INSIDE && stays == 0 -> stays = ME; at = STAYING; rest() }
	:: atomic { at == STAYING && over -> break }

	/* It vanishes. */
	:: atomic {
		REVOKES && at == INSIDE && stays == 0 ->
		stays = ME;
		inside = 0;
		untold = true;
		dying = true;
		finish();
		break
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
		after_release(v != ME)
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
			after_release(BIT(v))
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

/* ---- the revoker ---- */

/* revoke_word: its loop, having v, as far as the next step */
inline look_whose()
{
	if
	:: TID(v) == 0 -> at = REVOKED
	:: else -> at = IS_GONE
	fi
}

proctype revoker()
{
	mtype at = NOBODY_HERE;
	byte v;
	bit dead;
	bit pending;
	bit tried, tries_again;
	bit woke;

	do
	/* SIGKILL, before any step, of the first one. He has no list, but for the pending entry. */
	:: atomic {
		kills > 0 && at != NOBODY_HERE && at != DEATH_READ && at != DEATH_WAKE && !tries_again ->
		kills--;
		at = (pending -> DEATH_READ : NOBODY_HERE);
		v = 0; dead = 0; pending = 0
	}

	/* He comes once. */
	:: atomic { at == NOBODY_HERE && !tried -> tried = true; at = REVOKE }

	/* All have come to rest: he comes once more if there is need. */
	:: atomic {
		at == NOBODY_HERE && awake == 1 ->
		if
		:: ANY_ASLEEP && TID(word) != 0 && TID(word) == stays && stays != revoked && !tries_again ->
			tries_again = true;
			at = REVOKE
		:: else -> over = true; rest(); break
		fi
	}

	/* fipc_mutex_revoke: set_pending, before the word is touched */
	:: atomic {
		at == REVOKE ->
		if
		:: BAD == STATE_TRUSTED && state == STATE_NOT_RECOVERABLE -> at = NOBODY_HERE
		:: else -> pending = BAD != WAKE_UNKEPT; at = REVOKE_LOAD
		fi
	}

	/* revoke_word: loads the word */
	:: atomic { at == REVOKE_LOAD -> v = word; look_whose() }

	/* is_gone: asks the kernel for the TID */
	:: atomic {
		at == IS_GONE ->
		dead = gone[TID(v)] || BAD == HAND_OVER;
		at = (BAD == MARK_BESIDE && !dead -> REVOKE_STATE : REVOKE_SWAP)
	}

	/* revoke_word: a dead owner's word as the kernel would have left it; a living owner's with the mark that nobody
	   waits for */
	:: atomic {
		at == REVOKE_SWAP ->
		if
		:: word == v ->
			set_word((dead -> BIT(v) : v) | WORD_OWNER_DIED);
			at = (!dead -> REVOKE_WAKE_ALL : (BIT(v) -> REVOKE_WAKE : REVOKED))
		:: else -> v = word; look_whose()
		fi
	}

	/* wake, of a dead owner's: FUTEX_WAKE, 1 */
	:: atomic { at == REVOKE_WAKE -> wake_any(woke); at = (woke -> REVOKED : REVOKE_CLEAR); woke = 0 }

	/* wake: fipc__futex_clear_and_wake_all */
	:: atomic { at == REVOKE_CLEAR -> wake_all(); set_word(word & ~WORD_WAITERS); at = REVOKED }

	/* revoke_word, of a living owner's: FUTEX_WAKE, all */
	:: atomic { at == REVOKE_WAKE_ALL -> wake_all(); at = (BAD == MARK_BESIDE -> REVOKED : REVOKE_STATE) }

	/* revoke_word: the state word. If the owner has unlocked since, whoever has got it by now is the last one. */
	:: atomic {
		at == REVOKE_STATE ->
		assert(BAD || !IS_REVOKED(word) || !ANY_ASLEEP);
		state = STATE_NOT_RECOVERABLE;
		unrecoverable = true;
		revoked = (IS_REVOKED(word) || BAD == MARK_BESIDE -> TID(word) : 0); /* 0: overtaken */
		at = (BAD == MARK_BESIDE -> REVOKE_WAKE_ALL : REVOKED)
	}

	/* fipc_mutex_revoke: clears pending */
	:: atomic { at == REVOKED -> v = 0; dead = 0; pending = false; at = NOBODY_HERE }

	/* kernel, handle_futex_death, of his pending entry */
	:: atomic { at == DEATH_READ -> at = (TID(word) == 0 -> DEATH_WAKE : NOBODY_HERE) }
	:: atomic { at == DEATH_WAKE -> wake_any(woke); woke = 0; at = NOBODY_HERE }
	od
}

init {
	atomic {
		run thread(1, 0);
		run thread(1, 0);
#if WAITERS_N == 3
		run thread(1, 0);
#endif
		run thread(CALLS, 1);
		if
		:: REVOKES -> run revoker()
		:: else
		fi
	}
}
