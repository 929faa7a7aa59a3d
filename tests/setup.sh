#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# setup.sh [--check] build|demo|test|bench|coverage|prove|fuzz|cross|cross-kernel|ci: install, with apt-get, what that
# needs and this machine lacks; silent if nothing is missing. --check: only say what is missing, and fail. It looks for
# the things, not for packages, so that any distribution that has them will do.
set -u

check=
if [ "${1:-}" = --check ]; then
	check=yes
	shift
fi
purpose=${1:?usage: setup.sh [--check] build|demo|test|bench|coverage|prove|fuzz|cross|cross-kernel|ci}
packages=

# need_*, and so missing: <what> <Debian package> <why>
missing()
{
	echo "fipc: $2 is missing: $3" >&2
	packages="$packages $2"
}

need_command()
{
	command -v "$1" >/dev/null || missing "$@"
}

need_header()
{
	printf '#include <%s>\n' "$1" | cc -E - >/dev/null 2>&1 || missing "$@"
}

need_library()
{
	pkg-config --exists "$1" 2>/dev/null || missing "$@"
}

# need_python <code> <Debian package> <why>: the system's Python, which CMake builds for, too
need_python()
{
	if [ -x /usr/bin/python3 ]; then
		/usr/bin/python3 -c "$1" >/dev/null 2>&1
	else
		python3 -c "$1" >/dev/null 2>&1
	fi || missing "$@"
}

need_sanitizer()
{
	echo 'int LLVMFuzzerTestOneInput(void) { return 0; }' |
		clang -fsanitize="$1",address,undefined -x c -o /dev/null - 2>/dev/null || missing "$@"
}

need_command cc gcc "the C compiler"
need_header stdio.h libc6-dev "the C library's headers"
need_command cmake cmake "configures the build"
need_command pkg-config pkg-config "finds the libraries"
need_library libsystemd libsystemd-dev "fipcd's event loop, socket activation and watchdog"
need_library jansson libjansson-dev "JSON, of fipcd and fipcctl"
need_library smartcols libsmartcols-dev "the tables of fipcctl"
need_library ncursesw libncurses-dev "the screen of fipcctl top"
case $purpose in
demo | test | coverage | prove | ci)
	need_command systemd-socket-activate systemd "starts fipcd on its first connection, and checks its units"
	;;
esac
case $purpose in
test | bench | coverage | prove | ci)
	need_command c++ g++ "the headers are for C++ too: tested, and Boost is"
	need_library cmocka libcmocka-dev "the test framework"
	need_command valgrind valgrind "the suite runs under memcheck, and instructions are counted"
	need_command python3 python3 "makes docs/performance.md and docs/safety.md, and talks to fipcd in an example"
	need_command gnuplot gnuplot-nox "draws the plots of the benchmark"
	need_header boost/version.hpp libboost-dev "Boost.Interprocess, which fipc is compared with"
	;;
esac
case $purpose in
test | coverage | prove | ci)
	need_command spin spin "the lock word's protocol is model-checked"
	need_command musl-gcc musl-tools "the library is for musl too: tested"
	need_header sys/sdt.h systemtap-sdt-dev "probes for bpftrace and perf: tested"
	need_command readelf binutils "shows them"
	! command -v dpkg >/dev/null || need_command dpkg-shlibdeps dpkg-dev "makes Debian packages: tested"
	need_command mandoc mandoc "checks the man pages"
	need_command groff groff-base "shows them"
	need_command man man-db "finds them"
	need_python "import sysconfig; open(sysconfig.get_path('include') + '/Python.h')" python3-dev \
		"the Python package is an extension in C: tested"
	need_python "import pytest" python3-pytest "its tests are pytest's"
	need_python "import setuptools, wheel" "python3-setuptools python3-wheel" "pip installs it: tested"
	;;
esac
case $purpose in
cross | ci)
	need_command aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu "compiles for 64-bit ARM"
	need_command qemu-aarch64-static qemu-user-static "runs what was compiled"
	need_command dpkg dpkg "unpacks that machine's libraries"
	;;
cross-kernel)
	need_command qemu-system-aarch64 qemu-system-arm "stands for a whole machine"
	need_command cpio cpio "packs what that one begins with"
	;;
esac
case $purpose in
fuzz | prove | ci)
	need_command clang clang "the second compiler"
	need_sanitizer fuzzer libclang-rt-dev "what clang links fuzz targets with"
	;;
esac
case $purpose in
coverage | prove)
	need_command gcovr gcovr "tells which lines the tests run"
	;;
ci)
	# Not for "test": on a machine of one's own the package starts a server.
	need_command promtool prometheus "says whether Prometheus can read the figures of fipcctl"
	;;
esac

[ -n "$packages" ] || exit 0
if [ -n "$check" ]; then
	echo "fipc: to install what is missing: sh tests/setup.sh $purpose" >&2
	exit 1
fi

root=
[ "$(id -u)" = 0 ] || root=sudo
if ! command -v apt-get >/dev/null; then
	echo "fipc: no apt-get here: install, under the names your system has for them:$packages" >&2
	exit 1
fi
if [ -n "$root" ] && ! command -v sudo >/dev/null; then
	echo "fipc: neither root nor sudo: let root run: apt-get install --no-install-recommends$packages" >&2
	exit 1
fi

install_packages()
{
	# shellcheck disable=SC2086 # a list of words
	$root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 \
		install -y --no-install-recommends $packages
}

echo "fipc: installing:$packages" >&2
# The package lists may be absent, or older than the mirror.
install_packages >/dev/null 2>&1 </dev/null && exit 0
if ! { $root apt-get -qq update && install_packages >/dev/null; } </dev/null; then
	echo "fipc: apt-get could not install them; see above, or install by hand:$packages" >&2
	exit 1
fi
