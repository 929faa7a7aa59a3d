# SPDX-License-Identifier: Apache-2.0
# What a stranger gets: installed, then used by small programs. It builds a tree of its own, so once is enough.
fipc_script_test(install install/run.sh TIMEOUT 300 LABELS nosanitize nomemcheck)
# The examples in the headers and in README.md are C.
fipc_script_test(examples examples/run.sh ${CMAKE_C_COMPILER} LABELS nosanitize nomemcheck)
