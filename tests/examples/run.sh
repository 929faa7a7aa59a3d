#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh <C compiler>: the examples in the comment that each header begins with, and those of README.md, are C that
# compiles without a warning. What they take from their surroundings is declared in <header's name>.h beside this:
# EXAMPLE_PARAMETERS, and functions. An example is what is indented by a tab there and calls fipc; its structs and
# functions stand at file scope, the rest is the body of a function.
set -eu

cc=$1
here=$(cd "$(dirname "$0")" && pwd)
source=$(cd "$here/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/fipc-test.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
flags="-std=gnu11 -Wall -Wextra -Wpedantic -Wno-unused-parameter -Werror -fsyntax-only -I$source/include"

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
}

# compile <what> <surroundings> <example>
compile()
{
	[ -s "$3" ] || fail "$1 has no example"
	[ -e "$here/$2" ] || fail "what the example of $1 takes from its surroundings is not declared: $here/$2"
	wrap "$here/$2" "$3" >"$work/unit.c"
	# shellcheck disable=SC2086 # a list of words
	$cc $flags "$work/unit.c" || {
		cat -n "$work/unit.c" >&2
		fail "the example of $1"
	}
	echo "-- $1"
}

for path in "$source"/include/fipc.h "$source"/include/fipc/*.h; do
	header=$(basename "$path")
	case $header in
	base.h | registry.h) continue ;; # what all have in common; for tools
	esac
	example_of "$path" >"$work/example"
	compile "$header" "$header" "$work/example"
done

# Of README.md the first one is a program, which the test of the installation runs.
awk -v to="$work/readme" '
/^```c$/ { inside = 1; n++; next }
/^```$/ { inside = 0 }
inside && n > 1 { print > (to n) }' "$source/README.md"
[ -e "$work/readme2" ] || fail "README.md has no example but the first"
for example in "$work"/readme*; do
	compile "README.md, $(basename "$example")" readme.h "$example"
done
