/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The semaphore's protocol (libfipc/sem.c), as a model: WAITERS_N threads that wait CALLS times, one that tries once,
 * and POSTERS posters of POSTS tokens each. Every step is one atomic instruction, one store that the kernel may look
 * at, or one futex system call. SIGKILL comes before any step of any thread, KILLS times at most, and the kernel's work
 * at a death is a step between which others run.
 *
 * Claimed: when all who are alive have finished or sleep, nobody sleeps while there are tokens; tokens are neither lost
 * nor doubled; whoever sleeps has WAITERS set.
 *
 * BAD: a variant that must not hold.
 *	FLAG_BESIDE   WAITERS is a flag beside the state, and not in what the kernel compares
 *	NO_BATON      whoever was woken does not look whether there is more
 *	NOT_PENDING   a sleeper has nothing on record
 *	UNKEPT        a poster has nothing on record
 *	CLEAR_ONLY    a wake that finds nobody clears WAITERS without waking all in the same step
 *	NOT_SET_AGAIN whoever was woken does not set the WAITERS that a killed poster has taken away
 */
#define GOOD 0
#define FLAG_BESIDE 1
#define NO_BATON 2
#define NOT_PENDING 3
#define UNKEPT 4
#define CLEAR_ONLY 5
#define NOT_SET_AGAIN 6

#ifndef BAD
#define BAD GOOD
#endif
#ifndef KILLS
#define KILLS 1
#endif
#ifndef WAITERS_N
#define WAITERS_N 2
#endif
#ifndef CALLS
#define CALLS 1
#endif
#ifndef POSTERS
#define POSTERS 2
#endif
#ifndef POSTS
#define POSTS 2
#endif
#ifndef TIMED
#define TIMED 0
#endif

#define THREADS (WAITERS_N + 1 + POSTERS)

byte tokens;           /* READY is tokens > 0, in the same atomic */
bit waiters;           /* WAITERS, in it too; FLAG_BESIDE: not */
byte sleepers;         /* asleep, about to be, or just come back; the killed stay in it. */
bit asleep[THREADS];
byte posted, taken;
byte kills = KILLS;
byte awake = THREADS;

#define ANY_ASLEEP (asleep[0] || asleep[1] || (WAITERS_N == 3 && asleep[2]))
#define WAKE(i) if :: asleep[i] -> asleep[i] = false; awake++ :: else fi

/* Which one, is the kernel's choice: not always the first, for a time-out may have come between. */
inline wake_one(ret)
{
	ret = 0;
	if
	:: asleep[0] -> asleep[0] = false; awake++; ret = 1
	:: asleep[1] -> asleep[1] = false; awake++; ret = 1
#if WAITERS_N == 3
	:: asleep[2] -> asleep[2] = false; awake++; ret = 1
#endif
	:: else
	fi
}

inline wake_all()
{
	WAKE(0);
	WAKE(1);
#if WAITERS_N == 3
	WAKE(2);
#endif
}

/* Who has come to rest last: is anybody stranded? */
inline rest()
{
	awake--;
	assert(awake > 0 || !ANY_ASLEEP || (tokens == 0 && waiters));
	assert(tokens + taken == posted);
}

mtype = { IDLE, LOOK, COUNT, SET, SLEEP, ASLEEP, TAKE, COME_BACK, SET_AGAIN, ADD, ONE, SWAP, UNPARK, UNPARK_ALL, WAKE_ALL,
	  DEATH };

/*
 * waits: how often it takes one; tries: without waiting; posts: tokens that it adds, once.
 */
proctype thread(byte me; byte waits; bit tries; byte posts)
{
	mtype at = IDLE;
	byte seen;             /* tokens, as loaded */
	bit seen_waiters, had_waiters;
	bit pending, woken, got;
	bit counted;
	bit one;               /* sleeps, as it seems to the poster */
	byte left;             /* to be woken */

	/* It is no deadlock to sleep for ever: rest() asserts that there is a reason. */
end:	do
	/* SIGKILL before any step. A sleeper leaves the queue first. */
	:: atomic {
		kills > 0 && at != DEATH ->
		kills--;
		if
		:: asleep[me] -> asleep[me] = false; awake++
		:: else
		fi;
		if
		:: pending -> at = DEATH
		:: else -> rest(); break
		fi
	}

	:: atomic {
		at == IDLE ->
		woken = false; seen = 0; seen_waiters = 0; had_waiters = 0; left = 0; one = 0; got = 0;
		if
		:: posts > 0 -> seen = tokens; seen_waiters = waiters; at = ADD
		:: posts == 0 && waits > 0 -> waits--; pending = BAD != NOT_PENDING; at = LOOK
		:: else -> rest(); break
		fi
	}

	/* get: loads the state */
	:: atomic {
		at == LOOK ->
		seen = tokens; seen_waiters = waiters;
		if
		:: seen > 0 -> at = TAKE
		:: seen == 0 && tries -> pending = false; at = IDLE
		:: else -> at = (counted -> SET : COUNT)
		fi
	}
	:: atomic { at == COUNT -> sleepers++; counted = true; at = LOOK }

	/* take: one compare-and-swap of tokens, READY and WAITERS */
	:: atomic {
		at == TAKE ->
		if
		:: tokens == seen && (waiters == seen_waiters || BAD == FLAG_BESIDE) ->
			tokens--; taken++;
			at = COME_BACK
		:: else -> at = LOOK
		fi
	}

	/* come_back: leaves the count; whoever was woken looks whether there are others, and whether there are more tokens */
	:: atomic {
		at == COME_BACK ->
		if
		:: counted -> sleepers--; counted = false
		:: else
		fi;
		if
		:: woken && BAD != NO_BATON -> at = SET_AGAIN
		:: else -> pending = false; at = IDLE
		fi
	}
	:: atomic {
		at == SET_AGAIN ->
		if
		:: sleepers > 0 && BAD != NOT_SET_AGAIN -> waiters = true
		:: else
		fi;
		woken = false;
		if
		:: waiters && tokens > 0 -> left = 1; at = UNPARK
		:: else -> pending = false; at = IDLE
		fi
	}

	/* sleep_on: sets WAITERS, in a state without tokens; or finds it set */
	:: atomic {
		at == SET ->
		if
		:: BAD == FLAG_BESIDE -> waiters = true; at = SLEEP
		:: BAD != FLAG_BESIDE && seen_waiters -> at = SLEEP
		:: BAD != FLAG_BESIDE && !seen_waiters && tokens == 0 && !waiters -> waiters = true; at = SLEEP
		:: else -> at = LOOK
		fi
	}

	/* fipc__park: the kernel compares: WAITERS, and READY clear. (FLAG_BESIDE: a word that does not say.) */
	:: atomic {
		at == SLEEP ->
		if
		:: BAD == FLAG_BESIDE || (tokens == 0 && waiters) ->
			assert(waiters || BAD);
			asleep[me] = true; at = ASLEEP; rest()
		:: else -> at = LOOK
		fi
	}
	:: atomic { at == ASLEEP && !asleep[me] -> woken = true; at = LOOK }
	:: atomic { TIMED && at == ASLEEP && asleep[me] -> asleep[me] = false; awake++; at = COME_BACK }

	/* add: the word goes on record if WAITERS is seen; does one sleep alone? Then the swap */
	:: atomic {
		at == ADD ->
		pending = pending || (seen_waiters && BAD != UNKEPT);
		at = (seen_waiters -> ONE : SWAP)
	}
	:: atomic { at == ONE -> one = sleepers <= 1 && BAD != FLAG_BESIDE; at = SWAP }
	:: atomic {
		at == SWAP ->
		if
		:: tokens == seen && (waiters == seen_waiters || BAD == FLAG_BESIDE) ->
			tokens = tokens + posts; posted = posted + posts;
			left = posts; posts = 0;
			if
			:: seen_waiters && one -> waiters = false; at = WAKE_ALL
			:: seen_waiters && !one -> at = UNPARK
			:: else -> pending = false; at = IDLE
			fi
		:: else -> seen = tokens; seen_waiters = waiters; one = 0; at = ADD
		fi
	}
	:: atomic { at == WAKE_ALL -> wake_all(); pending = false; at = IDLE }

	/* wake: FUTEX_WAKE, n */
	:: atomic {
		at == UNPARK ->
		do
		:: left > 0 -> left--; wake_one(got); had_waiters = had_waiters || got
		:: else -> break
		od;
		if
		:: had_waiters -> pending = false; at = IDLE
		:: else -> at = UNPARK_ALL
		fi
	}

	/* fipc__unpark_all, one step of the kernel */
	:: atomic {
		at == UNPARK_ALL ->
		if
		:: BAD != CLEAR_ONLY -> wake_all()
		:: else
		fi;
		waiters = false;
		pending = false;
		at = IDLE
	}

	/* kernel, handle_futex_death, of the pending entry: no TID there, so it wakes one */
	:: atomic { at == DEATH -> wake_one(got); rest(); break }
	od
}

init {
	atomic {
		run thread(0, CALLS, 0, 0);
		run thread(1, CALLS, 0, 0);
#if WAITERS_N == 3
		run thread(2, CALLS, 0, 0);
#endif
		run thread(WAITERS_N, 1, 1, 0);
		run thread(WAITERS_N + 1, 0, 0, POSTS);
#if POSTERS > 1
		run thread(WAITERS_N + 2, 0, 0, POSTS);
#endif
	}
}
