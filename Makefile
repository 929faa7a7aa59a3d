# SPDX-License-Identifier: Apache-2.0
# The short way to cmake.
#
#	make            build, in build/
#	make demo       see an owner killed, the next one told, and fipcd cleaning up
#	make test       everything that tests, four times: plain, under ASan + UBSan, TSan, valgrind
#	make coverage   which lines of library, daemon and tool the tests run; fails if they are too few
#	make prove      all that shows how safe it is, within half an hour: makes docs/safety.md
#	make bench      measure, beside what one would use instead, within ten minutes: makes docs/performance.md
#	make scale      how fipcd bears 1,000, 10,000 and 100,000 objects
#	make sweep      kill at every single instruction of every operation; the tests do every tenth
#	make model      every interleaving of the protocols' models; the tests leave out the longest
#	make soak       nine minutes of processes killed by chance
#	make fuzz       ten minutes of fuzzed frames and fuzzed directories (clang's libFuzzer), in build-fuzz/
#	make cross      all of it for 64-bit ARM, and what qemu-user can serve of the tests, in build-cross/
#	make cross-kernel   after that, the library's tests under a kernel for 64-bit ARM, which has robust lists
#	make install    PREFIX=/usr/local unless told; DESTDIR= for a staged one
#	make deb        Debian packages, in build/packages/
#
# demo, test, coverage, prove, bench, scale, sweep, model, soak, fuzz, cross and cross-kernel first install, with apt-get, what
# they need and is missing.
# CC= and CMAKE_FLAGS= go to cmake.
BUILD = build
JOBS = $(shell nproc)
CMAKE = env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL cmake
PREFIX_FLAG = $(if $(PREFIX),-DCMAKE_INSTALL_PREFIX=$(abspath $(PREFIX)))

.PHONY: all demo test coverage prove bench scale sweep model soak fuzz cross cross-kernel install deb clean

all:
	@sh tests/setup.sh --check build
	@$(CMAKE) -S . -B $(BUILD) -DFIPC_TESTS=OFF $(PREFIX_FLAG) $(CMAKE_FLAGS) >/dev/null
	@$(CMAKE) --build $(BUILD) -j$(JOBS)

demo:
	@sh tests/setup.sh demo
	@$(MAKE) --no-print-directory all >/dev/null
	@$(BUILD)/tests/demo/fipc-demo

test:
	@sh tests/setup.sh test
	@env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL sh tests/run.sh $(CMAKE_FLAGS)

coverage:
	@sh tests/setup.sh coverage
	@env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL sh tests/coverage.sh $(CMAKE_FLAGS)

prove:
	@sh tests/setup.sh prove
	@$(CMAKE) -S . -B build-test $(CMAKE_FLAGS) >/dev/null
	@env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL python3 tests/prove/prove.py docs/safety.md

bench:
	@sh tests/setup.sh bench
	@$(CMAKE) -S . -B build-test $(CMAKE_FLAGS) >/dev/null
	@$(CMAKE) --build build-test -j$(JOBS) --target fipc-bench
	@python3 tests/bench/run.py build-test docs/performance.md

# Targets of cmake, among the tests.
scale sweep soak:
	@sh tests/setup.sh test
	@$(CMAKE) -S . -B build-test $(CMAKE_FLAGS) >/dev/null
	@$(CMAKE) --build build-test -j$(JOBS) --target $@

model:
	@sh tests/setup.sh test
	@sh tests/model/run.sh all

fuzz:
	@sh tests/setup.sh fuzz
	@env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL sh tests/fuzz/run.sh 600 $(CMAKE_FLAGS)

cross:
	@sh tests/setup.sh cross
	@env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL sh tests/cross/run.sh $(CMAKE_FLAGS)

cross-kernel: cross
	@sh tests/setup.sh cross-kernel
	@sh tests/cross/kernel.sh

# The last line: so that programs find the library at once.
install: all
	@$(CMAKE) --install $(BUILD)
	@if [ -z "$(DESTDIR)" ] && [ "$$(id -u)" = 0 ]; then ldconfig; fi

deb:
	@$(MAKE) --no-print-directory all PREFIX=/usr
	@cd $(BUILD) && cpack

clean:
	rm -rf build build-fuzz build-test build-asan build-tsan build-memcheck build-coverage build-clang build-musl build-cross
