#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh <C compiler> <libfipc.so>: the examples in the comment that each header begins with, in README.md and in the
# man pages are C that compiles without a warning, and does what it should. Those of the man pages are programs. An
# example of a header is what is indented by a tab there and calls fipc; its structs and functions stand at file scope,
# the rest is the body of a function example(). What it takes from its surroundings is declared in <header's name>.h
# beside this: EXAMPLE_PARAMETERS, and functions; <header's name>.c has them, and a main() that calls it.
set -eu

cc=$1 library=$2
here=$(cd "$(dirname "$0")" && pwd)
source=$(cd "$here/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/fipc-test.XXXXXX")
FIPC_DIR=$(mktemp -d /dev/shm/fipc-test.XXXXXX)
export FIPC_DIR
trap 'rm -rf "$work" "$FIPC_DIR"' EXIT
trap 'exit 130' INT TERM
flags="-std=gnu11 -Wall -Wextra -Wpedantic -Wno-unused-parameter -Werror -I$source/include"

fail()
{
	echo "FAILED: $*" >&2
	exit 1
}

# example_of <header>: the indented lines of its first long comment, the paragraphs among them that call fipc
example_of()
{
	awk '
	/^\/\*$/ { comment = 1 }
	/^ \*\// { exit }
	comment && /^ \*\t/ { block = block substr($0, 4) "\n"; next }
	comment && /^ \*$/ && block != "" { block = block "\n"; next }
	comment { if (block ~ /fipc_[a-z0-9_]+\(/) printf "%s", block; block = "" }
	END { if (block ~ /fipc_[a-z0-9_]+\(/) printf "%s", block }' "$1"
}

# wrap <surroundings> <example>: a translation unit of it. A line of dots separates what was left out.
wrap()
{
	echo "#include <fipc.h>"
	echo "#include <errno.h>"
	echo "#include \"$1\""
	awk '
	/^\.\.\.$/ { next }
	depth == 0 && /^(struct [a-z_]+ \{|static )/ { outside = 1 }
	outside {
		print
		braces = $0
		depth += gsub(/\{/, "", braces) - gsub(/\}/, "", braces)
		if (depth == 0 && /\}/)
			outside = 0
		next
	}
	{ body = body $0 "\n" }
	END { printf "int example(EXAMPLE_PARAMETERS);\nint example(EXAMPLE_PARAMETERS)\n{\n%sreturn r;\n}\n", body }' "$2"
	echo "#include \"${1%.h}.c\""
}

# run_program <what> <source>
run_program()
{
	# shellcheck disable=SC2086 # a list of words
	$cc $flags -o "$work/program" "$2" "$library" -Wl,-rpath,"$(dirname "$library")" || {
		cat -n "$2" >&2
		fail "the example of $1 does not compile"
	}
	timeout 30 "$work/program" || fail "the example of $1 ends with status $?"
	echo "-- $1"
}

# run_part <what> <surroundings> <example>
run_part()
{
	[ -s "$3" ] || fail "$1 has no example"
	[ -e "$here/$2" ] || fail "what the example of $1 takes from its surroundings is not declared: $here/$2"
	wrap "$here/$2" "$3" >"$work/unit.c"
	run_program "$1" "$work/unit.c"
}

for path in "$source"/include/fipc.h "$source"/include/fipc/*.h; do
	header=$(basename "$path")
	case $header in
	base.h | registry.h) continue ;; # what all have in common; for tools
	esac
	example_of "$path" >"$work/example"
	run_part "$header" "$header" "$work/example"
done

# Of README.md the first one is a program, which the test of the installation runs.
awk -v to="$work/readme" '
/^```c$/ { inside = 1; n++; next }
/^```$/ { inside = 0 }
inside && n > 1 { print > (to n) }' "$source/README.md"
[ -e "$work/readme2" ] || fail "README.md has no example but the first"
for example in "$work"/readme*; do
	run_part "README.md, $(basename "$example")" readme.h "$example"
done

# run_page <page>: the programs among its literal displays
run_page()
{
	rm -f "$work"/program*
	awk -v to="$work/program" '
	/^\.Bd -literal/ { inside = 1; text = ""; next }
	/^\.Ed/ {
		if (text ~ /int main\(/)
			printf "%s", text >(to (++n) ".c")
		inside = 0
	}
	inside {
		gsub(/\\e/, "\\")
		gsub(/\\\(aq/, "\047")
		gsub(/\\\(ga/, "`")
		gsub(/\\\(ha/, "^")
		gsub(/\\\(ti/, "~")
		text = text $0 "\n"
	}' "$1"
	[ -e "$work/program1.c" ] || fail "$(basename "$1") has no example"
	for program in "$work"/program*.c; do
		run_program "$(basename "$1")" "$program"
		left=$(ls "$FIPC_DIR")
		[ -z "$left" ] || fail "the example of $(basename "$1") leaves $left"
	done
}

rm -rf "$FIPC_DIR"
mkdir "$FIPC_DIR"
for page in "$source"/docs/man/*.3 "$source"/docs/man/fipc.7; do
	run_page "$page"
done
