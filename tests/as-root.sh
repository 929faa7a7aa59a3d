#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# as-root.sh <command> [<argument>...]: run it, or say that it is skipped because this is not root.
if [ "$(id -u)" != 0 ]; then
	echo "SKIP: needs root"
	exit 77
fi
exec "$@"
