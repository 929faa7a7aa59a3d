# SPDX-License-Identifier: Apache-2.0
import sys

from fipc.compat import nob

sys.modules[__name__] = nob
