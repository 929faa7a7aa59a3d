#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh [all|one]: check the models of the lock word's protocol (word.pml), of the semaphore's (sem.pml), of the rwlock's
# (rwlock.pml) and of a weakly ordered machine (order.pml) by spin, exhaustively: each holds, and each variant that is known to
# be bad fails, by what it is expected to break. One line each: name, states, result, seconds. all: also what takes minutes;
# one: a bad one alone.
set -u
all=${1:-}
cd "$(dirname "$0")" || exit 1

for tool in spin cc; do
	if ! command -v "$tool" >/dev/null; then
		echo "SKIP: no $tool (sh tests/setup.sh test installs it)"
		exit 77
	fi
done

models=$PWD
model=$models/word.pml
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
cd "$work" || exit 1
failed=0
optimise=-O1

# verify <-Dname=value>...: its outcome into ./out. States are compressed but all kept (COLLAPSE), in 2 GB at most.
verify()
{
	rm -f pan* out
	spin -P'cc -E -x c' -a "$@" "$model" >out 2>&1 &&
		cc "$optimise" -w -DSAFETY -DCOLLAPSE -DMEMLIM=2000 -o pan pan.c >>out 2>&1 &&
		./pan -m100000 >out 2>&1
}

# What came of it: "holds" if everything was searched, "fails: <what broke>", else "no verdict".
outcome()
{
	case $(sed -n 's/^pan:[0-9]*: *//p' out) in
	*awake*waiter_count*) echo "fails: count" ;;
	*awake* | *'invalid end state'*) echo "fails: stranded" ;;
	*inside*) echo "fails: two inside" ;;
	*untold*) echo "fails: untold" ;;
	*unrecoverable*) echo "fails: not gone" ;;
	*unordered*) echo "fails: order" ;;
	'')
		if grep -q 'errors: 0$' out && ! grep -qi 'too small\|not completed\|out of memory' out; then
			echo holds
		else
			echo "no verdict"
		fi
		;;
	*) echo "fails: otherwise" ;;
	esac
}

# expect <outcome> <name> <-Dname=value>...
expect()
{
	expected=$1 name=$2
	shift 2
	begin=$(date +%s)
	verify "$@"
	found=$(outcome)
	states=$(sed -n 's/^ *\([0-9]*\) states, stored.*/\1/p' out)
	verdict=$found
	if [ "$found" != "$expected" ]; then
		verdict="$found: WRONG, expected \"$expected\" ($*)"
		failed=1
	fi
	printf '%-52s %9s states  %-18s %3d s\n' "$name" "${states:-no}" "$verdict" "$(($(date +%s) - begin))"
	[ "$found" = "$expected" ] || tail -n 20 out
}

# at_length <outcome> <name> <-Dname=value>...: one that takes long
at_length()
{
	[ "$all" != all ] || expect "$@"
}

# bad <variant> <kills that it bears> <kills that it does not> <what it breaks> <description> [<-Dname=value>...]
# It bears "none": it fails though nobody is killed.
bad()
{
	variant=$1 bears=$2 kills=$3 breaks=$4 description=$5
	shift 5
	[ "$bears" = none ] || expect holds "bad: $description, $bears killed" "-DBAD=$variant" "-DKILLS=$bears" "$@"
	expect "fails: $breaks" "bad: $description, $kills killed" "-DBAD=$variant" "-DKILLS=$kills" "$@"
}

if [ "$all" = one ]; then
	optimise=-O0
	bad CLEAR_ONLY none 0 stranded "WAITERS cleared without waking all"
	exit $failed
fi

expect holds "2 waiters + barger, 1 killed" -DKILLS=1
expect holds "2 waiters + barger, 2 killed" -DKILLS=2
at_length holds "2 waiters + barger, 2 killed, time-outs, signals" -DKILLS=2 -DTIMED=1
at_length holds "the same, 3 killed, and exits holding" -DKILLS=3 -DTIMED=1 -DEXITS=1
at_length holds "3 waiters + barger once, 1 killed" -DWAITERS_N=3 -DCALLS=1 -DKILLS=1
at_length holds "2 waiters + barger, zeroed memory, 2 killed" -DCALLS=1 -DATTACH=1 -DKILLS=2
expect holds "2 waiters + barger, revoker" -DREVOKES=1 -DKILLS=0
at_length holds "the same, barger once, 1 killed" -DREVOKES=1 -DCALLS=1 -DKILLS=1
at_length holds "the same, none killed, time-outs, signals, exits" -DREVOKES=1 -DCALLS=1 -DKILLS=0 -DTIMED=1 -DEXITS=1

optimise=-O0 # to compile these takes longer than to run them
bad UNLOCK_CLEARS 0 1 stranded "unlock clears WAITERS"
bad COUNT_KEEPS 0 1 stranded "a count decides whether WAITERS stays"
bad COUNT_WAKES 0 1 count "a count decides whether to wake"
bad FLAG_OUTSIDE 0 1 stranded "a flag beside the word, never cleared"
bad FLAG_CLEARED none 0 stranded "a flag beside the word, cleared"
bad CLEAR_ONLY none 0 stranded "WAITERS cleared without waking all"
bad STATE_IN_WORD 1 2 stranded "not recoverable said in the word"
bad STATE_LATE 0 1 "not gone" "not recoverable said after the release"
bad TIMEOUT_FIRST none 0 stranded "a time-out outdoes a wake-up" -DTIMED=1
bad NOT_PENDING 0 1 stranded "nothing pending during the sleep"
bad WHOLE_WORD 0 1 stranded "kernel: only if the whole word is 0"
bad BLIND_SWAP none 0 "two inside" "acquire does not compare"
bad UNTOLD 0 1 untold "acquire overlooks OWNER_DIED"
bad MARK_BESIDE none 0 stranded "revoked said in the state word alone" -DREVOKES=1 -DCALLS=1
bad HAND_OVER none 0 "two inside" "a living owner's lock given to the next" -DREVOKES=1 -DCALLS=1
bad WAKE_UNKEPT 0 1 stranded "revoke keeps nothing pending" -DREVOKES=1 -DCALLS=1
bad STATE_TRUSTED none 0 stranded "revoke trusts the state word" -DREVOKES=1 -DCALLS=1
bad STATE_STORED none 0 "not gone" "consistent does not compare" -DREVOKES=1 -DCALLS=1
bad DEATH_DROPPED 0 1 untold "a late attach drops OWNER_DIED" -DATTACH=1 -DCALLS=1

model=$models/sem.pml
optimise=-O1
expect holds "semaphore: 2 waiters, post of 2, 2 killed" -DPOSTERS=1 -DKILLS=2
expect holds "the same, time-outs" -DPOSTERS=1 -DKILLS=1 -DTIMED=1
at_length holds "the same twice, post of 3" -DPOSTERS=1 -DKILLS=1 -DCALLS=2 -DPOSTS=3
at_length holds "2 waiters, 2 posts of 2" -DKILLS=0
at_length holds "2 waiters, 2 posts of 1, 1 killed" -DPOSTS=1
optimise=-O0
bad FLAG_BESIDE none 0 stranded "WAITERS beside what the kernel compares" -DPOSTERS=1
bad NO_BATON 0 1 stranded "who was woken does not wake on" -DPOSTERS=1
bad NOT_PENDING 0 1 stranded "nothing pending during the sleep" -DPOSTERS=1 -DPOSTS=1
bad UNKEPT 0 1 stranded "post keeps nothing pending" -DPOSTERS=1
bad CLEAR_ONLY none 0 stranded "WAITERS cleared without waking all"
bad NOT_SET_AGAIN 0 1 stranded "who was woken does not set WAITERS again" -DPOSTS=1

model=$models/rwlock.pml
optimise=-O1
expect holds "rwlock: 2 readers, 1 writer, 2 killed" -DKILLS=2
at_length holds "one slot: 2 readers twice, 1 writer twice, 1 killed" -DTURNS=2 -DSLOTS=1
at_length holds "one slot: 2 readers, 2 writers, 2 killed" -DWRITERS=2 -DSLOTS=1 -DKILLS=2
at_length holds "1 reader, 2 writers, 3 killed" -DREADERS=1 -DWRITERS=2 -DKILLS=3
optimise=-O0
bad WAITERS_DROPPED 0 1 stranded "who takes a slot drops WAITERS"
bad GATE_BEFORE none 0 "two inside" "the gate looked at before the slot only"
bad WRITING_EARLY 0 1 untold "WRITING said before the readers left" -DREADERS=1 -DWRITERS=2
bad CLEAN_LATE none 0 untold "the gate let go of before CLEAN"
bad STATE_UNSEEN 0 1 untold "a reader overlooks the state"
bad UNPENDED 0 1 stranded "a slot not pending until the wake"
bad SLOT_MISSED none 0 "two inside" "a writer overlooks a slot"

model=$models/order.pml
for litmus in ATTACH DEKKER CLOSE WAITS; do
	expect holds "weakly ordered: $litmus" "-DLITMUS=$litmus"
	at_length "fails: order" "bad: $litmus, a load is relaxed" "-DLITMUS=$litmus" -DWEAK=LOAD
done
expect "fails: order" "bad: ATTACH, a store is relaxed" -DLITMUS=ATTACH -DWEAK=STORE
at_length "fails: order" "bad: CLOSE, a store is relaxed" -DLITMUS=CLOSE -DWEAK=STORE
at_length "fails: order" "bad: WAITS, a store is relaxed" -DLITMUS=WAITS -DWEAK=STORE
at_length "fails: order" "bad: CLOSE, pending looked at first" -DLITMUS=CLOSE -DWEAK=PENDING_FIRST

exit $failed
