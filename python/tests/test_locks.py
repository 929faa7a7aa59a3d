# SPDX-License-Identifier: Apache-2.0
"""Mutex, RWLock and Condition: who holds them, and what becomes of them when an owner dies."""

import errno
import threading
import time

import fipc
import pytest
from conftest import await_

LOCK = "m = fipc.Mutex('bank', fipc.CREATE | fipc.PERSIST); m.acquire()"
WRITE = "l = fipc.RWLock('table', fipc.CREATE | fipc.PERSIST); l.acquire_write()"


def in_thread(function):
    """What it returned, or raised, in a thread of its own."""
    results = []

    def run():
        try:
            results.append(function())
        except Exception as e:
            results.append(e)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return results[0]


# ---- Mutex ----


def test_mutex_of_threads():
    m = fipc.Mutex("bank", fipc.CREATE)
    assert m.created and m.name == "bank" and not m.locked()
    assert m.acquire() is True
    assert m.locked()
    assert in_thread(lambda: m.acquire(False)) is False
    assert in_thread(lambda: m.acquire(timeout=0.01)) is False
    assert in_thread(lambda: m.acquire(timeout_ns=1000)) is False
    assert isinstance(in_thread(m.release), fipc.NotOwner)
    with pytest.raises(fipc.Deadlock) as e:
        m.acquire()
    assert (e.value.errno, e.value.filename) == (errno.EDEADLK, "bank")
    m.release()
    with pytest.raises(PermissionError):
        m.release()
    assert in_thread(lambda: m.acquire(block=False) and m.release() is None) is True


def test_mutex_of_several_threads_counts():
    m, count = fipc.Mutex(bytearray(64)), [0]

    def add():
        for _ in range(2000):
            with m:
                n = count[0]
                count[0] = n + 1

    threads = [threading.Thread(target=add) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert count[0] == 8000


@pytest.mark.parametrize("target", ["bank", bytearray(64)], ids=["name", "memory"])
def test_waiting_lets_other_threads_run(target):
    m = fipc.Mutex(target, fipc.CREATE if target == "bank" else 0)
    got = []
    m.acquire()
    thread = threading.Thread(target=lambda: got.append(m.acquire(timeout=60)))
    thread.start()
    await_(lambda: m.info().waiters == 1)
    with pytest.raises(fipc.Busy):
        m.close()
    m.release()
    thread.join()
    assert got == [True]
    # It ended with the lock: the next one is told.
    with pytest.raises(fipc.OwnerDied):
        m.acquire()


def test_mutex_info():
    m = fipc.Mutex("bank", fipc.CREATE | fipc.TIMESTAMPS)
    before = time.monotonic_ns()
    with m:
        info = m.info()
    assert (info.state, info.acquisitions) == ("held", 1)
    assert info.owner_pid == info.last_pid
    assert before <= info.acquired_ns <= time.monotonic_ns()
    assert m.info().state == "free"


def test_owner_died_is_told_until_somebody_mends(died):
    pid = died(LOCK)
    m = fipc.Mutex("bank")
    assert m.info().last_pid == pid
    for acquire in (m.acquire, m.__enter__, lambda: m.acquire(False)):
        with pytest.raises(fipc.OwnerDied) as e:
            acquire()
        assert e.value.errno == errno.EOWNERDEAD
        assert not m.locked() and m.info().state == "died"
    with pytest.raises(ZeroDivisionError):
        with m.recover() as dead:
            assert dead is True
            raise ZeroDivisionError
    assert m.info().state == "died"
    with m.recover(timeout=60) as dead:
        assert dead is True and m.info().state == "recovering"
        for way_out in (m.release, m.acquire, lambda: m.recover().__enter__()):
            with pytest.raises((RuntimeError, fipc.Deadlock)):
                way_out()
    with m:
        assert m.info().state == "held"
    with m.recover() as dead:
        assert dead is False
    m.unlink()


def test_recover_that_raises_after_no_death():
    m = fipc.Mutex("bank", fipc.CREATE)
    with pytest.raises(KeyError):
        with m.recover():
            raise KeyError
    assert m.acquire()
    assert isinstance(in_thread(lambda: m.recover(timeout=0.01).__enter__()), fipc.TimedOut)
    m.release()


def test_on_owner_death(died):
    mended = []
    m = fipc.Mutex("bank", fipc.CREATE, on_owner_death=mended.append)
    with m:
        pass
    assert mended == []
    died(LOCK)
    with m:
        assert m.locked()
    assert mended == [m]
    died(LOCK)
    assert m.acquire(timeout=60) and len(mended) == 2
    m.release()


def test_on_owner_death_that_raises(died):
    def refuse(mutex):
        with pytest.raises(RuntimeError):
            mutex.release()
        with pytest.raises(fipc.Busy):
            mutex.close()
        raise LookupError("no backup")

    died(LOCK)
    m = fipc.Mutex("bank", on_owner_death=refuse)
    for _ in range(2):
        with pytest.raises(LookupError):
            m.acquire()
        assert m.info().state == "died"
    m.on_owner_death = fipc.IGNORE_DEATH
    with m:
        pass
    m.unlink()


def test_not_recoverable_and_its_cure(start):
    child = start(LOCK + "; print(1, flush=True); sys.stdin.readline(); m.release()")
    child.line()
    m = fipc.Mutex("bank")
    m.revoke()
    with pytest.raises(fipc.NotRecoverable):
        m.acquire()
    child.go()
    assert child.wait() == 0
    with pytest.raises(fipc.NotRecoverable):
        m.recover().__enter__()
    new = fipc.Mutex("bank", fipc.CREATE | fipc.REPLACE)
    with new:
        pass
    with pytest.raises(fipc.Error) as e:
        new.revoke()
    assert e.value.errno == errno.ESRCH


def test_exception_inside_is_not_a_death():
    m = fipc.Mutex("bank", fipc.CREATE)
    with pytest.raises(KeyError):
        with m:
            raise KeyError
    with m:
        pass


# ---- RWLock ----


def test_rwlock():
    lock = fipc.RWLock("table", fipc.CREATE, readers=3)
    with lock.reader():
        assert in_thread(lambda: lock.acquire_read(False) and lock.release() is None) is True
        assert in_thread(lambda: lock.acquire_write(timeout=0.01)) is False
        assert isinstance(in_thread(lambda: lock.writer(timeout=0.01).__enter__()), fipc.TimedOut)
        assert lock.info().state == "read" and lock.info().max_readers == 3
        with pytest.raises(fipc.Deadlock):
            lock.acquire_write()
    with lock.writer():
        assert in_thread(lambda: lock.acquire_read(timeout_ns=10)) is False
        assert lock.info().state == "written"
    with pytest.raises(fipc.NotOwner):
        lock.release()


def test_rwlock_in_memory():
    size = fipc.RWLock.size(2)
    lock = fipc.RWLock(bytearray(size), readers=2)
    assert lock.info().max_readers == 2
    room = fipc.RWLock(bytearray(size * 4))
    assert room.info().max_readers > 2
    with pytest.raises(ValueError):
        fipc.RWLock(bytearray(size), readers=3)
    with pytest.raises(ValueError):
        fipc.RWLock.size(0)
    lock.destroy()


def test_writer_died_is_told_to_readers_too(died):
    died(WRITE)
    lock = fipc.RWLock("table")
    for way_in in (lock.acquire_read, lock.acquire_write, lock.reader().__enter__):
        with pytest.raises(fipc.OwnerDied):
            way_in()
        assert lock.info().state == "died"
    with pytest.raises(KeyError):
        with lock.recover() as dead:
            assert dead and lock.info().state == "recovering"
            raise KeyError
    with lock.recover() as dead:
        assert dead
    with lock.reader():
        assert lock.info().state == "read"
    lock.unlink()


def test_a_reader_mends_and_reads(died):
    states = []
    died(WRITE)
    lock = fipc.RWLock("table", on_owner_death=lambda lock: states.append(lock.info().state))
    with lock.reader():
        states.append(lock.info().state)
    assert states == ["recovering", "read"]
    lock.unlink()


# ---- Condition ----


def test_condition():
    m, c = fipc.Mutex("m", fipc.CREATE), fipc.Condition("c", fipc.CREATE)
    box = []

    def fill():
        await_(lambda: c.info().waiters == 1)
        with m:
            box.append(1)
            c.notify()

    thread = threading.Thread(target=fill)
    thread.start()
    with m:
        assert c.wait_for(m, lambda: box, timeout=60) == [1]
        assert m.info().state == "held"
        assert c.wait(m, timeout=0.001) is False
        assert c.wait_for(m, lambda: 0, timeout_ns=1000) == 0
        assert m.info().state == "held"
        with pytest.raises(KeyError):
            c.wait_for(m, {}.popitem)
    thread.join()
    with pytest.raises(fipc.NotOwner):
        c.wait(m, 1)
    c.notify(10**9)
    c.notify_all()
    c.notify(0)


def test_condition_notifies_as_many_as_it_says():
    m, c = fipc.Mutex(bytearray(64)), fipc.Condition(bytearray(64))
    back, done = [], []

    def wait():
        with m:
            c.wait_for(m, lambda: done)
            back.append(1)

    threads = [threading.Thread(target=wait) for _ in range(3)]
    for t in threads:
        t.start()
    await_(lambda: c.info().waiters == 3)
    with pytest.raises(fipc.Busy):
        c.destroy()
    with m:
        done.append(1)
        c.notify(2)
    await_(lambda: len(back) == 2)
    c.notify(5)
    for t in threads:
        t.join()


HOLD_WHEN_WAITED = """
c = fipc.Condition('c', fipc.CREATE)
m = fipc.Mutex('bank', fipc.CREATE)
print('ready', flush=True)
while not c.info().waiters: pass
m.acquire()
c.notify()
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("handler", [None, fipc.IGNORE_DEATH])
def test_owner_died_while_one_waited(start, handler):
    m = fipc.Mutex("bank", fipc.CREATE, on_owner_death=handler)
    c = fipc.Condition("c", fipc.CREATE)
    start(HOLD_WHEN_WAITED).line()
    if handler:
        with m:
            assert c.wait(m, timeout=60) is True
            assert m.info().state == "held"
    else:
        with pytest.raises(fipc.OwnerDied):
            with m:
                c.wait(m, timeout=60)
        assert m.info().state == "died"
