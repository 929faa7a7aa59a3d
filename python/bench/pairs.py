# SPDX-License-Identifier: Apache-2.0
"""What an uncontended pair of calls takes, beside posix_ipc, fastipc and Python's own.

python python/bench/pairs.py [--json]
"""

import json
import multiprocessing
import os
import shutil
import sys
import tempfile
import threading
import timeit

import fipc

MESSAGE = b"x" * 64
LOCK = "x.acquire(); x.release()"
WITH = "with x: pass"
MESSAGES = "x.send(message); x.receive()"


def measure(statement, x, count=20000, rounds=50):
    """The best of some short rounds: other processes make it slower, nothing makes it faster."""
    timer = timeit.Timer(statement, globals={"x": x, "message": MESSAGE})
    return min(timer.repeat(rounds, count)) / count * 1e9


def ours():
    yield "fipc.Mutex", LOCK, fipc.Mutex(None, fipc.CREATE | fipc.EXCL)
    yield "fipc.Mutex", WITH, fipc.Mutex(bytearray(64))
    yield "fipc.Semaphore", LOCK, fipc.Semaphore(None, fipc.CREATE | fipc.EXCL)
    yield "fipc.MessageQueue", MESSAGES, fipc.MessageQueue(None, fipc.CREATE | fipc.EXCL)


def pythons():
    yield "threading.Lock", LOCK, threading.Lock()
    yield "multiprocessing.Lock", LOCK, multiprocessing.Lock()


def posix_ipcs():
    import posix_ipc

    semaphore = posix_ipc.Semaphore(None, posix_ipc.O_CREX, initial_value=1)
    semaphore.unlink()
    yield "posix_ipc.Semaphore", LOCK, semaphore
    queue = posix_ipc.MessageQueue(None, posix_ipc.O_CREX)
    queue.unlink()
    yield "posix_ipc.MessageQueue", MESSAGES, queue


def fastipcs():
    import fastipc

    yield "fastipc.Mutex", LOCK, fastipc.Mutex(bytearray(64))


def rows():
    for group in (ours, pythons, posix_ipcs, fastipcs):
        try:
            for name, statement, x in group():
                yield {"what": name, "statement": statement, "ns": round(measure(statement, x), 1)}
        except ImportError as e:
            print(f"left out: {e.name} is not installed", file=sys.stderr)


def main():
    os.environ["FIPC_DIR"] = tempfile.mkdtemp(prefix="fipc-bench-", dir="/dev/shm")
    try:
        results = list(rows())
    finally:
        shutil.rmtree(os.environ["FIPC_DIR"])
    if "--json" in sys.argv[1:]:
        print(json.dumps(results, indent=2))
        return
    for row in results:
        print(f"{row['what']:24} {row['statement']:32} {row['ns']:8.1f} ns")


if __name__ == "__main__":
    main()
