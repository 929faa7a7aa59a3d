# SPDX-License-Identifier: Apache-2.0
"""What works in the caller's memory: fastipc._primitives.

fipc's own objects pin the memory that they are in. fastipc's do not: a program that says
shm.close() while a Mutex on shm.buf is still around goes on. So here a memoryview is only borrowed,
and pinned during each call, and while a mutex is held. A call after it was let go of raises
ValueError.
"""
from __future__ import annotations

import ctypes
from threading import get_ident
from typing import Any, Dict, Optional, Tuple, Type

import fipc
from fipc.compat.fastipc._objects import U32_MAX, Lock, Tokens, as_timeout

__all__ = ["FutexWord", "AtomicU32", "AtomicU64", "Mutex", "Semaphore"]


def _borrow(buffer: Any, size: int) -> Tuple[memoryview, Any]:
    """A view, to be pinned by memoryview(view), and the same bytes, which pin nothing.

    A memoryview keeps what it views where it is until it is released; anything else may move, and
    is pinned for good by the view of it.
    """
    view = buffer if isinstance(buffer, memoryview) else memoryview(buffer)
    if view.nbytes < size:
        raise ValueError(f"a buffer of at least {size} bytes is needed, not {view.nbytes}")
    at = ctypes.addressof(ctypes.c_char.from_buffer(view))
    return view, (ctypes.c_char * size).from_address(at)


def _checked(value: int) -> int:
    if not 0 <= value <= U32_MAX:
        raise OverflowError(f"{value} is out of range for uint32")
    return value


class _Word:
    """Calls that do not sleep only ask whether the view is there: any attribute of it says so."""

    __slots__ = ("_view", "_word", "_load")

    def _attach(self, kind: Type[fipc.AtomicU64], buffer: Any, flags: int = 0) -> None:
        self._view, memory = _borrow(buffer, kind.SIZE)
        self._word = kind(memory, flags)
        self._load = self._word.load

    def load(self) -> int:
        self._view.readonly
        return self._load()

    def store(self, v: int) -> None:
        self._view.readonly
        self._word.store(v)

    def cas(self, expected: int, new: int) -> bool:
        """Compare and swap. True: done."""
        self._view.readonly
        return self._word.compare_exchange(expected, new)


class FutexWord(_Word):
    """A futex: 32 bits in a buffer of at least 4 bytes, aligned to 4."""

    __slots__ = ()

    def __init__(self, buffer: Any, shared: bool = True) -> None:
        self._attach(fipc.Word, buffer, 0 if shared else fipc.PRIVATE)

    load_acquire = _Word.load
    store_release = _Word.store

    def wait(self, expected: int, timeout_ns: int = -1) -> bool:
        """Sleep while the value is `expected`; a negative timeout is none.

        True: woken. False: the value is another one, or the time is over. Look again in any case.
        """
        expected &= U32_MAX
        with memoryview(self._view):
            if self._load() != expected:
                return False
            return self._word.wait(expected, timeout_ns=as_timeout(timeout_ns))

    def wake(self, n: int = 1) -> int:
        """Wake up to n sleepers, all of them if n is negative. How many were woken."""
        self._view.readonly
        return self._word.wake_all() if n < 0 else self._word.wake(n)


class AtomicU32(_Word):
    """An unsigned 32-bit integer in a buffer of at least 4 bytes, aligned to 4."""

    __slots__ = ()

    def __init__(self, buffer: Any) -> None:
        self._attach(fipc.AtomicU32, buffer)

    def store(self, v: int) -> None:
        super().store(_checked(v))

    def cas(self, expected: int, new: int) -> bool:
        """Compare and swap. True: done."""
        return super().cas(_checked(expected), _checked(new))


class AtomicU64(_Word):
    """An unsigned 64-bit integer in a buffer of at least 8 bytes, aligned to 8."""

    __slots__ = ()

    def __init__(self, buffer: Any) -> None:
        self._attach(fipc.AtomicU64, buffer)


class Mutex(Lock):
    """A mutex in a buffer of at least 64 bytes, aligned to 8, zero before its first use."""

    __slots__ = ("_view", "_pins", "_shared")

    def __init__(self, buffer: Any, shared: bool = True) -> None:
        self._view, memory = _borrow(buffer, fipc.Mutex.SIZE)
        # Of the thread that holds it. Kept by the memory: a mutex that is dropped held stays there.
        self._pins: Dict[int, memoryview] = {}
        memory.pins = self._pins
        self._shared = bool(shared)
        super().__init__(
            fipc.Mutex(memory, fipc.TIMESTAMPS, on_owner_death=fipc.IGNORE_DEATH)
        )

    def acquire(self) -> bool:
        pin = memoryview(self._view)
        try:
            self._mutex.acquire()
        except BaseException as e:
            pin.release()
            self._explain(e)
        self._pins[get_ident()] = pin  # as long as the kernel may walk through it
        return True

    def acquire_ns(self, timeout_ns: int = -1, spin: int = 16) -> bool:
        pin = memoryview(self._view)
        try:
            held = super().acquire_ns(timeout_ns)
        except BaseException:
            pin.release()
            raise
        if held:
            self._pins[get_ident()] = pin
        else:
            pin.release()
        return held

    def release(self) -> None:
        pin = self._pins.pop(get_ident(), None) or memoryview(self._view)
        try:
            super().release()
        finally:
            pin.release()

    def magic(self) -> int:
        return 0x4D555458

    def __repr__(self) -> str:
        info = self._info()
        return (
            f"<fastipc.Mutex shared={self._shared:d} state={info.state!r} owner={info.owner_pid}"
            f" last_ns={self._realtime(info.acquired_ns)}>"
        )

    def _info(self) -> fipc.MutexInfo:
        self._view.readonly
        return super()._info()

    def _evict(self) -> None:
        # Its owner has the kernel walk through these very bytes: they cannot be given to another.
        raise RuntimeError(f"process {self.owner_pid()} holds this mutex, and lives: end it first")


class Semaphore(Tokens):
    """A semaphore in a buffer of at least 64 bytes, aligned to 8, zero before its first use.

    initial: how many tokens there are from now on. None: as many as there are, in new memory none.
    """

    __slots__ = ("_view", "_shared")

    def __init__(self, buffer: Any, initial: Optional[int] = None, shared: bool = True) -> None:
        tokens = 0 if initial is None else _checked(initial)
        self._view, memory = _borrow(buffer, fipc.Semaphore.SIZE)
        self._shared = bool(shared)
        super().__init__(fipc.Semaphore(memory, fipc.TIMESTAMPS, initial=tokens))
        if initial is not None and not self._semaphore.created:
            self._set(tokens)

    def _set(self, tokens: int) -> None:
        # By taking and adding, so that nobody who sleeps on it is lost.
        while self.value() > tokens and self._take(False, 0):
            pass
        self.post(max(0, tokens - self.value()))

    def post(self, n: int = 1) -> None:
        self._view.readonly
        super().post(n)

    def post1(self) -> None:
        self._view.readonly
        self._semaphore.release()

    def wait(self, blocking: bool = True, timeout_ns: int = -1, spin: int = 16) -> bool:
        """Take a token. False: there is none, and it was not to block, or the time is over.

        A negative timeout is none. spin is not needed: fipc finds by itself for how long it pays.
        """
        self._view.readonly
        if self._semaphore.acquire(False):
            return True
        if not blocking:
            return False
        with memoryview(self._view):
            return self._take(True, timeout_ns)

    def magic(self) -> int:
        return 0x53454D41

    def __repr__(self) -> str:
        info = self._info()
        return (
            f"<fastipc.Semaphore shared={self._shared:d} value={info.value}"
            f" last_pid={info.last_pid} last_ns={self._realtime(info.acquired_ns)}>"
        )

    def _info(self) -> fipc.SemaphoreInfo:
        self._view.readonly
        return super()._info()
