# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import errno

import fipc
from fipc.compat.fastipc._named import name_of, open_for_good
from fipc.compat.fastipc._objects import Lock


class NamedMutex(Lock):
    """A mutex under a name. The same as fipc.Mutex(name, fipc.CREATE), but it takes over silently.

    force_release() takes it away from an owner that lives: what he has is revoked, and whoever
    comes gets a new mutex under the same name.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        super().__init__(self._open())

    def try_release(self) -> bool:
        """False: this thread does not hold it."""
        try:
            self.release()
        except RuntimeError:
            return False
        return True

    def release(self) -> None:
        """RuntimeError: this thread does not hold it."""
        try:
            super().release()
        except RuntimeError:
            if not _is_revoked(self._mutex):
                raise
            self._renew()  # this thread may hold the new one, by another NamedMutex of this name
            super().release()

    def _open(self, flags: int = 0) -> fipc.Mutex:
        return open_for_good(
            fipc.Mutex,
            self._name,
            flags=flags | fipc.TIMESTAMPS,
            on_owner_death=fipc.IGNORE_DEATH,
        )

    def _explain(self, error: BaseException) -> None:
        if not isinstance(error, fipc.NotRecoverable):
            super()._explain(error)
        self._renew()

    def _evict(self) -> None:
        try:
            self._mutex.revoke()
        except OSError as e:
            if e.errno != errno.ESRCH:  # he has let go of it just now
                raise
        if _is_revoked(self._mutex):
            self._renew()

    def _renew(self) -> None:
        """Join what the name leads to now; if that is revoked, too, put a new one in its place.

        One at a time, and looking again: two who replaced at once would have two mutexes.
        """
        callback = self.on_owner_death
        mutex = self._open()
        if _is_revoked(mutex):
            guard = name_of(self._name)[:192] + ".renewal"
            with fipc.Mutex(guard, fipc.CREATE, on_owner_death=fipc.IGNORE_DEATH):
                mutex = self._open()
                if _is_revoked(mutex):
                    mutex = self._open(fipc.REPLACE)
        mutex.on_owner_death = callback
        self._mutex = mutex


def _is_revoked(mutex: fipc.Mutex) -> bool:
    return mutex.info().state == "not recoverable"
