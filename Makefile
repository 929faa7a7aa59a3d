# SPDX-License-Identifier: Apache-2.0
# The short way to cmake.
#
#	make            build, in build/
#	make demo       see an owner killed, the next one told, and fipcd cleaning up
#	make test       everything that tests, four times: plain, under ASan + UBSan, TSan, valgrind
#	make coverage   which lines of library, daemon and tool the tests run; fails if those of the library are too few
#	make bench      build and run the benchmark
#	make scale      how fipcd bears 1,000, 10,000 and 100,000 objects
#	make sweep      kill at every single instruction of every operation; the tests do every tenth
#	make model      every interleaving of the protocols' models; the tests leave out the longest
#	make soak       nine minutes of processes killed by chance
#	make fuzz       ten minutes of fuzzed frames and fuzzed directories (clang's libFuzzer), in build-fuzz/
#	make install    PREFIX=/usr/local unless told; DESTDIR= for a staged one
#	make deb        Debian packages, in build/packages/
#
# demo, test, coverage, bench, scale, sweep, model, soak and fuzz first install, with apt-get, what they need and is missing.
# CC= and CMAKE_FLAGS= go to cmake.
BUILD = build
JOBS = $(shell nproc)
CMAKE = env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL cmake
PREFIX_FLAG = $(if $(PREFIX),-DCMAKE_INSTALL_PREFIX=$(abspath $(PREFIX)))

.PHONY: all demo test coverage bench fipc-bench scale sweep model soak fuzz install deb clean

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

bench: fipc-bench
	@build-test/tests/bench/fipc-bench-static alone
	@build-test/tests/bench/fipc-bench

# Targets of cmake, among the tests.
fipc-bench scale sweep soak:
	@sh tests/setup.sh test
	@$(CMAKE) -S . -B build-test $(CMAKE_FLAGS) >/dev/null
	@$(CMAKE) --build build-test -j$(JOBS) --target $@

model:
	@sh tests/setup.sh test
	@sh tests/model/run.sh all

fuzz:
	@sh tests/setup.sh fuzz
	@env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL sh tests/fuzz/run.sh 600 $(CMAKE_FLAGS)

# The last line: so that programs find the library at once.
install: all
	@$(CMAKE) --install $(BUILD)
	@if [ -z "$(DESTDIR)" ] && [ "$$(id -u)" = 0 ]; then ldconfig; fi

deb:
	@$(MAKE) --no-print-directory all PREFIX=/usr
	@cd $(BUILD) && cpack

clean:
	rm -rf build build-fuzz build-test build-asan build-tsan build-memcheck build-coverage build-clang build-musl
