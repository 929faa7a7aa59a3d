# SPDX-License-Identifier: Apache-2.0
import sys

from fipc.compat import posix_ipc

sys.modules[__name__] = posix_ipc
