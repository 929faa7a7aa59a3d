# SPDX-License-Identifier: Apache-2.0
# Sourced by the tests of pages that are made of results: where docs/ is, a directory that is removed, and a way to fail.
docs=$(cd "$(dirname "$0")/../../docs" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/fipc-test.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
export PYTHONDONTWRITEBYTECODE=1

fail()
{
	echo "FAILED: $*" >&2
	exit 1
}
