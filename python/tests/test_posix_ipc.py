# SPDX-License-Identifier: Apache-2.0
"""fipc.compat.posix_ipc is what posix_ipc is: what its users and its own tests expect of it."""

import gc
import mmap
import os
import resource
import selectors
import signal
import stat
import subprocess
import sys
import threading
import time

import fipc
import pytest
from conftest import PATIENCE, await_
from fipc.compat import posix_ipc

NAMES = {"/plain": "/plain", b"/bytes": "/bytes"}
INVALID_NAMES = ["", "/", "/a/b", "/with space", "/.hidden", "/__pyfastipc_x", "/" + "n" * 201]


def semaphore(name=None, flags=posix_ipc.O_CREX, **how):
    return posix_ipc.Semaphore(name, flags, **how)


def memory(name=None, flags=posix_ipc.O_CREX, **how):
    return posix_ipc.SharedMemory(name, flags, **how)


def queue(name=None, flags=posix_ipc.O_CREX, **how):
    return posix_ipc.MessageQueue(name, flags, **how)


MAKERS = [semaphore, memory, queue]
UNLINKS = {
    semaphore: posix_ipc.unlink_semaphore,
    memory: posix_ipc.unlink_shared_memory,
    queue: posix_ipc.unlink_message_queue,
}


def close(opened):
    opened.close_fd() if isinstance(opened, posix_ipc.SharedMemory) else opened.close()


def run(program):
    return subprocess.run(
        [sys.executable, "-c", "from fipc.compat import posix_ipc\nimport os\n" + program],
        timeout=PATIENCE,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout


@pytest.fixture
def alarms():
    """From now on a signal that does nothing, again and again."""

    def begin(handler):
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)

    old = signal.getsignal(signal.SIGALRM)
    yield begin
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, old)


# ---- the module ----


def test_constants():
    assert posix_ipc.O_CREX == posix_ipc.O_CREAT | posix_ipc.O_EXCL
    for flag in ("CREAT", "EXCL", "TRUNC", "RDONLY", "WRONLY", "RDWR", "NONBLOCK"):
        assert getattr(posix_ipc, f"O_{flag}") == getattr(os, f"O_{flag}")
    assert posix_ipc.PAGE_SIZE == resource.getpagesize()
    assert posix_ipc.SEMAPHORE_VALUE_MAX == os.sysconf("SC_SEM_VALUE_MAX")
    assert posix_ipc.QUEUE_PRIORITY_MAX == os.sysconf("SC_MQ_PRIO_MAX") - 1
    assert posix_ipc.SEMAPHORE_TIMEOUT_SUPPORTED is posix_ipc.SEMAPHORE_VALUE_SUPPORTED is True
    assert posix_ipc.MESSAGE_QUEUES_SUPPORTED is True
    assert posix_ipc.USER_SIGNAL_MIN == signal.SIGRTMIN
    assert posix_ipc.USER_SIGNAL_MAX == signal.SIGRTMAX
    assert posix_ipc.VERSION == posix_ipc.__version__ == "1.3.2"


def test_all_names_are_there():
    for name in posix_ipc.__all__:
        assert hasattr(posix_ipc, name)


def test_errors():
    assert issubclass(posix_ipc.Error, Exception) and not issubclass(posix_ipc.Error, OSError)
    for error in ("SignalError", "PermissionsError", "ExistentialError", "BusyError"):
        assert getattr(posix_ipc, error).__bases__ == (posix_ipc.Error,)


# ---- names and flags: the same for all three ----


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("given", NAMES)
def test_name_is_kept(make, given):
    made = make(given)
    assert made.name == str(made) == NAMES[given]
    with pytest.raises(AttributeError):
        made.name = "hello"
    with pytest.raises(AttributeError):
        made.mode = 0
    with pytest.raises(AttributeError):
        made.anything = 0


@pytest.mark.parametrize("make", MAKERS)
def test_random_name(make):
    first, second = make(), make()
    assert first.name[0] == "/" and len(first.name) >= 2
    assert first.name != second.name
    close(make(first.name, 0))


@pytest.mark.parametrize("make", MAKERS)
def test_exists_or_not(make):
    with pytest.raises(posix_ipc.ExistentialError, match="^No .* with the specified name"):
        make("/x", 0)
    make("/x", posix_ipc.O_CREAT)
    make("/x", posix_ipc.O_CREAT)
    make("/x", 0)
    for flags in (posix_ipc.O_CREX, posix_ipc.O_CREAT | posix_ipc.O_EXCL):
        with pytest.raises(posix_ipc.ExistentialError, match="specified name already exists"):
            make("/x", flags)


@pytest.mark.parametrize("make", MAKERS)
def test_bad_flags(make):
    with pytest.raises(ValueError, match="O_EXCL must be combined with O_CREAT"):
        make("/x", posix_ipc.O_EXCL)
    for flags in (0, posix_ipc.O_CREAT):
        with pytest.raises(ValueError, match="Name can only be None if O_EXCL is set"):
            make(None, flags)
    for name in (7, 1.5, ["/x"]):
        with pytest.raises(TypeError, match="Name must be None or a string"):
            make(name)


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("name", INVALID_NAMES)
def test_invalid_names(make, name):
    with pytest.raises(ValueError):
        make(name)
    with pytest.raises(posix_ipc.ExistentialError):
        UNLINKS[make](name)


def test_slashes():
    semaphore("bare")
    assert semaphore("//bare", 0).name == "//bare"
    memory("bare").close_fd()
    memory("//bare", 0).close_fd()
    for name in ("bare", "//bare"):
        with pytest.raises(ValueError, match="one slash"):
            queue(name)


@pytest.mark.parametrize("make", MAKERS)
def test_unlink(make):
    made = make("/x")
    made.unlink()
    with pytest.raises(posix_ipc.ExistentialError):
        make("/x", 0)
    with pytest.raises(posix_ipc.ExistentialError):
        made.unlink()
    again = make("/x")
    UNLINKS[make]("/x")
    with pytest.raises(posix_ipc.ExistentialError):
        UNLINKS[make]("/x")
    with pytest.raises(TypeError):
        UNLINKS[make](b"/x")
    close(made)
    close(again)


@pytest.mark.parametrize("make", MAKERS)
def test_each_type_has_its_names(make):
    make("/x")
    for other in set(MAKERS) - {make}:
        with pytest.raises(posix_ipc.ExistentialError):
            other("/x", 0)


@pytest.mark.parametrize("make", MAKERS)
def test_mode_obeys_the_umask(make):
    made = make("/x", mode=0o666)
    old = os.umask(0)
    exact = make("/y", mode=0o666)
    os.umask(old)
    modes = {}
    for entry in os.scandir(os.environ["FIPC_DIR"]):
        if entry.is_file(follow_symlinks=False) and entry.name[0] in "xy":
            modes[entry.name[0]] = stat.S_IMODE(entry.stat().st_mode)
    assert modes == {"x": 0o666 & ~old, "y": 0o666}
    assert made.mode == exact.mode == 0o666


def test_str_and_repr():
    assert repr(semaphore("/x", mode=0o640)) == 'posix_ipc.Semaphore("/x", mode=0640)'
    assert repr(memory("/x")) == 'posix_ipc.SharedMemory("/x", mode=0600)'
    assert repr(queue("/x", max_messages=3, max_message_size=7, write=False)) == (
        'posix_ipc.MessageQueue("/x", mode=0600, max_message_size=7, max_messages=3, '
        "read=True, write=False)"
    )


@pytest.mark.parametrize("make", MAKERS)
def test_derived_class(make):
    class Derived(type(make("/x"))):
        pass

    derived = Derived("/x")
    derived.anything = 1
    assert derived.name == "/x"


def test_they_outlive_their_makers():
    run(
        "posix_ipc.Semaphore('/s', posix_ipc.O_CREX, initial_value=5).acquire()\n"
        "posix_ipc.MessageQueue('/q', posix_ipc.O_CREX).send('left behind', priority=7)\n"
        "m = posix_ipc.SharedMemory('/m', posix_ipc.O_CREX, size=4)\n"
        "os.write(m.fd, b'left')"
    )
    assert semaphore("/s", 0).value == 4
    assert queue("/q", 0).receive() == (b"left behind", 7)
    assert os.pread(memory("/m", 0).fd, 9, 0) == b"left"


# ---- semaphore ----


def test_initial_value():
    assert semaphore().value == 0
    assert semaphore(initial_value=42).value == 42
    assert semaphore("/x", initial_value=posix_ipc.SEMAPHORE_VALUE_MAX).value == 2**31 - 1
    assert semaphore("/x", posix_ipc.O_CREAT, initial_value=3).value == 2**31 - 1
    for value in (-1, posix_ipc.SEMAPHORE_VALUE_MAX + 1):
        with pytest.raises(ValueError, match=r"Invalid parameter\(s\)"):
            semaphore(initial_value=value)
    with pytest.raises(TypeError):
        semaphore(initial_value=1.5)


def test_acquire_and_release():
    sem = semaphore(initial_value=2)
    assert sem.acquire() is None
    sem.acquire(0)
    for timeout in (0, 0.0, 0.01, False):
        with pytest.raises(posix_ipc.BusyError, match="Semaphore is busy"):
            sem.acquire(timeout)
    with pytest.raises(posix_ipc.BusyError):
        sem.acquire(timeout=0)
    assert sem.release() is None
    sem.release()
    assert sem.value == 2
    sem.acquire(1e300)
    sem.acquire(float("inf"))
    with pytest.raises(AttributeError):
        sem.value = 42


@pytest.mark.parametrize("timeout", [-1, -0.5, float("nan"), "1", b"1", [], {}])
def test_bad_timeouts(timeout):
    words = "The timeout must be None or a non-negative number"
    with pytest.raises(TypeError, match=words):
        semaphore(initial_value=1).acquire(timeout)
    with pytest.raises(TypeError, match=words):
        queue().send("x", timeout)
    with pytest.raises(TypeError, match=words):
        queue().receive(timeout)


def test_context_manager():
    sem = semaphore(initial_value=1)
    with sem as entered:
        assert entered is sem and sem.value == 0
    assert sem.value == 1
    with pytest.raises(KeyError):
        with sem:
            raise KeyError
    assert sem.value == 1


def test_closed_semaphore():
    sem = semaphore("/x", initial_value=1)
    other = semaphore("/x", 0)
    assert sem.close() is None
    for use in (sem.acquire, sem.release, sem.close, sem.unlink, lambda: sem.value):
        with pytest.raises(posix_ipc.ExistentialError, match="The semaphore has been closed"):
            use()
    assert str(sem) == "/x"
    other.acquire(0)


def test_a_thread_waits_while_others_work():
    sem = semaphore()
    waiter = threading.Thread(target=sem.acquire)
    waiter.start()
    sem.release()
    waiter.join(PATIENCE)
    assert not waiter.is_alive() and sem.value == 0


def test_semaphore_of_two_processes():
    sem = semaphore("/x")
    run("s = posix_ipc.Semaphore('/x')\ns.release()\ns.release()")
    assert sem.value == 2


def waits():
    """Those that nobody ends."""
    full = queue(max_messages=1)
    full.send("")
    return [semaphore().acquire, queue().receive, lambda timeout=None: full.send("x", timeout)]


@pytest.mark.parametrize("timeout", [None, PATIENCE])
def test_signal_ends_a_wait(alarms, timeout):
    seen = []

    def handler(number, frame):
        seen.append(number)
        assert len(seen) < 1000, "the wait goes on"

    alarms(handler)
    for wait in waits():
        with pytest.raises(posix_ipc.SignalError, match="The wait was interrupted by a signal"):
            wait(timeout)
    assert set(seen) == {signal.SIGALRM}


@pytest.mark.parametrize("error", [KeyboardInterrupt, KeyError])
def test_what_a_handler_raises_comes_out(alarms, error):
    inside = []

    def handler(number, frame):
        if inside:
            inside.clear()
            raise error

    waiting = waits()
    alarms(handler)
    for wait in waiting:
        with pytest.raises(error):
            inside.append(True)
            wait()


# ---- shared memory ----


def test_size():
    mem = memory("/x", size=3333)
    assert mem.size == 3333
    assert memory("/x", 0).size == memory("/x", 0, size=0).size == 3333
    assert memory("/x", posix_ipc.O_CREAT).size == 3333
    for size in (10000, 5, 3333):
        for flags in (0, posix_ipc.O_CREAT):
            assert memory("/x", flags, size=size).size == mem.size == size
    with pytest.raises(AttributeError):
        mem.size = 42


def test_size_by_ftruncate():
    mem = memory()
    assert mem.size == 0
    os.ftruncate(mem.fd, 8192)
    assert mem.size == 8192
    with mmap.mmap(mem.fd, mem.size) as mapped:
        mapped[8191] = 1


def test_bad_size():
    for size in (-1, 2**62, 2**63, 2**70):  # the second one has no room, rather than a size
        with pytest.raises((ValueError, OSError)):
            memory("/x", size=size)
        with pytest.raises(posix_ipc.ExistentialError):
            memory("/x", 0)
    with pytest.raises(TypeError):
        memory(size=1.5)


def test_truncate():
    mem = memory("/x", size=100)
    os.pwrite(mem.fd, b"old", 0)
    assert memory("/x", posix_ipc.O_TRUNC, size=50).size == mem.size == 50
    assert os.pread(mem.fd, 50, 0) == bytes(50)
    assert memory("/x", posix_ipc.O_TRUNC, read_only=True).size == mem.size == 0


def test_contents_are_shared():
    mem, other = memory("/x", size=10), memory("/x", 0)
    with mmap.mmap(mem.fd, 10) as one, mmap.mmap(other.fd, 10) as two:
        mem.close_fd()
        one[:5] = b"hello"
        assert two[:5] == b"hello"
        assert run("m = posix_ipc.SharedMemory('/x')\nprint(os.read(m.fd, 5))") == "b'hello'\n"


def test_each_has_its_own_descriptor():
    mem, other = memory("/x", size=10), memory("/x", 0)
    assert mem.fd != other.fd and mem.fd == mem.fileno()
    os.write(mem.fd, b"one")
    os.write(other.fd, b"two")  # each has its own offset
    assert os.pread(mem.fd, 10, 0) == b"two" + bytes(7)
    assert not os.get_inheritable(mem.fd)
    with pytest.raises(AttributeError):
        mem.fd = 42
    os.close(other.fd)  # as close_fd()
    with pytest.raises(ValueError, match="The file descriptor is invalid"):
        other.close_fd()
    assert memory("/x", 0).size == mem.size == 10


def test_descriptor_is_the_lowest():
    gap, above = os.pipe()
    os.close(gap)
    mem = memory(size=1)
    assert mem.fd == gap
    mem.close_fd()
    os.close(above)


def test_close_fd():
    mem = memory("/x", size=1)
    fd = mem.fd
    mem.close_fd()
    assert mem.fd == mem.fileno() == -1
    mem.close_fd()
    with pytest.raises(OSError):
        os.fstat(fd)
    with pytest.raises(posix_ipc.ExistentialError, match="The segment does not exist"):
        mem.size
    mem.unlink()


def test_descriptor_outlives_its_object():
    fd = memory("/x", size=7).fd
    assert os.fstat(fd).st_size == 7
    os.close(fd)


def test_no_descriptor_is_lost():
    def descriptors():
        return len(os.listdir("/proc/self/fd"))

    memory("/x", size=1).close_fd()
    before = descriptors()
    for _ in range(3):
        memory("/x", 0).close_fd()
        with pytest.raises(posix_ipc.ExistentialError):
            memory("/x")
        with pytest.raises(ValueError):
            memory("/y", size=1, read_only=True)
        polled = queue("/x", posix_ipc.O_CREAT)
        assert polled.mqd >= 0
        polled.close()
    assert descriptors() == before


def test_read_only():
    mem = memory("/x", size=10)
    reader = memory("/x", 0, read_only=True)
    os.pwrite(mem.fd, b"seen", 0)
    with mmap.mmap(reader.fd, 10, prot=mmap.PROT_READ) as mapped:
        assert mapped[:4] == b"seen"
        with pytest.raises(TypeError):
            mapped.write(b"x")
    with pytest.raises(OSError):
        os.write(reader.fd, b"x")
    with pytest.raises(ValueError, match="The size is invalid or the memory is read-only"):
        memory("/x", 0, size=20, read_only=True)
    assert mem.size == 10
    with pytest.raises(ValueError):
        memory("/y", size=20, read_only=True)
    with pytest.raises(posix_ipc.ExistentialError):
        memory("/y", 0)
    empty = memory("/z", read_only=True)
    assert empty.size == 0
    with pytest.raises(OSError):
        os.write(empty.fd, b"x")


# ---- message queue ----


def test_queue_attributes():
    mq = queue("/x")
    assert (mq.max_messages, mq.max_message_size) == (10, 8192)
    mq = queue("/y", max_messages=1, max_message_size=256)
    for joined in (queue("/y", 0, max_messages=7), queue("/y", posix_ipc.O_CREAT, max_messages=7)):
        assert (joined.max_messages, joined.max_message_size) == (1, 256)
    for name in ("max_messages", "max_message_size", "current_messages", "mqd"):
        with pytest.raises(AttributeError):
            setattr(mq, name, 42)
    for how in ({"max_messages": 0}, {"max_messages": -1}, {"max_message_size": 2**40}):
        with pytest.raises(ValueError):
            queue(**how)
    with pytest.raises(ValueError, match="At least one of read or write must be True"):
        queue(read=False, write=False)


def test_send_and_receive():
    mq = queue()
    for message in ("text", b"bytes", bytearray(b"array"), memoryview(b"view"), "", "\0", "ß"):
        assert mq.send(message) is None
    for message in (b"text", b"bytes", b"array", b"view", b"", b"\0", "ß".encode()):
        assert mq.receive() == (message, 0)
    for message in (7, None, ["x"]):
        with pytest.raises(TypeError):
            mq.send(message)


def test_priorities():
    mq = queue()
    mq.send("lowest", priority=1)
    mq.send("highest", 0, 3)
    mq.send("middle", priority=2)
    mq.send("middle, later", None, 2)
    for expected in (("highest", 3), ("middle", 2), ("middle, later", 2), ("lowest", 1)):
        assert mq.receive() == (expected[0].encode(), expected[1])
    for priority in (-1, posix_ipc.QUEUE_PRIORITY_MAX + 1, 2**40):
        with pytest.raises(ValueError, match="no greater than QUEUE_PRIORITY_MAX"):
            mq.send("", priority=priority)
    with pytest.raises(TypeError):
        mq.send("", priority=1.5)
    for priority in range(0, posix_ipc.QUEUE_PRIORITY_MAX + 1, 31):
        mq.send("", priority=priority)
        assert mq.receive() == (b"", priority)


@pytest.mark.parametrize("timeout", [0, 0.01])
def test_full_and_empty(timeout):
    mq = queue(max_messages=1, max_message_size=10)
    with pytest.raises(posix_ipc.BusyError, match="The queue is empty"):
        mq.receive(timeout)
    with pytest.raises(posix_ipc.BusyError):
        mq.receive(timeout=timeout)
    mq.send("foo", timeout)
    with pytest.raises(posix_ipc.BusyError, match="The queue is full"):
        mq.send("bar", timeout)
    with pytest.raises(posix_ipc.BusyError):
        mq.send("bar", timeout=timeout, priority=1)
    with pytest.raises(ValueError, match="The message must be no longer than 10 bytes"):
        mq.send(" " * 11)
    assert mq.receive(timeout) == (b"foo", 0)


def test_block():
    mq, other = queue("/x", max_messages=1), queue("/x", 0)
    assert mq.block is True
    mq.block = 0
    assert mq.block is False and other.block is True
    for timeout in (None, 600):
        with pytest.raises(posix_ipc.BusyError):
            mq.receive(timeout)
    mq.send(" ")
    with pytest.raises(posix_ipc.BusyError):
        mq.send(" ", 600)
    mq.block = True
    with pytest.raises(posix_ipc.BusyError):
        mq.send(" ", 0.01)
    assert queue("/x", posix_ipc.O_CREAT | posix_ipc.O_NONBLOCK).block is False


def test_read_and_write():
    mq = queue("/x", read=False)
    mq.send("foo")
    with pytest.raises(posix_ipc.PermissionsError, match="The queue is not open for reading"):
        mq.receive()
    reader = queue("/x", 0, write=False)
    with pytest.raises(posix_ipc.PermissionsError, match="The queue is not open for writing"):
        reader.send("foo")
    assert reader.receive() == (b"foo", 0)


def test_current_messages():
    mq = queue()
    for n in range(4):
        assert mq.current_messages == n
        mq.send("")
    mq.receive()
    assert mq.current_messages == 3


def test_mqd():
    mq, other = queue("/x"), queue("/x", 0)
    assert mq.mqd == mq.fileno() >= 0
    with selectors.DefaultSelector() as selector:
        selector.register(mq, selectors.EVENT_READ, "mq")
        selector.register(other, selectors.EVENT_READ, "other")
        assert selector.select(0) == []
        run("posix_ipc.MessageQueue('/x').send('here')")
        ready = set()
        while len(ready) < 2:
            ready |= {key.data for key, _ in selector.select(PATIENCE)}
        assert mq.receive(0) == (b"here", 0)
        assert selector.select(0) == []


def test_mqd_after_fork():
    mq = queue("/x")
    assert mq.mqd >= 0
    wait, go = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(go)
        os.read(wait, 1)
        with selectors.DefaultSelector() as selector:
            selector.register(mq, selectors.EVENT_READ)
            mq.send("")
            os._exit(0 if selector.select(PATIENCE) else 1)
    mq.close()  # the child's is its own
    os.close(go)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    os.close(wait)
    assert queue("/x", 0).receive(0) == (b"", 0)


def test_closed_queue():
    mq = queue("/x")
    assert mq.close() is None
    for use in (
        mq.close,
        mq.receive,
        lambda: mq.send("x"),
        lambda: mq.block,
        lambda: setattr(mq, "block", True),
        lambda: mq.current_messages,
    ):
        with pytest.raises(posix_ipc.ExistentialError, match="queue does not exist"):
            use()
    with pytest.raises(OSError):
        mq.request_notification()
    assert mq.mqd == mq.fileno() == -1
    assert mq.max_messages == 10
    mq.unlink()


def test_close_while_a_thread_waits():
    mq, sem, got = queue("/x"), semaphore("/x"), []
    threads = [
        threading.Thread(target=lambda: got.append(mq.receive()), daemon=True),
        threading.Thread(target=lambda: got.append(sem.acquire()), daemon=True),
    ]
    for thread in threads:
        thread.start()
    await_(lambda: fipc.MessageQueue("x").info().receivers)
    await_(lambda: fipc.Semaphore("x").info().waiters)
    mq.close()
    sem.close()
    semaphore("/x", 0).release()
    queue("/x", 0).send("late")
    for thread in threads:
        thread.join(PATIENCE)
    assert sorted(got, key=str) == [(b"late", 0), None]


# ---- notification ----


@pytest.fixture
def signals():
    number, seen = posix_ipc.USER_SIGNAL_MIN, []
    old = signal.signal(number, lambda number, frame: seen.append(number))
    yield seen
    signal.signal(number, old)


def test_notification_by_signal(signals):
    mq, number = queue(), posix_ipc.USER_SIGNAL_MIN
    assert mq.request_notification(number) is None
    assert signals == []
    mq.send("")
    assert signals == [number]  # at once, as the kernel's
    mq.send("")
    mq.receive()
    mq.receive()
    mq.send("")
    assert signals == [number]  # and once
    mq.receive()
    mq.request_notification(notification=number)
    mq.send("")
    assert signals == [number] * 2


def test_no_notification(signals):
    mq = queue("/x")
    mq.send("there before")
    mq.request_notification(posix_ipc.USER_SIGNAL_MIN)
    mq.send("not the first")
    mq.receive()
    mq.receive()
    queue("/x", 0).request_notification()  # of the process, whichever object asks
    mq.send("cancelled")
    mq.receive()
    mq.request_notification(posix_ipc.USER_SIGNAL_MIN)
    queue("/x", 0).close()  # any close of the process's cancels
    mq.send("cancelled")
    for _ in range(100):
        mq.request_notification()
    assert signals == []


def test_notification_by_thread():
    mq, called = queue(), threading.Semaphore(0)
    where = []

    def notified(parameter):
        where.append((parameter, threading.get_ident()))
        called.release()

    mq.request_notification((notified, "parameter"))
    mq.send("")
    assert called.acquire(timeout=PATIENCE)
    assert where[0][0] == "parameter" and where[0][1] != threading.get_ident()
    mq.send("")
    mq.receive()
    mq.receive()
    mq.send("")
    assert not called.acquire(timeout=0.01)


def test_what_a_callback_raises_is_seen(monkeypatch):
    seen = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: seen.append(unraisable.exc_type))
    mq = queue()
    mq.request_notification((lambda parameter: {}[parameter], "missing"))
    mq.send("")
    assert await_(lambda: seen) == [KeyError]


def test_notification_is_asked_for_again_inside():
    mq, called = queue(), threading.Semaphore(0)

    def notified(again):
        mq.request_notification((notified, again))
        called.release()

    mq.request_notification((notified, True))
    for _ in range(10):
        mq.send("")
        assert called.acquire(timeout=PATIENCE)
        mq.receive()
    mq.close()


def test_notification_outlives_its_object():
    called = threading.Event()
    queue("/x").request_notification((lambda event: event.set(), called))
    gc.collect()
    run("posix_ipc.MessageQueue('/x').send('')")
    assert called.wait(PATIENCE)


def test_send_does_not_wait_for_a_notice_that_is_not_due(monkeypatch):
    monkeypatch.setattr(posix_ipc, "_NOTICE_S", PATIENCE)
    monkeypatch.setattr(posix_ipc._Notice, "__call__", lambda notice: None)  # it never is
    mq, got = queue(), []
    mq.request_notification(0)  # which is no signal: should it be sent after all, then nothing is
    thread = threading.Thread(target=lambda: got.append(mq.receive()))
    thread.start()
    begin = time.monotonic()
    mq.send("hers")
    assert time.monotonic() - begin < PATIENCE
    thread.join(PATIENCE)
    assert got == [(b"hers", 0)]


def test_notification_of_another_process(signals):
    mq = queue("/x")
    mq.request_notification(posix_ipc.USER_SIGNAL_MIN)
    run(
        "mq = posix_ipc.MessageQueue('/x')\n"
        "try:\n"
        "    mq.request_notification(1)\n"
        "except posix_ipc.BusyError as error:\n"
        "    assert 'already delivering notifications elsewhere' in str(error)\n"
        "    mq.send('')"
    )
    await_(lambda: signals)
    assert signals == [posix_ipc.USER_SIGNAL_MIN]


@pytest.mark.parametrize("how", ["x", 1.5, (), (print,), (print, 1, 2), (7, 1), [print, 1]])
def test_bad_notification(how):
    words = "The notification must be None, an integer, or a tuple of"
    with pytest.raises(ValueError, match=words):
        queue().request_notification(how)


@pytest.mark.parametrize("number", [-1, signal.NSIG])
def test_bad_notification_signal(number):
    with pytest.raises(OSError):
        queue().request_notification(number)
