#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# python.sh <python3> <library folder> <folder with fipc.pc>: `pip install ./python` from a copy of the sources, linked
# to libfipc, and then with libfipc's sources inside; both at once on one mutex.
set -eu

python=$1 library=$2 packages=$3
source=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/fipc-test.XXXXXX")
FIPC_DIR=$(mktemp -d /dev/shm/fipc-test.XXXXXX)
export FIPC_DIR
trap 'rm -rf "$work" "$FIPC_DIR"' EXIT
trap 'exit 130' INT TERM

fail()
{
	cat "$work/log"
	echo "FAILED: $*" >&2
	exit 1
}

# install <where>: with what is in the environment
install()
{
	rm -rf "$work/copy/python/build"
	"$python" -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-index --no-deps \
		--no-build-isolation --no-cache-dir --target "$1" "$work/copy/python" >"$work/log" 2>&1 ||
		fail "pip install ./python"
}

# python_in <where> <code>
python_in()
{
	LD_LIBRARY_PATH=$library PYTHONPATH=$1 "$python" -B -c "import os, signal, fipc
m = fipc.Mutex('bank', fipc.CREATE | fipc.PERSIST)
$2" || fail "the package in $1"
}

mkdir "$work/copy"
cp -R "$source/CMakeLists.txt" "$source/include" "$source/libfipc" "$source/python" "$work/copy"
echo "-- pip, linked to libfipc.so"
CFLAGS=-O0 PKG_CONFIG_PATH=$packages LDFLAGS=-L$library CPPFLAGS=-I$source/include install "$work/linked"
readelf -d "$work"/linked/fipc/_fipc*.so | grep -q 'libfipc\.so\.0' || fail "it is not linked to libfipc.so"
echo "-- pip, with libfipc inside"
CFLAGS=-O0 FIPC_STATIC=1 install "$work/inside"
! readelf -d "$work"/inside/fipc/_fipc*.so | grep -q 'libfipc' || fail "it needs libfipc.so"
for file in py.typed __init__.pyi compat/run.py; do
	[ -e "$work/inside/fipc/$file" ] || fail "$file is not installed"
done

echo "-- both on one mutex"
(python_in "$work/linked" "m.acquire(); os.kill(os.getpid(), signal.SIGKILL)") >"$work/log" 2>&1 || true
python_in "$work/inside" "
with m.recover() as died:
    assert died"
python_in "$work/linked" "
with m:
    m.unlink()"
