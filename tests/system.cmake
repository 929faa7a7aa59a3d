# SPDX-License-Identifier: Apache-2.0
# The daemon as systemd runs it.
add_subdirectory(system)
fipc_script_test(units system/offline.sh ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR} LABELS nomemcheck nosanitize)
fipc_script_test(system system/run.sh ${PROJECT_BINARY_DIR}
	ROOT TIMEOUT 300 LABELS nomemcheck nosanitize)
