# SPDX-License-Identifier: Apache-2.0
# fipcctl, and the demo.
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
fipc_test(fipcctl test_fipcctl.c fipcctl_support.c support.c LIBRARIES PkgConfig::JANSSON TIMEOUT 120)
# Of what sleeps by futex_waitv valgrind 3.19 makes what looks again and again, and is not seen asleep.
fipc_test(types test_types.c fipcctl_support.c support.c LIBRARIES PkgConfig::JANSSON TIMEOUT 120 LABELS nomemcheck)

# The demo is built with the programs. It measures microseconds, so valgrind would make it tell tales.
add_test(NAME demo COMMAND fipc-demo)
set_tests_properties(demo PROPERTIES TIMEOUT 60 LABELS "nomemcheck")
