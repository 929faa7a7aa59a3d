# SPDX-License-Identifier: Apache-2.0
# What a stranger gets: installed, then used by small programs. It builds a tree of its own, so once is enough.
fipc_script_test(install install/run.sh TIMEOUT 300 LABELS nosanitize nomemcheck)
# The examples in the headers, README.md and the man pages do what they should, commands too; and the pages say what the
# headers and programs say.
fipc_script_test(examples examples/run.sh ${CMAKE_C_COMPILER} $<TARGET_FILE:fipc> TIMEOUT 180 LABELS nosanitize nomemcheck)
fipc_script_test(docs docs/check.sh ${PROJECT_BINARY_DIR}/docs/man $<TARGET_FILE:fipc> $<TARGET_FILE:fipcctl>
	$<TARGET_FILE:fipcd> TIMEOUT 180 LABELS nosanitize nomemcheck)
fipc_script_test(commands docs/commands.sh ${CMAKE_C_COMPILER} $<TARGET_FILE:fipc> $<TARGET_FILE:fipcctl>
	$<TARGET_FILE:fipcd> ${PROJECT_BINARY_DIR}/docs/man TIMEOUT 180 LABELS nosanitize nomemcheck)
