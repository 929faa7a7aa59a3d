#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# quick.sh <build>: the page of `make prove` can be made, of a little of each kind. And the page in docs/ is what the
# template says of the results that lie beside it.
set -eu

build=$1
here=$(cd "$(dirname "$0")" && pwd)

# shellcheck source=tests/pages.sh
. "$here/../pages.sh"
needs spin prove

# has <pattern>: the page does
has()
{
	grep -q "$1" "$work/safety.md" || fail "the page says nothing like: $1"
}

python3 "$here/prove.py" --quick "$build" "$work/safety.md" || fail "prove.py"
has 'figures mean nothing'
has '^All of it held\.$'
has '^| wait_any | [a-z ]* | [0-9]* | 0 '
has '^| WAITERS cleared without waking all, 0 killed | [0-9,]* | fails: stranded |$'
has '^| race | [0-9,]* kills, '
! grep -n '{{' "$work/safety.md" || fail "the page is not filled in"

python3 "$here/safety.py" "$docs/safety/results.jsonl" "$work/now.md"
diff "$docs/safety.md" "$work/now.md" ||
	fail "docs/safety.md: python3 tests/prove/safety.py docs/safety/results.jsonl docs/safety.md"
