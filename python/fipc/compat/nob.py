# SPDX-License-Identifier: Apache-2.0
"""Drop-in for nob.ipc, the wrapper of posix_ipc in nob.py, over fipc.

Names, signatures, defaults, properties and errors are nob's; docs/python-nob.md says what differs.
"""

from __future__ import annotations

import abc
import enum
import logging
from typing import Any, Callable, Optional, Tuple, Union

from fipc.compat import posix_ipc

__all__ = ["Flags", "NamedIPC", "NamedMessageQueue", "NamedSemaphore", "NamedSharedMemory"]

_Notification = Union[int, Tuple[Callable[[Any], object], Any], None]


class Flags(enum.Enum):
    """What to do about an object that exists, or does not."""

    RAISE_IF_EXISTS = 1  # make a new one
    RAISE_IF_NOT_EXISTS = 2  # open the one that is there
    LINK_OR_CREATE = 3  # whichever it takes
    UNLINK_AND_CREATE = 4  # take away the one that is there, make a new one


# ---- arguments ----


def _check(valid: bool, complaint: str) -> None:
    if not valid:
        raise ValueError(complaint)


def _check_timeout(timeout: Union[int, float, None]) -> None:
    valid = timeout is None or (isinstance(timeout, (int, float)) and timeout >= 0)
    _check(valid, f"`timeout` must be None or a number of seconds, not negative. Got: {timeout!r}")


def _checked_name(name: object) -> str:
    bare = name.lstrip("/") if isinstance(name, str) else ""
    _check(
        bare != "" and all(c.isalnum() or c in "-_" for c in bare),
        f"`name` must be letters, digits, '-' and '_', and not empty. Got: {name!r}",
    )
    return f"/{bare}"


# ---- what the three have in common ----


class NamedIPC(abc.ABC):
    """A named object. It is closed when the last reference goes, and unlinked if this one made it.

    unlink_on_delete: whether it is unlinked then. None: if this one made it.
    """

    logger = logging.getLogger("ipc")

    def __init__(
        self,
        name: str,
        handle_existence: Flags = Flags.RAISE_IF_NOT_EXISTS,
        unlink_on_delete: Optional[bool] = None,
    ) -> None:
        self._name = _checked_name(name)
        _check(
            isinstance(handle_existence, Flags),
            f"`handle_existence` must be one of Flags. Got: {handle_existence!r}",
        )
        self._unlink_on_delete = unlink_on_delete
        try:
            self._handle, self._linked = self._find(handle_existence)
        except posix_ipc.PermissionsError as error:
            raise PermissionError(f"Permission denied: {self._said()}") from error

    # What is known before __init__ is through, and if it fails.
    _name = ""
    _handle: Any = None
    _linked: Optional[bool] = None
    _unlink_on_delete: Optional[bool] = None

    def _find(self, how: Flags) -> Tuple[Any, bool]:
        """The handle, and whether it is of one that was there."""
        if how is Flags.RAISE_IF_NOT_EXISTS:
            return self._link(), True
        if how is Flags.RAISE_IF_EXISTS:
            return self._create(), False
        if how is Flags.UNLINK_AND_CREATE:
            self._unlink_if_there()
        return self._link_or_create()

    def _link(self) -> Any:
        try:
            return self._open(0)
        except posix_ipc.ExistentialError as error:
            raise FileNotFoundError(f"{self._said()} does not exist.") from error

    def _create(self) -> Any:
        try:
            return self._open(posix_ipc.O_CREX)
        except posix_ipc.ExistentialError as error:
            raise FileExistsError(f"{self._said()} already exists.") from error

    def _link_or_create(self) -> Tuple[Any, bool]:
        while True:  # others make it and take it away meanwhile
            try:
                return self._open(posix_ipc.O_CREX), False
            except posix_ipc.ExistentialError:
                pass
            try:
                return self._open(0), True
            except posix_ipc.ExistentialError:
                pass

    def _unlink_if_there(self) -> None:
        try:
            self._unlink_name()
        except posix_ipc.ExistentialError:
            pass

    def _said(self) -> str:
        return f"{type(self).__name__} {self._name}"

    @abc.abstractmethod
    def _open(self, flags: int) -> Any:
        """A handle of posix_ipc's."""

    @abc.abstractmethod
    def _unlink_name(self) -> None: ...

    @abc.abstractmethod
    def _close_handle(self) -> None: ...

    @property
    def name(self) -> str:
        """The name, with its slash."""
        return self._name

    @property
    def linked_existing_object(self) -> Optional[bool]:
        """Whether it was there before; None if it could not be opened."""
        return self._linked

    @property
    def unlink_on_delete(self) -> bool:
        """Whether it is unlinked when this object goes."""
        if self._unlink_on_delete is not None:
            return self._unlink_on_delete
        return self._linked is False

    @property
    def handle(self) -> Any:
        """posix_ipc's object; None when it is closed."""
        return self._handle

    def unlink(self) -> None:
        """Take the name away; who has it open goes on."""
        try:
            self._unlink_name()
        except posix_ipc.ExistentialError as error:
            raise FileNotFoundError(f"{self._said()} does not exist.") from error
        except posix_ipc.PermissionsError as error:
            raise PermissionError(f"Permission denied unlinking {self._said()}.") from error

    def close(self) -> None:
        """This process is done with it. Twice is fine."""
        if self._handle is None:
            return
        try:
            self._close_handle()
        except (posix_ipc.Error, OSError, ValueError) as error:
            self.logger.debug("Closing %s: %s", self._said(), error)
        self._handle = None

    def __del__(self) -> None:
        self.close()
        if self._linked is None or not self.unlink_on_delete:
            return
        try:
            self.unlink()
        except FileNotFoundError:
            pass
        except PermissionError as error:
            self.logger.warning("%s", error)


# ---- the three ----


class NamedSemaphore(NamedIPC):
    """A semaphore. `with` acquires and releases it."""

    Flags = Flags  # where they were in nob's first releases
    logger = logging.getLogger("sem")

    def __init__(
        self,
        name: str,
        initial_value: int = 1,
        handle_existence: Flags = Flags.RAISE_IF_NOT_EXISTS,
        unlink_on_delete: Optional[bool] = None,
    ) -> None:
        most = posix_ipc.SEMAPHORE_VALUE_MAX
        _check(
            isinstance(initial_value, int) and 0 <= initial_value <= most,
            f"`initial_value` must be an integer of 0 to {most}. Got: {initial_value!r}",
        )
        self._initial_value = initial_value
        super().__init__(name, handle_existence, unlink_on_delete)

    def _open(self, flags: int) -> posix_ipc.Semaphore:
        return posix_ipc.Semaphore(self._name, flags, initial_value=self._initial_value)

    def _unlink_name(self) -> None:
        posix_ipc.unlink_semaphore(self._name)

    def _close_handle(self) -> None:
        self._handle.close()

    @property
    def linked_existing_semaphore(self) -> Optional[bool]:
        """linked_existing_object, by its first name."""
        return self.linked_existing_object

    @property
    def value(self) -> int:
        """How many tokens there are."""
        if not posix_ipc.SEMAPHORE_VALUE_SUPPORTED:
            raise NotImplementedError("Operation is not supported on this platform")
        return self._handle.value

    def acquire(self, blocking: bool = True, timeout: Union[int, float, None] = None) -> bool:
        """Take a token. False: there was none, and it was not to block, or the time is over."""
        _check(isinstance(blocking, bool), f"`blocking` must be a boolean. Got: {blocking!r}")
        _check_timeout(timeout)
        _check(blocking or timeout is None, "`timeout` cannot be given if `blocking` is False")
        if timeout is not None and not posix_ipc.SEMAPHORE_TIMEOUT_SUPPORTED:
            raise NotImplementedError("Timeouts are not supported on this platform")
        try:
            self._handle.acquire(timeout if blocking else 0)
        except posix_ipc.BusyError:
            return False
        return True

    def release(self, n: int = 1) -> None:
        """Give n tokens."""
        _check(isinstance(n, int) and n >= 1, f"`n` must be a positive integer. Got: {n!r}")
        for _ in range(n):
            self._handle.release()

    def __enter__(self) -> NamedSemaphore:
        self.acquire()
        return self

    def __exit__(self, *exc: object) -> None:
        self.release()


class _Closing(NamedIPC):
    """`with` closes it."""

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class NamedSharedMemory(_Closing):
    """Shared memory, to be mapped by its descriptor: mmap.mmap(memory.fd, memory.size)."""

    logger = logging.getLogger("shm")

    def __init__(
        self,
        name: str,
        size: int = 0,
        read_only: bool = False,
        handle_existence: Flags = Flags.RAISE_IF_NOT_EXISTS,
        unlink_on_delete: Optional[bool] = None,
    ) -> None:
        _check(
            isinstance(size, int) and size >= 0,
            f"`size` must be a non-negative integer. Got: {size!r}",
        )
        _check(isinstance(read_only, bool), f"`read_only` must be a boolean. Got: {read_only!r}")
        self._size, self._read_only = size, read_only
        super().__init__(name, handle_existence, unlink_on_delete)

    def _open(self, flags: int) -> posix_ipc.SharedMemory:
        return posix_ipc.SharedMemory(
            self._name, flags, size=self._size, read_only=self._read_only
        )

    def _unlink_name(self) -> None:
        posix_ipc.unlink_shared_memory(self._name)

    def _close_handle(self) -> None:
        self._handle.close_fd()

    @property
    def size(self) -> int:
        """How many bytes it holds now."""
        return self._handle.size

    @property
    def fd(self) -> int:
        """Its descriptor."""
        return self._handle.fd


class NamedMessageQueue(_Closing):
    """A message queue. The highest priority comes out first; of one priority, the oldest."""

    logger = logging.getLogger("mq")

    def __init__(
        self,
        name: str,
        max_messages: Optional[int] = None,
        max_message_size: Optional[int] = None,
        read: bool = True,
        write: bool = True,
        handle_existence: Flags = Flags.RAISE_IF_NOT_EXISTS,
        unlink_on_delete: Optional[bool] = None,
    ) -> None:
        limits = {
            "max_messages": (max_messages, posix_ipc.QUEUE_MESSAGES_MAX_DEFAULT),
            "max_message_size": (max_message_size, posix_ipc.QUEUE_MESSAGE_SIZE_MAX_DEFAULT),
        }
        self._attributes: Any = {}
        for what, (given, default) in limits.items():
            limit = default if given is None else given
            _check(
                isinstance(limit, int) and limit > 0,
                f"`{what}` must be a positive integer. Got: {limit!r}",
            )
            self._attributes[what] = limit
        for what, right in (("read", read), ("write", write)):
            _check(isinstance(right, bool), f"`{what}` must be a boolean. Got: {right!r}")
            self._attributes[what] = right
        super().__init__(name, handle_existence, unlink_on_delete)

    def _open(self, flags: int) -> posix_ipc.MessageQueue:
        return posix_ipc.MessageQueue(self._name, flags, **self._attributes)

    def _unlink_name(self) -> None:
        posix_ipc.unlink_message_queue(self._name)

    def _close_handle(self) -> None:
        self._handle.close()

    @property
    def mdq(self) -> int:
        """A descriptor that is readable while the queue is not empty."""
        return self._handle.mqd

    @property
    def block(self) -> bool:
        """Whether send() and receive() of this object wait at all."""
        return self._handle.block

    @block.setter
    def block(self, value: bool) -> None:
        self._handle.block = value

    @property
    def current_messages(self) -> int:
        """How many messages are in it."""
        return self._handle.current_messages

    @property
    def max_message_size(self) -> int:
        """How many bytes a message has at most."""
        return self._handle.max_message_size

    @property
    def max_messages(self) -> int:
        """How many messages it holds at most."""
        return self._handle.max_messages

    def send(
        self,
        message: Union[bytes, str],
        timeout: Union[int, float, None] = None,
        priority: int = 0,
    ) -> bool:
        """Send a message. False: the queue was full, and the time is over."""
        _check_timeout(timeout)
        try:
            self._handle.send(message, timeout, priority)
        except posix_ipc.BusyError:
            return False
        return True

    def receive(self, timeout: Union[int, float, None] = None) -> Optional[Tuple[bytes, int]]:
        """The next message and its priority. None: the queue was empty, and the time is over."""
        _check_timeout(timeout)
        try:
            return self._handle.receive(timeout)
        except posix_ipc.BusyError:
            return None

    def request_notification(self, notification: _Notification = None) -> bool:
        """As posix_ipc's. False: somebody else is registered."""
        try:
            self._handle.request_notification(notification)
        except posix_ipc.BusyError:
            return False
        return True
