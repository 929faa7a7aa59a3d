# SPDX-License-Identifier: Apache-2.0
# fipcctl, and the demo.
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
# Two minutes under valgrind; fipcctl_commands is the tool's part there.
fipc_test(fipcctl test_fipcctl.c fipcctl_support.c support.c LIBRARIES PkgConfig::JANSSON TIMEOUT 120 LABELS nomemcheck)
fipc_test(fipcctl_commands test_fipcctl_commands.c fipcctl_support.c support.c LIBRARIES PkgConfig::JANSSON TIMEOUT 120)
# Of what these start valgrind sees little: the system's programs.
fipc_test(fipcctl_lock test_fipcctl_lock.c fipcctl_support.c support.c LIBRARIES PkgConfig::JANSSON TIMEOUT 120
	LABELS nomemcheck)
# Valgrind 3.19 has no futex_waitv: doctor says so.
fipc_test(fipcctl_doctor test_fipcctl_doctor.c fipcctl_support.c support.c LIBRARIES PkgConfig::JANSSON TIMEOUT 120
	LABELS nomemcheck)
# Another user of a file shortens it just when the library has mapped it. Not with clang's sanitizers, as in core.cmake.
fipc_test(fastipc test_fastipc.c fipcctl_support.c support.c STATIC LIBRARIES PkgConfig::JANSSON TIMEOUT 120)
if(NOT FIPC_SANITIZE OR CMAKE_C_COMPILER_ID STREQUAL "GNU")
	target_link_options(test_fastipc PRIVATE -Wl,--wrap=mmap)
	target_compile_definitions(test_fastipc PRIVATE WRAPS_MMAP)
endif()
# Of what sleeps by futex_waitv valgrind 3.19 makes what looks again and again, and is not seen asleep.
fipc_test(types test_types.c fipcctl_support.c interface_support.c support.c LIBRARIES PkgConfig::JANSSON TIMEOUT 120 LABELS nomemcheck)

# The view and the keys of `top` are tried without a screen. Sanitizers see as much as valgrind, in a tenth of the time.
set(top_view color.c column.c object.c say.c top_keys.c top_view.c)
list(TRANSFORM top_view PREPEND ${PROJECT_SOURCE_DIR}/fipcctl/)
fipc_test(fipcctl_top test_fipcctl_top.c fipcctl_support.c support.c ${top_view}
	LIBRARIES PkgConfig::JANSSON LABELS nomemcheck)
target_include_directories(test_fipcctl_top PRIVATE ${PROJECT_SOURCE_DIR}/fipcctl)

fipc_test(fipcctl_completion test_fipcctl_completion.c fipcctl_support.c support.c LIBRARIES PkgConfig::JANSSON
	LABELS nomemcheck)

fipc_test(fipcctl_monitor test_fipcctl_monitor.c fipcctl_support.c support.c LIBRARIES PkgConfig::JANSSON
	LABELS nomemcheck)

fipc_test(fipcctl_output test_fipcctl_output.c interface_support.c fipcctl_support.c support.c
	LIBRARIES PkgConfig::JANSSON LABELS nomemcheck) # valgrind knows no futex_waitv

# The demo is built with the programs. It measures microseconds, so valgrind would make it tell tales.
fipc_register(demo "" "" "" "nomemcheck" ${CMAKE_CROSSCOMPILING_EMULATOR} $<TARGET_FILE:fipc-demo>)
