#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# check.sh <folder of the built pages> <libfipc.so> <fipcctl> <fipcd>: the man pages say what the headers and the
# programs say. Each function that the library shows is documented once, with the header's own prototype, under a link
# of its name; each macro, flag and member of a struct is named; each error that a header gives for a function is in the
# function's list, and the other way round. (That library, version map and headers agree is held by install/run.sh.)
# Commands, options and columns in --help, in the pages and in the completion are the same.
set -eu

pages=$1 library=$2 fipcctl=$3 fipcd=$4
here=$(cd "$(dirname "$0")" && pwd)
source=$(cd "$here/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/fipc-test.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
headers=$(ls "$source"/include/fipc/*.h)
manuals=$(grep -L '^\.so ' "$pages"/man*/*.[1-9])
functions=$(echo "$manuals" | grep '\.3$')

step()
{
	echo "-- $*"
}

fail()
{
	echo "FAILED: $*" >&2
	exit 1
}

# names_of <page>: those below NAME
names_of()
{
	sed -n '/^\.Sh NAME/,/^\.Nd/s/^\.Nm \([^ ]*\).*/\1/p' "$1"
}

# same <what> <file> <file>
same()
{
	[ -s "$2" ] || fail "$1: nothing to compare, $2 is empty"
	diff -u "$2" "$3" || fail "$1"
}

# none <what> <file>: it is empty
none()
{
	[ ! -s "$2" ] || {
		cat "$2" >&2
		fail "$1"
	}
}

step "what is written is mdoc"
if command -v mandoc >/dev/null; then
	# shellcheck disable=SC2086 # a list of words
	mandoc -T lint -W warning $manuals >"$work/lint" || true
	none "mandoc has something to say" "$work/lint"
else
	echo "SKIP: mandoc -T lint: no mandoc here"
fi
if command -v groff >/dev/null; then
	# shellcheck disable=SC2086
	groff -wall -mdoc -Tutf8 -z $manuals >"$work/groff" 2>&1 || true
	none "groff has something to say" "$work/groff"
else
	echo "SKIP: groff -wall: no groff here"
fi

step "every page can be had by its names, and leads to pages that there are"
for page in $manuals; do
	names_of "$page" | sed "s/\$/.${page##*.}/"
done >"$work/named"
(cd "$pages" && ls man*/*.[1-9]) | sed 's,.*/,,' | sort >"$work/files"
sort "$work/named" | same "files and the names in the pages differ" "$work/files" -
for page in "$pages"/man*/*.[1-9]; do
	target=$(sed -n '1s/^\.so //p' "$page")
	[ -z "$target" ] || [ -e "$pages/$target" ] || fail "$page leads to $target, which is not there"
done
# shellcheck disable=SC2086
sed -n 's/^\.Xr \(fipc[^ ]*\|io\.fipc[^ ]*\) \([0-9]\).*/\1.\2/p' $manuals | sort -u |
	comm -23 - "$work/files" >"$work/lost"
none "pages that are referred to and are not there" "$work/lost"
if command -v man >/dev/null && [ -e "$pages/man3/fipc_mutex_lock.3" ]; then
	MANPAGER=cat MANPATH=$pages man fipc_mutex_lock >"$work/shown" 2>&1 || fail "man fipc_mutex_lock: $(cat "$work/shown")"
	grep -q FIPC_OWNER_DIED "$work/shown" || fail "man fipc_mutex_lock shows something else"
fi

for text in "$source"/README.md "$source"/docs/*.md; do
	grep -o '](\([^)#:]*\))' "$text" | sed 's/^](//; s/)$//' | while read -r target; do
		[ -e "$(dirname "$text")/$target" ] || echo "$text: $target"
	done
done >"$work/lost"
none "links in README.md and docs/*.md that lead nowhere" "$work/lost"

step "functions: library, headers, SYNOPSIS, NAME"
# prototypes <file>...: one a line, in single spaces
prototypes()
{
	awk '
	/^FIPC_PUBLIC/ { collecting = 1 }
	collecting {
		line = $0
		sub(/\/\*.*/, "", line)
		text = text " " line
		if (line ~ /;/) {
			gsub(/FIPC_PUBLIC|FIPC_MUST_CHECK|;/, "", text)
			gsub(/[ \t]+/, " ", text)
			sub(/^ /, "", text)
			sub(/ $/, "", text)
			print text
			text = ""
			collecting = 0
		}
	}' "$@"
}
# synopses <page>...: the same, of what they give as .Ft and .Fn
synopses()
{
	awk '
	FNR == 1 { inside = 0 }
	/^\.Sh / { inside = /SYNOPSIS/ }
	inside && /^\.Ft / { type = substr($0, 5) }
	inside && /^\.Fn / {
		n = split($0, part, "\"")
		split(part[1], word, " ")
		arguments = ""
		for (i = 2; i < n; i += 2)
			arguments = arguments (i > 2 ? ", " : "") part[i]
		print type (type ~ /\*$/ ? "" : " ") word[2] "(" arguments ")"
	}' "$@"
}
# shellcheck disable=SC2086
prototypes $headers | sort >"$work/prototypes"
# shellcheck disable=SC2086
synopses $functions | sort >"$work/synopses"
same "prototypes in the headers (-) and in the pages (+) differ" "$work/prototypes" "$work/synopses"
sed 's/(.*//; s/.*[ *]//' "$work/synopses" | sort >"$work/documented"
nm -D --defined-only "$library" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort |
	same "what the pages document (-) and what the library shows (+) differ" "$work/documented" -
for page in $functions; do
	own=$(basename "$page" .3)
	names_of "$page" | sort | grep -vx "$own" >"$work/names"
	synopses "$page" | sed 's/(.*//; s/.*[ *]//' | sort | grep -vx "$own" |
		same "$(basename "$page"): NAME (-) and SYNOPSIS (+) differ" "$work/names" -
done

step "macros, flags, members"
# capitals <file>...: words of them that begin with FIPC_
capitals()
{
	sed '/^\.Dt /d' "$@" | grep -o 'FIPC_[A-Z0-9_]*[A-Z0-9]' | sort -u
}
for header in $headers; do
	page=$pages/man3/fipc_$(basename "$header" .h).3
	[ -e "$page" ] || page=$pages/man3/fipc_wait_any.3
	capitals "$page" >"$work/capitals"
	sed 's,//.*,,; s,/\*.*,,; /^ \*/d' "$header" >"$work/code"
	capitals "$work/code" | grep -v '_H$' | grep -v '^FIPC_PUBLIC$\|^FIPC_MUST_CHECK$' | comm -23 - "$work/capitals"
done >"$work/lost"
none "in a header, and not in its page" "$work/lost"
capitals "$source"/include/fipc/*.h "$source"/libfipc/*.[ch] "$source"/fipcd/*.[ch] "$source"/fipcd/wire/*.[ch] \
	"$source"/fipcctl/*.[ch] >"$work/known"
# shellcheck disable=SC2086
capitals $manuals | comm -23 - "$work/known" >"$work/lost"
none "in the pages, and nowhere in the code" "$work/lost"
# What the environment and the journal call by name.
{
	grep -oh 'getenv("[A-Z_]*"' "$source"/fipcd/*.c "$source"/fipcctl/*.c | sed 's/.*("//; s/"//'
	grep -oh '"FIPC_[A-Z_]*' "$source/libfipc/root.c" "$source/fipcd/log.c" "$source/fipcctl/journal.c" | tr -d '"'
} | grep -vx 'JOURNAL_STREAM\|TERM' | sort -u >"$work/variables"
while read -r name; do
	# shellcheck disable=SC2086
	grep -qw "$name" $manuals || fail "$name, of the environment or the journal, is in no page"
done <"$work/variables"
# members <file>...: <struct> <member> of each struct that a header shows
members()
{
	awk '
	/^struct [a-z0-9_]+ \{/ || /^typedef struct [a-z0-9_]+ \{/ { inside = 1; name = $(/^typedef/ ? 3 : 2) }
	/^\}/ { inside = 0 }
	inside && /;/ && !/opaque/ {
		sub(/\/\*.*/, "")
		sub(/;.*/, "")
		gsub(/\[[^]]*\]/, "")
		n = split($0, part, ",")
		for (i = 1; i <= n; i++) {
			gsub(/^.*[ \t*]/, "", part[i])
			if (part[i] ~ /^[a-z]/)
				print name, part[i]
		}
	}' "$@"
}
# shellcheck disable=SC2086
members $headers | grep -v ' reserved$' >"$work/members"
# shellcheck disable=SC2086
awk '
FNR == NR { structure[NR] = $1; member[NR] = $2; n = NR; next }
{ text[FILENAME] = text[FILENAME] " " $0 }
END {
	for (i = 1; i <= n; i++) {
		found = 0
		for (page in text)
			found = found || (text[page] ~ "struct " structure[i] "[^a-z0-9_]" &&
				text[page] ~ "[^a-z0-9_]" member[i] "[^a-z0-9_]")
		if (!found)
			print structure[i] "." member[i]
	}
}' "$work/members" $functions >"$work/lost"
none "members of structs that no page names" "$work/lost"

step "errors"
# Of each function of a header: "<function> <error>", and "<function> as <function>" where it refers to another's. What
# counts is the last comment before it, from the word Returns on if that is in it, and one behind it.
header_errors()
{
	awk '
	/^\/\*/ { comment = ""; inside = 1 }
	inside {
		line = $0
		sub(/^ \*[ \t]*/, "", line)
		comment = comment " " line
	}
	inside && /\*\// { inside = 0; next }
	/^FIPC_PUBLIC/ { collecting = 1 }
	collecting {
		text = text " " $0
		if (!/;/)
			next
		collecting = 0
		said = comment
		if (match(said, /Returns/))
			said = substr(said, RSTART)
		if (match(text, /\/\*.*/))
			said = said " " substr(text, RSTART)
		if (match(text, /(int|int64_t|ssize_t) fipc_[a-z0-9_]+\(/)) {
			name = substr(text, RSTART, RLENGTH - 1)
			sub(/.* /, "", name)
			rest = said
			while (match(rest, /-E[A-Z0-9]+/)) {
				print name, substr(rest, RSTART + 1, RLENGTH - 1)
				rest = substr(rest, RSTART + RLENGTH)
			}
			rest = said
			while (match(rest, /as (those of )?fipc_[a-z0-9_]+\(\)/)) {
				other = substr(rest, RSTART, RLENGTH - 2)
				sub(/.* /, "", other)
				print name, "as", other
				rest = substr(rest, RSTART + RLENGTH)
			}
		}
		text = ""
	}' "$@"
}
# The same of the pages: below .Sh ERRORS each .Ss names functions, each .It errors.
page_errors()
{
	awk '
	FNR == 1 { inside = n = 0 }
	/^\.Sh / { inside = /ERRORS/; n = 0 }
	inside && /^\.Ss / {
		gsub(/,/, "")
		n = split(substr($0, 5), name, " ")
	}
	inside && /^\.It Er / {
		rest = $0
		while (match(rest, /E[A-Z0-9][A-Z0-9]+/)) {
			for (i = 1; i <= n; i++)
				print name[i], substr(rest, RSTART, RLENGTH)
			rest = substr(rest, RSTART + RLENGTH)
		}
	}' "$@"
}
# shellcheck disable=SC2086
header_errors $headers | sort -u >"$work/said"
# shellcheck disable=SC2086
page_errors $functions | sort >"$work/listed"
uniq -d "$work/listed" >"$work/lost"
none "listed twice for a function" "$work/lost"
awk 'NF == 2' "$work/said" | comm -23 - "$work/listed" >"$work/lost"
none "errors that a header gives and the page does not" "$work/lost"
awk '
FNR == NR { if (NF == 3) as[$1] = as[$1] " " $3; else said[$1, $2] = 1; next }
{
	n = split(as[$1], other, " ")
	found = ($1, $2) in said
	for (i = 1; i <= n; i++) {
		found = found || (other[i], $2) in said
		m = split(as[other[i]], third, " ")
		for (j = 1; j <= m; j++)
			found = found || (third[j], $2) in said
	}
	if (!found)
		print
}' "$work/said" "$work/listed" >"$work/lost"
none "errors that a page gives and the header does not" "$work/lost"

step "fipcctl: commands, options, columns"
# commands: those that --help names
commands()
{
	"$fipcctl" --help | awk '/^Commands/ { inside = 1; next } /^$/ { inside = 0 } inside { print $1 }'
}
# help_options <command>, or of all without one: each -x and --word that its --help explains, one a line
help_options()
{
	"$fipcctl" "$@" --help | awk '/^Options/ { inside = 1; next } /^$/ { inside = 0 } inside { print $1; print $2 }' |
		sed -n 's/^\(--*[A-Za-z][a-z-]*\),*$/\1/p' | sort
}
# page_parts <macro> <page>: "<section or command> <word>" of the .It lines of that macro
page_parts()
{
	awk -v macro="$1" '
	/^\.S[hs] / { part = $2 }
	/^\.It / {
		gsub(/\\/, "")
		for (i = 2; i < NF; i++)
			if ($i == macro)
				print part, $(i + 1)
	}' "$2"
}
# page_options <section or command> <page>
page_options()
{
	page_parts Fl "$2" | sed -n "s/^$1 -/--/p; s/^$1 \\([A-Za-z]\\)\$/-\\1/p" | sort
}
page=$pages/man1/fipcctl.1
commands | sort >"$work/commands"
sed -n '/^\.Sh COMMANDS/,/^\.Sh [^C]/s/^\.Ss //p' "$page" | sort |
	same "commands in --help (-) and in fipcctl(1) (+) differ" "$work/commands" -
sed -n '/^\.Sh SYNOPSIS/,/^\.Sh D/s/^\.Cm //p' "$page" | sort |
	same "commands in --help (-) and in the synopsis of fipcctl(1) (+) differ" "$work/commands" -
help_options >"$work/common"
page_options DESCRIPTION "$page" |
	same "options of all commands in --help (-) and fipcctl(1) (+) differ" "$work/common" -
while read -r command; do
	help_options "$command" | comm -23 - "$work/common" >"$work/help"
	page_options "$command" "$page" >"$work/page"
	diff -u "$work/help" "$work/page" || fail "options of $command in --help (-) and fipcctl(1) (+) differ"
	"$fipcctl" "$command" --help |
		awk '/^Columns/ { inside = 1; next } /^$/ { inside = 0 } inside && /^  [A-Z]/ { print $1 }' >"$work/help"
	page_parts Cm "$page" | sed -n "s/^$command //p" >"$work/page"
	[ ! -s "$work/help" ] || diff -u "$work/help" "$work/page" ||
		fail "columns of $command in --help (-) and fipcctl(1) (+) differ"
done <"$work/commands"

# json_members <command>: of what it prints, by docs/json.md (which test_fipcctl_output holds to what is printed)
json_members()
{
	awk -v heading="## $1" '
	/^## / { inside = $0 == heading }
	inside && /^type [A-Za-z]*Output \(/ {
		sub(/.*\(/, "")
		n = split($0, part, ",")
		for (i = 1; i <= n; i++) {
			sub(/:.*/, "", part[i])
			print part[i]
		}
	}' "$source/docs/json.md" | tr -d ' ' | sort
}
while read -r command; do
	json_members "$command" >"$work/members"
	awk -v command="$command" '
	/^\.Sh / { inside = $2 == "JSON" }
	inside && /^\.It Ql / { here = $3 == command }
	inside && here && /^\.Ql / { print $2 }' "$page" | sort -u | comm -23 "$work/members" - >"$work/lost"
	none "members of $command --json in docs/json.md, and not in fipcctl(1)" "$work/lost"
done <"$work/commands"

step "fipcctl: completion"
# It has a table: 'COMMAND ') options='...', 'COMMAND --OPTION') words='...'; and the commands in that of no command.
"$fipcctl" completion bash >"$work/completion" || fail "fipcctl completion bash"
# offered <of what> <words or options>
offered()
{
	sed -n "s/^\t'$1'[^)]*).* $2='\\([^']*\\)'.*/\\1/p" "$work/completion" | tr ' ' '\n' | sed '/^$/d' | sort
}
offered ' ' words | same "commands in --help (-) and in the completion (+) differ" "$work/commands" -
while read -r command; do
	help_options "$command" >"$work/help"
	offered "$command " options | same "options of $command in --help (-) and in the completion (+) differ" "$work/help" -
	offered "$command --output" words >"$work/columns"
	[ ! -s "$work/columns" ] || page_parts Cm "$page" | sed -n "s/^$command //p" | sort |
		same "columns of $command in the completion (-) and in fipcctl(1) (+) differ" "$work/columns" -
done <"$work/commands"

step "fipcd: options, limits"
for limit in CLIENTS_PER_USER CLIENT_IDLE_SEC WALKS_PER_SEC WALKS_BURST; do
	value=$(sed -n "s/.*LIMIT_$limit = \([0-9]*\),.*/\1/p" "$source/fipcd/limit.h")
	grep -qw "${value:-none}" "$source/docs/protocol.md" || fail "LIMIT_$limit, $value, is another in docs/protocol.md"
done
"$fipcd" --help | sed -n 's/^  \(--[a-z-]*\).*/\1/p' | sort >"$work/help"
page_options DESCRIPTION "$pages/man8/fipcd.8" | same "options in --help (-) and fipcd(8) (+) differ" "$work/help" -
