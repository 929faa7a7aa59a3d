# SPDX-License-Identifier: Apache-2.0
# What a stranger gets: installed, then used by small programs. It builds a tree of its own, so once is enough.
fipc_script_test(install install/run.sh TIMEOUT 300 LABELS nosanitize nomemcheck)
