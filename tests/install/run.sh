#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2016,SC2046,SC2086 # lists of words, that are to be split
# run.sh: install into a directory of its own, and be a user of that: the README's example by pkg-config (shared and
# static) and by CMake, each header alone in C11 and C++17, and what the shared library shows and needs.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
source=$(cd "$here/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/fipc-test.XXXXXX")
FIPC_DIR=$(mktemp -d /dev/shm/fipc-test.XXXXXX)
export FIPC_DIR
trap 'rm -rf "$work" "$FIPC_DIR"' EXIT
trap 'exit 130' INT TERM
unset DESTDIR FASTIPC_PID_DIR

prefix=$work/prefix
example=$work/example.c
header_flags="-Wall -Wextra -Wpedantic -Werror -fsyntax-only -I$prefix/include"

step()
{
	echo "-- $*"
}

fail()
{
	echo "FAILED: $*" >&2
	exit 1
}

# same <what> <file> <file>
same()
{
	diff -u "$2" "$3" || fail "$1"
}

# shows_death <program>: it answers FIPC_OWNER_DIED, and leaves no name behind
shows_death()
{
	"$1" >"$work/said" || fail "$1 ended with status $?"
	grep FIPC_OWNER_DIED "$work/said" || fail "$1 did not say FIPC_OWNER_DIED"
	left=$(ls "$FIPC_DIR")
	[ -z "$left" ] || fail "$1 left $left"
}

step "make install"
${MAKE:-make} -s -C "$source" BUILD="$work/build" PREFIX="$prefix" install >"$work/log" 2>&1 || {
	cat "$work/log"
	fail "make install"
}
library=$(echo "$prefix"/lib*/libfipc.so "$prefix"/lib/*/libfipc.so)
library=$(for path in $library; do [ ! -e "$path" ] || echo "$path"; done)
libdir=$(dirname "$library")
for file in bin/fipcctl sbin/fipcd lib/systemd/system/fipcd.socket lib/systemd/system/fipcd.service \
	lib/systemd/system/fipcd.path lib/systemd/user/fipcd.service lib/systemd/user/fipcd.socket \
	lib/systemd/user/fipcd.path lib/systemd/catalog/fipc.catalog lib/tmpfiles.d/fipc.conf lib/sysusers.d/fipc.conf \
	share/man/man1/fipcctl.1 share/man/man3/fipc_mutex_lock.3 share/man/man7/fipc-caveats.7 share/man/man8/fipcd.8 \
	share/bash-completion/completions/fipcctl; do
	[ -e "$prefix/$file" ] || fail "$file is not installed"
done
for program in bin/fipcctl sbin/fipcd; do
	"$prefix/$program" --version || fail "an installed program does not start: $program"
done
grep -q "^ExecStart=$prefix/sbin/fipcd " "$prefix/lib/systemd/system/fipcd.service" ||
	fail "the unit starts another fipcd than the one installed"

export PKG_CONFIG_PATH="$libdir/pkgconfig"
sed -n '/^```c$/,/^```$/p' "$source/README.md" | sed '/^```c$/d; /^```$/,$d' >"$example"
[ -s "$example" ] || fail "README.md has no C block"

step "pkg-config, shared"
cc -std=gnu11 -Wall -Wextra -Werror -o "$work/shared" "$example" $(pkg-config --cflags --libs fipc)
LD_LIBRARY_PATH=$libdir shows_death "$work/shared"

step "pkg-config, static"
cc -std=gnu11 -Wall -Wextra -Werror -static -o "$work/static" "$example" $(pkg-config --static --cflags --libs fipc)
shows_death "$work/static"

step "find_package"
if ! cmake -S "$here/cmake" -B "$work/consumer" -DEXAMPLE="$example" -DCMAKE_PREFIX_PATH="$prefix" >"$work/log" 2>&1 ||
	! cmake --build "$work/consumer" >>"$work/log" 2>&1; then
	cat "$work/log"
	fail "a CMake project"
fi
shows_death "$work/consumer/with_fipc"
shows_death "$work/consumer/with_fipc_static"
! readelf -d "$work/consumer/with_fipc_static" | grep -q libfipc || fail "fipc::fipc_static links the shared library"

headers=$(cd "$prefix/include" && find fipc.h fipc -name '*.h' | sort)
for compiler in cc clang musl-gcc; do
	command -v $compiler >/dev/null || {
		echo "SKIP: headers in C11: no $compiler here"
		continue
	}
	step "each header alone: $compiler -std=c11"
	for header in $headers; do
		echo "#include <$header>" | $compiler -std=c11 $header_flags -x c - || fail "$header alone, $compiler"
	done
done
for compiler in c++ clang++; do
	command -v $compiler >/dev/null || {
		echo "SKIP: headers in C++17: no $compiler here"
		continue
	}
	step "each header alone: $compiler -std=c++17"
	for header in $headers; do
		echo "#include <$header>" | $compiler -std=c++17 $header_flags -x c++ - ||
			fail "$header alone, $compiler"
	done
	$compiler -std=c++17 $header_flags -x c++ "$here/consumer.cc" || fail "a C++ program, $compiler"
done

step "shown = version map = headers"
nm -D --defined-only "$library" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort >"$work/shown"
sed 's,/\*.*\*/,,; s/#.*//' "$source/libfipc/libfipc.map" | tr ';{}' '\n' |
	awk '/global:/ { take = 1; sub(/.*global:/, "") } /local:/ { take = 0 } take && NF { print $1 }' |
	sort >"$work/map"
for header in $headers; do
	echo "#include <$header>"
done | cc -std=c11 -I"$prefix/include" -E -P - | tr '\n' ' ' |
	awk -v RS='visibility[(]"default"[)]' 'NR > 1 && match($0, /fipc_[a-z0-9_]+ *\(/) {
		name = substr($0, RSTART, RLENGTH)
		sub(/ *\($/, "", name)
		print name
	}' | sort >"$work/headers"
[ -s "$work/headers" ] || fail "no function in the headers"
same "the version map and what the library shows differ" "$work/map" "$work/shown"
same "the headers and what the library shows differ" "$work/headers" "$work/shown"

step "needs libc alone"
readelf -dW "$library" >"$work/dynamic"
sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' "$work/dynamic" | sed '/^ld-linux/d' >"$work/needed"
echo libc.so.6 | same "what the library needs" - "$work/needed"
grep -q '(SONAME).*\[libfipc\.so\.0\]' "$work/dynamic" || fail "its soname is not libfipc.so.0"
grep -q 'NODELETE' "$work/dynamic" || fail "it is not linked -z nodelete"
! grep -q 'TEXTREL' "$work/dynamic" || fail "it has text relocations"
tls=$(readelf -lW "$library" | awk '$1 == "TLS" { print $6 }')
[ $((${tls:-0})) -le 256 ] || fail "$((tls)) bytes of thread-local storage: dlopen may refuse more than 256"
