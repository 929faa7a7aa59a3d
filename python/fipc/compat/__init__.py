# SPDX-License-Identifier: Apache-2.0
"""Stand-ins for other packages, over fipc: fastipc, posix_ipc, nob.

``from fipc.compat import posix_ipc`` in place of ``import posix_ipc``; or, the program unchanged,
``python -m fipc.compat.run posix_ipc program.py``.
"""
