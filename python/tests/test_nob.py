# SPDX-License-Identifier: Apache-2.0
"""fipc.compat.nob is what nob.ipc is: what its users and its own tests expect of it."""

import logging
import mmap
import os
import select
import signal
import threading
from unittest import mock

import pytest
from conftest import PATIENCE
from fipc.compat import nob, posix_ipc
from fipc.compat.nob import Flags, NamedMessageQueue, NamedSemaphore, NamedSharedMemory

CLASSES = [NamedSemaphore, NamedSharedMemory, NamedMessageQueue]
UNLINKS = {
    NamedSemaphore: posix_ipc.unlink_semaphore,
    NamedSharedMemory: posix_ipc.unlink_shared_memory,
    NamedMessageQueue: posix_ipc.unlink_message_queue,
}
NEW = Flags.LINK_OR_CREATE


def test_flags():
    assert [(flag.name, flag.value) for flag in Flags] == [
        ("RAISE_IF_EXISTS", 1),
        ("RAISE_IF_NOT_EXISTS", 2),
        ("LINK_OR_CREATE", 3),
        ("UNLINK_AND_CREATE", 4),
    ]
    assert str(NEW) == "Flags.LINK_OR_CREATE" and repr(NEW) == "<Flags.LINK_OR_CREATE: 3>"
    assert NamedSemaphore.Flags is Flags
    for name in nob.__all__:
        assert hasattr(nob, name)


# ---- what the three have in common ----


@pytest.mark.parametrize("kind", CLASSES)
def test_name(kind):
    made = kind("name", handle_existence=NEW)
    assert made.name == "/name" and isinstance(made, nob.NamedIPC)
    assert kind("//name").name == "/name"
    for name in ("", "/", "with@sign", "with.dot", "a/b", None, 7, b"name"):
        with pytest.raises(ValueError, match="`name` must be"):
            kind(name, handle_existence=NEW)
    with pytest.raises(AttributeError):
        made.name = "other"


@pytest.mark.parametrize("kind", CLASSES)
def test_bad_flags(kind):
    for flags in (100, 1, "RAISE_IF_EXISTS", None):
        with pytest.raises(ValueError, match="`handle_existence` must be"):
            kind("x", handle_existence=flags)


@pytest.mark.parametrize("kind", CLASSES)
def test_raise_if_exists(kind):
    first = kind("x", handle_existence=Flags.RAISE_IF_EXISTS)
    assert first.linked_existing_object is False
    for unlink_on_delete in (None, True):
        with pytest.raises(FileExistsError, match="/x already exists"):
            kind("x", handle_existence=Flags.RAISE_IF_EXISTS, unlink_on_delete=unlink_on_delete)
    assert kind("x").linked_existing_object is True  # who was refused has not unlinked it


@pytest.mark.parametrize("kind", CLASSES)
def test_raise_if_not_exists(kind):
    for flags in ({}, {"handle_existence": Flags.RAISE_IF_NOT_EXISTS}):
        with pytest.raises(FileNotFoundError, match="/x does not exist"):
            kind("x", **flags)
    first = kind("x", handle_existence=NEW)
    assert first.linked_existing_object is False
    assert kind("x").linked_existing_object is True


@pytest.mark.parametrize("kind", CLASSES)
def test_link_or_create(kind):
    first, second = kind("x", handle_existence=NEW), kind("x", handle_existence=NEW)
    assert [first.linked_existing_object, second.linked_existing_object] == [False, True]


@pytest.mark.parametrize("kind", CLASSES)
def test_unlink_and_create(kind):
    first = kind("x", handle_existence=Flags.UNLINK_AND_CREATE)
    second = kind("x", handle_existence=Flags.UNLINK_AND_CREATE)
    assert first.linked_existing_object is second.linked_existing_object is False


@pytest.mark.parametrize("kind", CLASSES)
def test_unlink(kind):
    made = kind("x", handle_existence=NEW)
    made.unlink()
    with pytest.raises(FileNotFoundError):
        made.unlink()
    with pytest.raises(FileNotFoundError):
        kind("x")


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("unlink", [None, True, False])
def test_unlink_on_delete(kind, unlink):
    made = kind("x", handle_existence=NEW, unlink_on_delete=unlink)
    assert made.unlink_on_delete is (unlink is not False)
    linked = kind("x", unlink_on_delete=unlink)
    assert linked.unlink_on_delete is (unlink is True)
    del made
    if unlink is False:
        UNLINKS[kind]("/x")
    with pytest.raises(posix_ipc.ExistentialError):
        UNLINKS[kind]("/x")


@pytest.mark.parametrize("kind", CLASSES)
def test_who_linked_leaves_it(kind):
    made = kind("x", handle_existence=NEW)
    linked = kind("x")
    del linked
    made.__del__()
    made.__del__()
    with pytest.raises(FileNotFoundError):
        kind("x")


def test_descriptors_go_with_their_objects():
    def descriptors():
        return len(os.listdir("/proc/self/fd"))

    before = descriptors()
    memory = NamedSharedMemory("x", size=1, handle_existence=NEW)
    mq = NamedMessageQueue("x", handle_existence=NEW)
    assert mq.mdq >= 0 and descriptors() > before
    del memory, mq
    assert descriptors() == before


@pytest.mark.parametrize("kind", CLASSES)
def test_close(kind):
    made = kind("x", handle_existence=NEW)
    assert made.handle is not None
    made.close()
    made.close()
    assert made.handle is None
    kind("x")


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("number, left", [(signal.SIGINT, False), (signal.SIGTERM, True)])
def test_makers_that_are_killed(kind, number, left, start):
    maker = start(
        f"from fipc.compat.nob import Flags, {kind.__name__}\n"
        f"made = {kind.__name__}('x', handle_existence=Flags.RAISE_IF_EXISTS)\n"
        "print('made', flush=True)\n"
        "while True:  # a signal that comes just before one sleep is handled after it\n"
        "    signal.sigtimedwait([], 0.01)"
    )
    assert maker.line() == "made"
    maker.kill(number)
    assert maker.wait() != 0
    if left:  # it had no time to unlink
        UNLINKS[kind]("/x")
    with pytest.raises(FileNotFoundError):
        kind("x")


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to be another user for a while")
@pytest.mark.parametrize("kind", CLASSES)
def test_permissions(kind, caplog):
    made = kind("x", handle_existence=NEW)
    os.seteuid(65534)
    try:
        for flags in (NEW, Flags.RAISE_IF_NOT_EXISTS, Flags.UNLINK_AND_CREATE):
            with pytest.raises(PermissionError):
                kind("x", handle_existence=flags)
        with pytest.raises(PermissionError, match="unlinking .*/x"):
            made.unlink()
        with caplog.at_level(logging.WARNING):
            made.__del__()
        assert "Permission denied unlinking" in caplog.text
    finally:
        os.seteuid(0)
    UNLINKS[kind]("/x")


# ---- semaphore ----


def test_initial_value():
    assert NamedSemaphore("x", handle_existence=NEW).value == 1
    assert NamedSemaphore("y", 2, NEW).value == 2
    for value in (-1, "1", 1.5, posix_ipc.SEMAPHORE_VALUE_MAX + 1):
        with pytest.raises(ValueError, match="`initial_value` must be"):
            NamedSemaphore("z", initial_value=value, handle_existence=NEW)


def test_acquire_and_release():
    sem = NamedSemaphore("x", handle_existence=NEW)
    assert sem.linked_existing_semaphore is False
    assert sem.acquire() is True
    assert sem.value == 0
    assert sem.acquire(blocking=False) is False
    assert sem.acquire(timeout=0.01) is False
    assert sem.acquire(True, 0) is False
    assert sem.release() is None
    sem.release(n=3)
    assert sem.value == 4
    assert sem.acquire(blocking=True, timeout=1) is True
    for n in (0, -1, "1", 1.5):
        with pytest.raises(ValueError, match="`n` must be a positive integer"):
            sem.release(n)


def test_bad_acquire():
    sem = NamedSemaphore("x", handle_existence=NEW)
    for timeout in (-1, "1"):
        with pytest.raises(ValueError, match="`timeout` must be"):
            sem.acquire(blocking=True, timeout=timeout)
    for blocking in (100, "True", None):
        with pytest.raises(ValueError, match="`blocking` must be a boolean"):
            sem.acquire(blocking=blocking)
    with pytest.raises(ValueError, match="`timeout` cannot be given"):
        sem.acquire(blocking=False, timeout=1)
    assert sem.value == 1


def test_semaphore_as_context():
    with NamedSemaphore("x", handle_existence=NEW) as sem:
        assert sem.acquire(blocking=False) is False
    assert sem.acquire(blocking=False) is True


def test_what_a_platform_may_lack():
    sem = NamedSemaphore("x", handle_existence=NEW)
    with mock.patch.object(posix_ipc, "SEMAPHORE_VALUE_SUPPORTED", False):
        with pytest.raises(NotImplementedError):
            sem.value
    with mock.patch.object(posix_ipc, "SEMAPHORE_TIMEOUT_SUPPORTED", False):
        with pytest.raises(NotImplementedError):
            sem.acquire(timeout=0.1)


# ---- shared memory ----


def test_shared_memory():
    made = NamedSharedMemory("x", size=100, handle_existence=NEW)
    with NamedSharedMemory("x", read_only=True) as linked:
        assert made.size == linked.size == 100
        with mmap.mmap(made.fd, 100) as mapped:
            mapped[:5] = b"hello"
        assert os.pread(linked.fd, 5, 0) == b"hello"
        with pytest.raises(OSError):
            os.write(linked.fd, b"x")
    assert linked.handle is None
    assert NamedSharedMemory("x", size=200).size == made.size == 200


def test_bad_shared_memory():
    for size in (-1, "1024", 1.5):
        with pytest.raises(ValueError, match="`size` must be"):
            NamedSharedMemory("x", size=size, handle_existence=NEW)
    with pytest.raises(ValueError, match="`read_only` must be a boolean"):
        NamedSharedMemory("x", read_only="True", handle_existence=NEW)


# ---- message queue ----


def test_queue_attributes():
    mq = NamedMessageQueue("x", 5, 1024, handle_existence=NEW)
    assert (mq.max_messages, mq.max_message_size, mq.current_messages) == (5, 1024, 0)
    default = NamedMessageQueue("y", handle_existence=NEW)
    assert default.max_messages == posix_ipc.QUEUE_MESSAGES_MAX_DEFAULT
    assert default.max_message_size == posix_ipc.QUEUE_MESSAGE_SIZE_MAX_DEFAULT
    for limit in ("max_messages", "max_message_size"):
        for value in (0, -1, "10", 1.5):
            with pytest.raises(ValueError, match=f"`{limit}` must be a positive integer"):
                NamedMessageQueue("z", handle_existence=NEW, **{limit: value})
    for right in ("read", "write"):
        with pytest.raises(ValueError, match=f"`{right}` must be a boolean"):
            NamedMessageQueue("z", handle_existence=NEW, **{right: "True"})


def test_send_and_receive():
    with NamedMessageQueue("x", max_messages=3, handle_existence=NEW) as mq:
        assert mq.send(b"low", priority=1) is True
        assert mq.send("high", None, 10) is True
        assert mq.send("medium", timeout=1, priority=5) is True
        assert mq.send("no room", timeout=0) is mq.send("no room", timeout=0.01) is False
        assert mq.current_messages == 3
        assert mq.receive() == (b"high", 10)
        assert mq.receive(timeout=1) == (b"medium", 5)
        assert mq.receive(0) == (b"low", 1)
        assert mq.receive(0) is mq.receive(timeout=0.01) is None
        for timeout in (-1, "1"):
            with pytest.raises(ValueError, match="`timeout` must be"):
                mq.send(b"x", timeout=timeout)
            with pytest.raises(ValueError, match="`timeout` must be"):
                mq.receive(timeout=timeout)
    assert mq.handle is None


def test_block():
    mq = NamedMessageQueue("x", max_messages=1, handle_existence=NEW)
    assert mq.block is True
    mq.block = False
    assert mq.block is False
    assert mq.receive() is None
    assert mq.send("x") is True
    assert mq.send("x") is False


def test_descriptor():
    mq = NamedMessageQueue("x", handle_existence=NEW)
    assert select.select([mq.mdq], [], [], 0)[0] == []
    mq.send("x")
    assert select.select([mq.mdq], [], [], PATIENCE)[0] == [mq.mdq]


def test_notification():
    mq, called = NamedMessageQueue("x", handle_existence=NEW), threading.Event()
    assert mq.request_notification() is True
    assert mq.request_notification((threading.Event.set, called)) is True
    mq.send("x")
    assert called.wait(PATIENCE)
    with mock.patch.object(mq.handle.__class__, "request_notification") as refused:
        refused.side_effect = posix_ipc.BusyError
        assert mq.request_notification(signal.SIGUSR1) is False
