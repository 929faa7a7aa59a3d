# SPDX-License-Identifier: Apache-2.0
"""Shared memory that goes with its last user: fastipc.guarded_shared_memory."""
from __future__ import annotations

import atexit
import os
from typing import Optional

import fipc
from fipc.compat.fastipc._named import attached, name_of, open_named, root

__all__ = ["GuardedSharedMemory", "NoShmFoundError"]


class NoShmFoundError(Exception):
    """attach_only, and it is not there."""


class GuardedSharedMemory:
    """Shared memory under a name. The same as fipc.SharedMemory(name, fipc.CREATE, size=size).

    It goes with the last process that uses it, however that ends; what was made with
    try_cleanup_on_exit=False stays until somebody's close() finds no other user, or unlink().
    pid_dir and backoff_base are not needed: libfipc keeps the books (see $FIPC_DIR).
    """

    created: bool

    def __init__(
        self,
        name: str,
        size: int,
        attach_only: bool = False,
        *,
        pid_dir: str = "/dev/shm/fastipc",
        max_attempts: int = 128,
        backoff_base: float = 0.002,
        try_cleanup_on_exit: bool = True,
    ) -> None:
        self._memory: Optional[fipc.SharedMemory] = None
        self._view: Optional[memoryview] = None
        self._closed = self._unlinked = False
        if size <= 0:
            raise ValueError("size must be a positive integer")
        if not name:
            raise ValueError("name must be a non-empty string")
        if "/" in name:
            raise ValueError("name cannot contain '/' characters")
        self._name = name
        self._attach(size, attach_only, 0 if try_cleanup_on_exit else fipc.PERSIST, max_attempts)
        if try_cleanup_on_exit:
            atexit.register(self.close)

    def _attach(self, size: int, attach_only: bool, flags: int, attempts: int) -> None:
        try:
            memory = self._open(size, attach_only, flags, attempts)
        except OSError as e:
            if attach_only:
                raise NoShmFoundError(f"shared memory {self._name!r} does not exist") from e
            raise RuntimeError(f"failed to attach or create shared memory {self._name!r}") from e
        if memory.size < size:
            raise RuntimeError(
                f"shared memory {self._name!r} has {memory.size} bytes, fewer than {size}"
            )
        self._memory = memory
        self._view = memory.buf
        self._size = memory.size
        self._inode = os.fstat(memory.fileno()).st_ino
        self.created = memory.created

    def _open(
        self, size: int, attach_only: bool, flags: int, attempts: int
    ) -> fipc.SharedMemory:
        # Not in one call: joining what is too small would make it larger.
        for _ in range(attempts):
            try:
                return open_named(fipc.SharedMemory, self._name, 0)
            except fipc.NotFound:
                if attach_only:
                    raise
            try:
                return open_named(
                    fipc.SharedMemory, self._name, fipc.CREATE | fipc.EXCL | flags, size=size
                )
            except fipc.Exists:  # somebody was faster
                continue
        raise fipc.Error(f"no shared memory {self._name!r} after {attempts} attempts")

    def get_num_procs(self) -> int:
        """Living processes that use it."""
        return attached(self._name, self._inode)

    def close(self) -> None:
        """Leave it; if nobody else uses it, it goes."""
        if self._closed:
            return
        self._closed = True
        atexit.unregister(self.close)
        self.detach()
        # Still there, and nobody has it: it was made to stay.
        if self._is_there() and attached(self._name, self._inode) == 0:
            self.unlink()

    def _is_there(self) -> bool:
        try:
            return os.stat(f"{root()}/{name_of(self._name)}.shm").st_ino == self._inode
        except FileNotFoundError:
            return False

    def unlink(self) -> None:
        """Take the name away. Who has it open goes on."""
        if self._unlinked:
            return
        self._unlinked = True
        try:
            fipc.unlink_shared_memory(name_of(self._name))
        except fipc.NotFound:
            pass

    def detach(self) -> None:
        """Leave it. What other objects look at, as ctypes' or numpy's, stays until they are gone."""
        view, memory = self._view, self._memory
        self._view = self._memory = None
        if view is None or memory is None:
            return
        try:
            view.release()
            memory.close()
        except BufferError:
            pass

    def __enter__(self) -> GuardedSharedMemory:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @property
    def buf(self) -> memoryview:
        if self._view is None:
            raise ValueError("Shared memory is closed")
        return self._view

    @property
    def size(self) -> int:
        return self._size

    @property
    def name(self) -> str:
        return self._name
