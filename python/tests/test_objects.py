# SPDX-License-Identifier: Apache-2.0
"""Semaphore, Event, SharedMemory, MessageQueue, words, wait_any: what they do."""

import errno
import mmap
import os
import select
import signal
import threading
import time

import fipc
import pytest
from conftest import await_

# ---- Semaphore ----


def test_semaphore():
    s = fipc.Semaphore("slots", fipc.CREATE, initial=2)
    assert s.value == 2
    with s:
        assert s.acquire() is True and s.value == 0
        assert s.acquire(False) is False
        assert s.acquire(timeout=0.01) is False
    s.release(3)
    assert s.value == 4
    with pytest.raises(OverflowError) as e:
        s.release(2**32 - 1)
    assert e.value.errno == errno.EOVERFLOW and s.value == 4
    s.release(0)
    assert s.info().value == 4 and s.info().last_pid == os.getpid()


def test_semaphore_wakes_a_thread():
    s = fipc.Semaphore(bytearray(64), initial=0)
    thread = threading.Timer(0, lambda: await_(lambda: s.info().waiters == 1) and s.release())
    thread.start()
    assert s.acquire(timeout=60)
    thread.join()
    s.destroy()


def test_owned_tokens_come_back(died):
    s = fipc.Semaphore("slots", fipc.CREATE | fipc.OWNED, initial=1)
    with pytest.raises(fipc.NotOwner):
        s.release()
    died("s = fipc.Semaphore('slots'); s.acquire()")
    assert s.acquire(timeout=60)
    with pytest.raises(fipc.Busy):
        s.close()
    s.release()


# ---- Event ----


def test_event():
    e = fipc.Event("loaded", fipc.CREATE)
    assert not e.is_set() and e.wait(0) is False and e.wait(timeout=0.01) is False
    e.set()
    assert e.is_set() and e.wait() is True and e.wait(timeout_ns=0) is True
    e.clear()
    assert e.info() == (False, 0, False, 1)
    bell = fipc.Event(bytearray(64), fipc.AUTORESET | fipc.PRIVATE)
    bell.set()
    assert bell.info().autoreset and bell.wait() and not bell.wait(0)
    with e as same:
        assert same is e
    assert e.closed


# ---- words ----


@pytest.mark.parametrize("kind", [fipc.AtomicU32, fipc.AtomicU64, fipc.Word])
def test_atomics(kind):
    memory = bytearray(64)
    bits = 64 if kind is fipc.AtomicU64 else 32
    w = kind(memory, offset=8)
    top = 2**bits - 1
    assert (w.load(), kind.SIZE, kind.ALIGNMENT) == (0, bits // 8, bits // 8)
    w.store(-1)
    assert w.value == top
    assert memory == bytes(8) + b"\xff" * (bits // 8) + bytes(56 - bits // 8)
    assert w.fetch_add() == top and w.value == 0
    assert w.fetch_sub() == 0 and w.value == top
    assert w.exchange(12) == top
    assert w.fetch_and(10) == 12 and w.fetch_or(3) == 8 and w.fetch_xor(1) == 11
    assert w.compare_exchange(10, 7) is True and w.compare_exchange(10, 8) is False
    w.value = 7 + 2**bits
    assert w.value == 7
    only = kind(memoryview(bytes(w.SIZE)), fipc.READONLY)
    assert only.load() == 0
    with pytest.raises(fipc.AccessDenied):
        only.store(1)
    with pytest.raises(fipc.AccessDenied):
        only.compare_exchange(0, 1)


def test_atomics_are_atomic():
    n = fipc.AtomicU64(bytearray(8))

    def add():
        for _ in range(5000):
            n.fetch_add(2)

    threads = [threading.Thread(target=add) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert n.value == 40000


@pytest.mark.parametrize("flags", [0, fipc.PRIVATE])
def test_word_wait(flags):
    memory = bytearray(4)
    w, other = fipc.Word(memory, flags), fipc.Word(memory, flags)
    assert w.wait(1) is True
    assert w.wait(0, 0) is False and w.wait(0, timeout=0.01) is False
    woken = []
    thread = threading.Thread(target=lambda: woken.append(w.wait(0, timeout=60)))
    thread.start()
    assert await_(lambda: other.wake()) == 1
    thread.join()
    assert woken == [True] and other.wake_all() == 0


# ---- SharedMemory ----


def test_shared_memory():
    shm = fipc.SharedMemory("frame", fipc.CREATE, 0o640, size=8192)
    assert (shm.created, shm.size, shm.name) == (True, 8192, "frame")
    view = shm.buf
    view[:5] = b"hello"
    assert bytes(memoryview(shm)[:6]) == b"hello\0"
    assert shm.info().bytes == shm.info().mapped == 8192 and shm.info().mode == 0o640
    assert os.fstat(shm.fileno()).st_size == 8192
    for forbidden in (shm.close, shm.remap, lambda: shm.resize(1)):
        with pytest.raises(BufferError):
            forbidden()
    view.release()
    shm.resize(4096)
    assert shm.size == 4096
    reader = fipc.SharedMemory("frame", fipc.READONLY)
    assert not reader.created and reader.buf.readonly and bytes(reader.buf[:5]) == b"hello"
    with pytest.raises(fipc.AccessDenied):
        reader.resize(1)
    os.truncate(shm.fileno(), 16384)
    shm.remap()
    assert shm.size == 16384
    shm.unlink()
    with pytest.raises(FileNotFoundError):
        fipc.SharedMemory("frame")


def test_two_of_a_name_have_one_mapping():
    one, two = (fipc.SharedMemory("frame", fipc.CREATE, size=4096) for _ in range(2))
    view = one.buf
    with pytest.raises(BufferError):
        two.resize(1 << 24)
    for flags, size in ((0, 1 << 24), (fipc.TRUNC, 4096)):
        with pytest.raises(BufferError):
            fipc.SharedMemory("/frame", flags, size=size)
    three = fipc.SharedMemory("frame", size=4096)
    two.close()
    three.close()
    view[4095] = 1
    view.release()
    one.resize(1 << 24)
    assert one.buf[4095] == 1


def test_empty_shared_memory():
    shm = fipc.SharedMemory(None, fipc.CREATE | fipc.EXCL)
    assert bytes(shm.buf) == b"" and shm.size == 0
    with pytest.raises(ValueError):
        fipc.Mutex(shm)


def test_objects_inside():
    shm = fipc.SharedMemory("account", fipc.CREATE, size=4096)
    m = fipc.Mutex(shm, offset=64)
    with m:
        with pytest.raises(fipc.Busy):
            m.close()
    with pytest.raises(BufferError):
        shm.close()
    m.close()
    shm.close()


def test_objects_in_a_mmap():
    memory = mmap.mmap(-1, mmap.PAGESIZE)
    m = fipc.Mutex(memory, offset=128)
    again = fipc.Mutex(memoryview(memory)[128:192])
    assert (m.created, again.created) == (True, False)
    with m:
        with pytest.raises(fipc.Deadlock):
            again.acquire()
    with pytest.raises(BufferError):
        memory.close()
    anew = fipc.Mutex(memory, fipc.REPLACE, offset=128)
    assert anew.created
    anew.destroy()
    with pytest.raises(fipc.Invalid):
        m.acquire()
    m.close()
    again.close()
    memory.close()


# ---- MessageQueue ----


def test_queue():
    q = fipc.MessageQueue("jobs", fipc.CREATE, max_messages=2, max_message_size=8)
    assert (q.max_messages, q.max_message_size, q.count) == (2, 8, 0)
    q.send(b"low")
    q.send(memoryview(b"high"), priority=7)
    assert q.count == 2
    for late, error in (
        (lambda: q.send(b"", block=False), BlockingIOError),
        (lambda: q.send(b"", timeout=0), fipc.WouldBlock),
        (lambda: q.send(b"", 0, True, 0.01), TimeoutError),
        (lambda: q.send(b"123456789"), fipc.TooLong),
    ):
        with pytest.raises(error):
            late()
    assert q.receive() == (b"high", 7)
    assert q.receive(timeout=1) == (b"low", 0)
    with pytest.raises(fipc.WouldBlock) as e:
        q.receive(block=False)
    assert e.value.errno == errno.EAGAIN
    with pytest.raises(fipc.TimedOut):
        q.receive(timeout_ns=1000)
    assert q.info().sent == q.info().received == 2


def test_queue_of_long_messages():
    q = fipc.MessageQueue("jobs", fipc.CREATE, max_messages=2, max_message_size=1 << 20)
    message = os.urandom(1 << 20)
    q.send(message, 2**32 - 1)
    assert q.receive(block=False) == (message, 2**32 - 1)
    with pytest.raises(fipc.WouldBlock):
        q.receive(block=False)


def test_queue_between_threads():
    q = fipc.MessageQueue(None, fipc.CREATE | fipc.EXCL, max_messages=3)
    got = []
    threads = [
        threading.Thread(target=lambda: [got.append(q.receive(timeout=60)[0]) for _ in range(300)])
        for _ in range(2)
    ]
    for t in threads:
        t.start()
    for i in range(600):
        q.send(b"%d" % i, timeout=60)
    for t in threads:
        t.join()
    assert sorted(map(int, got)) == list(range(600))


def test_queue_descriptor():
    q = fipc.MessageQueue("jobs", fipc.CREATE)
    assert select.select([q], [], [], 0)[0] == []
    q.send(b"")
    assert select.select([q], [], [], 60)[0] == [q]


def test_notify_by_call():
    q = fipc.MessageQueue("jobs", fipc.CREATE)
    called = threading.Event()
    q.notify(called.set)
    with pytest.raises(fipc.Busy):
        q.notify(called.set)
    assert q.info().notify_pid == os.getpid()
    q.notify(None)
    q.send(b"1")
    q.receive()
    assert not called.is_set()
    q.notify(called.set)
    q.send(b"2")
    assert called.wait(60)
    q.notify(lambda: None)
    q.close()


def test_notify_by_signal(monkeypatch):
    told = []
    old = signal.signal(signal.SIGUSR1, lambda *_: told.append(1))
    q = fipc.MessageQueue("jobs", fipc.CREATE)
    try:
        q.notify(signal.SIGUSR1)
        q.send(b"1")
        await_(lambda: told)
    finally:
        q.close()
        signal.signal(signal.SIGUSR1, old)


# ---- wait_any ----


def test_wait_any():
    s = fipc.Semaphore("slots", fipc.CREATE, initial=1)
    e = fipc.Event("stop", fipc.CREATE)
    q = fipc.MessageQueue("jobs", fipc.CREATE)
    assert fipc.wait_any([e, s, q]) is s and s.value == 0
    assert fipc.wait_any((e, s, q), 0) is None
    assert fipc.wait_any([e, s, q], timeout=0.01) is None
    q.send(b"x")
    assert fipc.wait_any([e, s, q]) is q and q.count == 1
    thread = threading.Timer(0, lambda: await_(lambda: e.info().waiters == 1) and e.set())
    thread.start()
    assert fipc.wait_any(iter([s, e]), timeout=60) is e
    thread.join()
    for wrong in ([], [s] * 129, None, [1]):
        with pytest.raises((TypeError, ValueError)):
            fipc.wait_any(wrong)


# ---- names ----


@pytest.mark.parametrize(
    "kind, unlink",
    [
        (fipc.Mutex, fipc.unlink_mutex),
        (fipc.RWLock, fipc.unlink_rwlock),
        (fipc.Semaphore, fipc.unlink_semaphore),
        (fipc.Event, fipc.unlink_event),
        (fipc.Condition, fipc.unlink_condition),
        (fipc.SharedMemory, fipc.unlink_shared_memory),
        (fipc.MessageQueue, fipc.unlink_message_queue),
    ],
)
def test_names(kind, unlink):
    for call in (lambda: kind("x"), lambda: unlink("x")):
        with pytest.raises(fipc.NotFound) as e:
            call()
        assert isinstance(e.value, FileNotFoundError) and e.value.filename == "x"
    one = kind("/x", fipc.CREATE)
    assert one.created and one.name == "x"
    with pytest.raises(FileExistsError):
        kind("x", fipc.CREATE | fipc.EXCL)
    two = kind("x", fipc.CREATE)
    assert not two.created
    unlink("x")
    assert kind("x", fipc.CREATE).created
    for name in ("", ".x", "a/b", "ä", "x" * 201, "__pyfastipc_x", "nul\0"):
        with pytest.raises(ValueError):
            kind(name, fipc.CREATE)
    with pytest.raises(ValueError):
        kind(None)
    random = kind(None, fipc.CREATE | fipc.EXCL)
    assert random.name and random.created
    random.unlink()
    kept = kind("kept", fipc.CREATE | fipc.PERSIST)
    kept.close()
    assert not kind("kept").created
    unlink("kept")
    del one, two
    with pytest.raises(fipc.NotFound):
        kind("x")


def test_mode(fipc_dir):
    fipc.Mutex("x", fipc.CREATE | fipc.PERSIST, mode=0o640)
    assert os.stat(os.path.join(fipc_dir, "x.mutex")).st_mode & 0o777 == 0o640


def test_readonly():
    m = fipc.Mutex("x", fipc.CREATE)
    look = fipc.Mutex("x", fipc.READONLY)
    with m:
        assert look.info().state == "held"
    with pytest.raises(fipc.AccessDenied):
        look.acquire()


def test_monotonic_deadline():
    e = fipc.Event(bytearray(64))
    before = time.monotonic()
    assert e.wait(timeout=0.05) is False
    assert time.monotonic() - before >= 0.05
