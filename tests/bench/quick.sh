#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# quick.sh <build>: the benchmark runs, every group of it, and its page and plots can be made. And the page in docs/ is
# what the template says of the results that lie beside it.
set -eu

build=$1
here=$(cd "$(dirname "$0")" && pwd)

# shellcheck source=tests/pages.sh
. "$here/../pages.sh"
needs gnuplot bench

page=$work/performance.md
python3 "$here/run.py" --quick "$build" "$page" || fail "run.py"
! grep -n '{{' "$page" || fail "the page is not filled in"
grep -q 'figures mean nothing' "$page" || fail "the page does not say that it was a quick run"
(cd "$work" && sed -n 's/.*!\[.*\](\(.*\.svg\)).*/\1/p' "$page" | xargs python3 -c '
import sys, xml.dom.minidom
plots = [xml.dom.minidom.parse(name) for name in sys.argv[1:]]
sys.exit(not plots)') || fail "plots that are missing, or are not XML"

python3 "$here/page.py" "$docs/performance/results.jsonl" "$work/now.md"
sed -i 's/](now\//](performance\//' "$work/now.md"
diff "$docs/performance.md" "$work/now.md" ||
	fail "docs/performance.md: python3 tests/bench/page.py docs/performance/results.jsonl docs/performance.md"
