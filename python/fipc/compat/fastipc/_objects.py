# SPDX-License-Identifier: Apache-2.0
"""What a mutex in memory and one with a name have in common, and the same of semaphores."""
from __future__ import annotations

import time
from typing import Any, Callable, Optional, Tuple, TypeVar

import fipc

U32_MAX = 0xFFFFFFFF
_Self = TypeVar("_Self", bound="Lock")


def as_timeout(timeout_ns: int) -> Optional[int]:
    return None if timeout_ns < 0 else timeout_ns


class _Dated:
    """What tells when it was had last, on CLOCK_REALTIME; fipc notes CLOCK_MONOTONIC."""

    __slots__ = ("_date",)
    _date: Tuple[int, int]

    def _realtime(self, acquired_ns: int) -> int:
        # Reckoned once for each acquisition: asked twice, it is to say the same.
        date = self._date
        if date[0] != acquired_ns:
            date = (acquired_ns, acquired_ns + time.time_ns() - time.monotonic_ns())
            self._date = date
        return date[1]


class Lock(_Dated):
    __slots__ = ("_mutex",)

    def __init__(self, mutex: fipc.Mutex) -> None:
        self._date = (0, 0)
        self._mutex = mutex

    @property
    def on_owner_death(self) -> Optional[Callable[[Any], object]]:
        """Called with the fipc.Mutex, held, when its last owner died inside. Not in fastipc.

        It returns: acquire goes on. It raises: the mutex is let go of, acquire raises that, and the
        next owner is told again. fipc.IGNORE_DEATH, the default, does nothing.
        """
        return self._mutex.on_owner_death

    @on_owner_death.setter
    def on_owner_death(self, callback: Optional[Callable[[Any], object]]) -> None:
        self._mutex.on_owner_death = callback

    def acquire(self) -> bool:
        """True: held, whatever time it took. RuntimeError: this thread holds it already."""
        try:
            return self._mutex.acquire()
        except fipc.Error as e:
            self._explain(e)
        return self.acquire()

    def acquire_ns(self, timeout_ns: int = -1, spin: int = 16) -> bool:
        """False: the time is over. A negative timeout is none, 0 is a try.

        spin is not needed: fipc finds by itself for how long it pays.
        """
        try:
            return self._mutex.acquire(timeout_ns=as_timeout(timeout_ns))
        except fipc.Deadlock as e:
            if timeout_ns < 0:
                self._explain(e)
            time.sleep(timeout_ns / 1e9)  # nobody but this thread could let go of it meanwhile
            return False
        except fipc.Error as e:
            self._explain(e)
        return self.acquire_ns(timeout_ns)

    def _explain(self, error: BaseException) -> None:
        if isinstance(error, fipc.Deadlock):
            raise RuntimeError("cannot re-acquire a mutex that this thread holds") from None
        raise error

    def try_acquire(self) -> bool:
        """False: somebody holds it."""
        return self.acquire_ns(0)

    def release(self) -> None:
        """RuntimeError: this thread does not hold it."""
        try:
            self._mutex.release()
        except fipc.NotOwner:
            raise RuntimeError("cannot release a mutex that this thread does not hold") from None

    def force_release(self) -> None:
        """Make it free. A dead owner's is as good as free: the next one gets it."""
        try:
            self.release()
        except RuntimeError:
            if self._info().state in ("held", "recovering"):
                self._evict()

    def owner_pid(self) -> int:
        """Who holds it; 0: nobody, or one who is dead."""
        return self._info().owner_pid

    def last_acquired_ns(self) -> int:
        """When it was had last, ns of CLOCK_REALTIME; 0: never."""
        return self._realtime(self._info().acquired_ns)

    def __enter__(self: _Self) -> _Self:
        self.acquire()
        return self

    def __exit__(self, *exc: object) -> None:
        self.release()

    def _info(self) -> fipc.MutexInfo:
        return self._mutex.info()


class Tokens(_Dated):
    __slots__ = ("_semaphore",)

    def __init__(self, semaphore: fipc.Semaphore) -> None:
        self._date = (0, 0)
        self._semaphore = semaphore

    def post(self, n: int = 1) -> None:
        """Add n tokens. OverflowError: there would be more than 2 ** 32 - 1."""
        if not 0 <= n <= U32_MAX:
            raise OverflowError("semaphore increment out of range")
        self._semaphore.release(n)

    def post1(self) -> None:
        """Add one token."""
        self._semaphore.release()

    def _take(self, blocking: bool, timeout_ns: int) -> bool:
        if not blocking:
            return self._semaphore.acquire(False)
        return self._semaphore.acquire(timeout_ns=as_timeout(timeout_ns))

    def value(self) -> int:
        """Tokens at this moment."""
        return self._info().value

    def last_acquired_ns(self) -> int:
        """When a token was taken last, ns of CLOCK_REALTIME; 0: never."""
        return self._realtime(self._info().acquired_ns)

    def last_pid(self) -> int:
        """Who took a token last; 0: nobody yet."""
        return self._info().last_pid

    def _info(self) -> fipc.SemaphoreInfo:
        return self._semaphore.info()
