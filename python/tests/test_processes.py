# SPDX-License-Identifier: Apache-2.0
"""Several processes: kills, signals, fork, spawn, exit."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time

import fipc
import pytest
from conftest import PATIENCE, Child, await_


def from_build(variable):
    path = os.environ.get(variable)
    if not path:
        pytest.skip(f"{variable} is not set, as it is by make test")
    return path


@pytest.fixture
def peer(start):
    """peer.c, run as: peer bank."""
    program, children = from_build("FIPC_TEST_PEER"), []

    def begin():
        children.append(Child(program, "bank"))
        return children[-1]

    yield begin
    for child in children:
        child.process.kill()
        child.wait()
        child.process.stdin.close()
        child.process.stdout.close()


# ---- kills ----

WAITER = """
m = fipc.Mutex('bank', fipc.CREATE)
print('open', flush=True)
try:
    with m:
        print('held', flush=True)
except fipc.OwnerDied:
    print('owner died', flush=True)
    sys.stdin.readline()
    with m.recover() as died:
        print('mended' if died else 'held', flush=True)
"""

HOLDER = """
m = fipc.Mutex('bank', fipc.CREATE)
with m:
    print('inside', flush=True)
    sys.stdin.readline()
"""


def test_a_kill_inside_is_told_in_both_languages(start, peer):
    """Python dies; C and Python wait. Each is told, until one has mended."""
    holder = start(HOLDER)
    assert holder.line() == "inside"
    look = fipc.Mutex("bank")
    python = start(WAITER)
    assert python.line() == "open"
    await_(lambda: look.info().waiters == 1)
    holder.kill()
    assert python.line() == "owner died"
    assert look.info().state == "died"
    c = peer()
    assert [c.line(), c.line()] == ["open", "owner died"]  # and C has mended
    assert c.wait() == 0
    python.go()
    assert python.line() == "held"
    assert python.wait() == 0
    with look:
        pass


def test_a_kill_while_c_waits(start, peer):
    holder = start(HOLDER)
    assert holder.line() == "inside"
    look = fipc.Mutex("bank")
    c = peer()
    assert c.line() == "open"
    await_(lambda: look.info().waiters == 1)
    holder.kill()
    assert c.line() == "owner died"
    assert c.wait() == 0
    with look:
        pass


def test_fipcctl_names_the_python_process(start, fipc_dir):
    fipcctl = from_build("FIPCCTL_PATH")
    holder = start(HOLDER)
    assert holder.line() == "inside"
    shown = subprocess.run(
        [fipcctl, "show", "bank"], stdout=subprocess.PIPE, timeout=PATIENCE, check=True
    ).stdout.decode()
    with open(f"/proc/{holder.pid}/comm", encoding="ascii") as file:
        name = file.read().strip()
    assert f"held by process {holder.pid} ({name})" in shown


def test_a_sender_that_is_killed(start):
    q = fipc.MessageQueue("jobs", fipc.CREATE, max_messages=4)
    child = start(
        "q = fipc.MessageQueue('jobs'); print(1, flush=True)\nwhile True: q.send(b'x' * 100)"
    )
    child.line()
    for _ in range(50):
        assert q.receive(timeout=PATIENCE) == (b"x" * 100, 0)
    child.kill()
    child.wait()
    while q.count:
        assert q.receive(timeout=PATIENCE) == (b"x" * 100, 0)
    q.send(b"y")


# ---- signals ----

WAITS = {
    "mutex": "m.acquire()",
    "mutex with a timeout": "m.acquire(timeout=1000)",
    "with": "m.__enter__()",
    "recover": "m.recover().__enter__()",
    "read": "fipc.RWLock('l').acquire_read()",
    "write": "fipc.RWLock('l').writer(timeout=1000).__enter__()",
    "semaphore": "fipc.Semaphore('s', fipc.CREATE, initial=0).acquire()",
    "event": "e.wait()",
    "word": "fipc.Word(bytearray(4)).wait(0)",
    "receive": "q.receive()",
    "send": "[q.send(b'') for _ in range(100)]",
    "wait_any": "fipc.wait_any([e, q])",
    "condition": "n.acquire(); fipc.Condition('c', fipc.CREATE).wait(n)",
}


INTERRUPTED = """
def once(*_):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt

m, n = fipc.Mutex('m'), fipc.Mutex('n', fipc.CREATE)
e, q = fipc.Event('e', fipc.CREATE), fipc.MessageQueue('q', fipc.CREATE)
signal.signal(signal.SIGINT, once)
try:
    print('ready', flush=True)
    {}
except KeyboardInterrupt:
    if n.locked():
        n.release()
    print('interrupted', flush=True)
"""


@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS.keys())
def test_ctrl_c(start, wait):
    m, lock = fipc.Mutex("m", fipc.CREATE), fipc.RWLock("l", fipc.CREATE)
    m.acquire()
    lock.acquire_write()
    child = start(INTERRUPTED.format(wait))
    assert child.line() == "ready"
    await_(child.sleeps)
    # More than once: one just before the sleep begins is heard when that ends, as with any lock.
    await_(lambda: child.kill(signal.SIGINT) or child.has_said_something(0.01))
    assert child.line() == "interrupted"
    assert child.wait() == 0
    m.release()
    lock.release()


@pytest.fixture
def alarms():
    """SIGALRM all the time; the handler only counts."""
    rung = []
    old = signal.signal(signal.SIGALRM, lambda *_: rung.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
    yield rung
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, old)


def test_handlers_run_and_the_wait_goes_on(alarms):
    e, m, c = (kind(bytearray(64)) for kind in (fipc.Event, fipc.Mutex, fipc.Condition))
    before = time.monotonic()
    assert e.wait(timeout=0.1) is False
    assert time.monotonic() - before >= 0.1 and alarms
    with m:
        assert c.wait_for(m, lambda: 0, timeout=0.1) == 0
        assert m.info().state == "held"
    count = len(alarms)
    thread = threading.Thread(target=lambda: await_(lambda: len(alarms) >= count + 3) and e.set())
    thread.start()
    assert e.wait(timeout=PATIENCE) is True
    thread.join()


def test_a_handler_that_raises_leaves_a_condition_with_the_mutex():
    m, c = fipc.Mutex(bytearray(64)), fipc.Condition(bytearray(64))

    def fail(*_):
        raise LookupError

    old = signal.signal(signal.SIGALRM, fail)
    try:
        with pytest.raises(LookupError):
            with m:
                signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
                try:
                    c.wait(m)
                finally:
                    signal.setitimer(signal.ITIMER_REAL, 0)
                    assert m.info().state == "held"
    finally:
        signal.signal(signal.SIGALRM, old)
    assert m.info().state == "free"


# ---- fork, spawn ----


def work(m, c, done, n):
    for _ in range(n):
        with m:
            value = c.count
            c.send(b"")
            assert c.count == value + 1
    done.release()


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_multiprocessing(method):
    m = fipc.Mutex("bank", fipc.CREATE)
    q = fipc.MessageQueue("count", fipc.CREATE, max_messages=1000, max_message_size=1)
    done = fipc.Semaphore("done", fipc.CREATE, initial=0)
    context = multiprocessing.get_context(method)
    workers = [context.Process(target=work, args=(m, q, done, 50)) for _ in range(2)]
    for w in workers:
        w.start()
    for w in workers:
        w.join(PATIENCE)
        assert w.exitcode == 0
    assert (q.count, done.value) == (100, 2)


def in_child(function):
    """Did it return in a child of fork?"""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            function()
            status = 0
        finally:
            os._exit(status)
    return os.waitpid(pid, 0)[1] == 0


def test_a_child_holds_nothing():
    m = fipc.Mutex("bank", fipc.CREATE)
    shm = fipc.SharedMemory("frame", fipc.CREATE, size=4096)
    inside = fipc.Mutex(shm)

    def child():
        for lock in (m, inside):
            with pytest.raises(fipc.NotOwner):
                lock.release()
            assert lock.acquire(False) is False
            lock.close()
        shm.close()

    with m, inside:
        assert in_child(child)
    with m, inside:
        shm.buf[100] = 1


def test_a_child_has_none_of_its_parents_threads():
    e = fipc.Event("e", fipc.CREATE)
    thread = threading.Thread(target=e.wait)
    thread.start()
    await_(lambda: e.info().waiters == 1)
    with pytest.raises(fipc.Busy):
        e.close()
    assert in_child(e.close)
    e.set()
    thread.join()


# ---- exit ----

EXITS = {
    "of everything": "pass",
    "with what info() gave": "class Cycle(dict): pass\nc = Cycle(); c['c'] = c; c['i'] = m.info()",
    "with a cycle": "class Cycle: pass\nc = Cycle(); c.c = c; c.m = m; gc.disable()",
    "with an exception": "raise SystemExit(0)",
    "with a thread": "e = fipc.Event('e', fipc.CREATE)\n"
    "threading.Thread(target=e.wait, daemon=True).start()",
    "with a view": "keep = sys.modules['keep'] = shm.buf",
    "with a registration": "q = fipc.MessageQueue('q', fipc.CREATE); q.notify(print)",
}


@pytest.mark.parametrize("last", EXITS.values(), ids=EXITS.keys())
def test_exit(fipc_dir, last):
    """Nothing is said, and no name is left, but for what is in use to the last."""
    code = f"""
import fipc, gc, sys, threading
m = fipc.Mutex('m', fipc.CREATE)
shm = fipc.SharedMemory('s', fipc.CREATE, size=64)
inside = fipc.Mutex(shm)
l = [fipc.Semaphore('s', fipc.CREATE), m]
l.append(l)
{last}
"""
    done = subprocess.run(
        [sys.executable, "-c", code], stderr=subprocess.PIPE, timeout=PATIENCE, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
    left = {name for name in os.listdir(fipc_dir) if not name.startswith(".")}
    in_use = "e.event" if "Event" in last else "s.shm" if "view" in last else "nothing"
    assert left <= {in_use, in_use + ".pids"}


def test_exit_with_a_lock_is_a_death(start):
    m = fipc.Mutex("bank", fipc.CREATE)
    assert start("m = fipc.Mutex('bank'); m.acquire()").wait() == 0
    with pytest.raises(fipc.OwnerDied):
        m.acquire()
