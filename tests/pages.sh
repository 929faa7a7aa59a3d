# SPDX-License-Identifier: Apache-2.0
# Sourced by the tests of pages that are made of results: where docs/ is, a directory that is removed, and ways to skip
# and to fail.
docs=$(cd "$(dirname "$0")/../../docs" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/fipc-test.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
export PYTHONDONTWRITEBYTECODE=1

# needs <command> <purpose of setup.sh>
needs()
{
	command -v "$1" >/dev/null && return 0
	echo "SKIP: $2: no $1 (sh tests/setup.sh $2 installs it)"
	exit 77
}

fail()
{
	echo "FAILED: $*" >&2
	exit 1
}
