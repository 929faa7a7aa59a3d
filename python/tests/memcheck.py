# SPDX-License-Identifier: Apache-2.0
"""To be run under valgrind, with PYTHONMALLOC=malloc: everything, twice."""

import os
import shutil
import tempfile

os.environ["FIPC_DIR"] = tempfile.mkdtemp(prefix="fipc-python-", dir="/dev/shm")
try:
    from test_arguments import round_trip

    for _ in range(2):
        round_trip()
finally:
    shutil.rmtree(os.environ["FIPC_DIR"])
