# SPDX-License-Identifier: Apache-2.0
# The lock word's protocol as a model: every interleaving, killed before every step. It runs no program of ours.
fipc_script_test(model model/run.sh TIMEOUT 600 LABELS nomemcheck nosanitize)
