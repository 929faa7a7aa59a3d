# SPDX-License-Identifier: Apache-2.0
"""Drop-in for posix_ipc: `from fipc.compat import posix_ipc`, and the program runs as before.

Names, signatures, defaults, errors and constants are those of posix_ipc 1.3.2. What it opens are
fipc's objects, which are not the kernel's: docs/python-posix_ipc.md says what that changes.
"""

from __future__ import annotations

import errno
import functools
import mmap
import operator
import os
import re
import signal
import sys
import threading
import time
from typing import Any, Callable, Dict, NoReturn, Optional, Tuple, Type, Union

import fipc

__all__ = [
    "BusyError", "Error", "ExistentialError", "MESSAGE_QUEUES_SUPPORTED", "MessageQueue", "O_CREAT",
    "O_CREX", "O_EXCL", "O_NONBLOCK", "O_RDONLY", "O_RDWR", "O_TRUNC", "O_WRONLY", "PAGE_SIZE",
    "PermissionsError", "QUEUE_MESSAGES_MAX_DEFAULT", "QUEUE_MESSAGE_SIZE_MAX_DEFAULT",
    "QUEUE_PRIORITY_MAX", "SEMAPHORE_TIMEOUT_SUPPORTED", "SEMAPHORE_VALUE_MAX",
    "SEMAPHORE_VALUE_SUPPORTED", "Semaphore", "SharedMemory", "SignalError", "USER_SIGNAL_MAX",
    "USER_SIGNAL_MIN", "VERSION", "unlink_message_queue", "unlink_semaphore",
    "unlink_shared_memory",
]  # fmt: skip

VERSION = __version__ = "1.3.2"  # whose interface this is
__author__ = "the fipc maintainers"
__copyright__ = "Copyright 2026 the fipc maintainers"
__license__ = "Apache-2.0"

O_CREAT, O_EXCL, O_TRUNC, O_NONBLOCK = os.O_CREAT, os.O_EXCL, os.O_TRUNC, os.O_NONBLOCK
O_RDONLY, O_WRONLY, O_RDWR = os.O_RDONLY, os.O_WRONLY, os.O_RDWR
O_CREX = O_CREAT | O_EXCL
PAGE_SIZE = mmap.PAGESIZE
SEMAPHORE_TIMEOUT_SUPPORTED = True
SEMAPHORE_VALUE_SUPPORTED = True
SEMAPHORE_VALUE_MAX = 2**31 - 1
MESSAGE_QUEUES_SUPPORTED = True
QUEUE_MESSAGES_MAX_DEFAULT = 10
QUEUE_MESSAGE_SIZE_MAX_DEFAULT = 8192
QUEUE_PRIORITY_MAX = 32767
USER_SIGNAL_MIN, USER_SIGNAL_MAX = int(signal.SIGRTMIN), int(signal.SIGRTMAX)

_Name = Union[str, bytes, None]
_Timeout = Union[int, float, None]
_Notification = Union[int, Tuple[Callable[[Any], object], Any], None]


class Error(Exception):
    """The base of the others."""


class SignalError(Error):
    """A signal was handled during a wait."""


class PermissionsError(Error):
    """The object's permissions, or how it was opened, do not allow this."""


class ExistentialError(Error):
    """It exists though it should not, or it does not though it should."""


class BusyError(Error):
    """The time is over, or somebody else is registered for notifications."""


# ---- errors: by errno, what is raised and how it is said ----

_Words = Dict[int, Tuple[Type[Exception], str]]


def _words(missing: str, exists: str, denied: str = "Permission denied") -> _Words:
    return {
        errno.EACCES: (PermissionsError, denied),
        errno.EPERM: (PermissionsError, denied),
        errno.EEXIST: (ExistentialError, exists),
        errno.ENOENT: (ExistentialError, missing),
        errno.EINVAL: (ValueError, "Invalid parameter(s)"),
        errno.EFBIG: (ValueError, "The size is too large"),
        errno.ENOMEM: (MemoryError, "Not enough memory"),
    }


_SEMAPHORE = _words(
    "No semaphore exists with the specified name",
    "A semaphore with the specified name already exists",
)
_SHARED_MEMORY = _words(
    "No shared memory exists with the specified name",
    "Shared memory with the specified name already exists",
    "No permission to access this segment",
)
_MESSAGE_QUEUE = _words(
    "No queue exists with the specified name",
    "A queue with the specified name already exists",
)


def _complain(words: _Words, error: OSError, name: Optional[str]) -> NoReturn:
    """An error that has no words stays the OSError that it is."""
    if error.errno not in words:
        raise error
    kind, text = words[error.errno]
    raise kind(text if name is None else f"{text}: {name}") from error


def _interrupted() -> SignalError:
    return SignalError("The wait was interrupted by a signal")


# ---- arguments ----

_VALID = re.compile(r"(?!\.|__pyfastipc_)[A-Za-z0-9._-]+")
_NAME_MAX = 200


def _bare(name: str) -> str:
    """Without the slashes that it begins with; ValueError if fipc has no such names."""
    bare = name.lstrip("/")
    if len(bare) > _NAME_MAX:
        raise ValueError(f"The name is too long: {name} ({_NAME_MAX} bytes at most)")
    if not _VALID.fullmatch(bare):
        raise ValueError(
            f"Invalid parameter(s): the name {name!r} is not made of A-Z a-z 0-9 . _ - alone, "
            "or begins with . or __pyfastipc_"
        )
    return bare


def _queue_bare(name: str) -> str:
    """mq_open(3) insists on exactly one."""
    if not name.startswith("/") or name.startswith("//"):
        raise ValueError(f"Invalid parameter(s): the name {name!r} does not begin with one slash")
    return _bare(name)


def _text(name: _Name) -> Optional[str]:
    if name is not None and not isinstance(name, (str, bytes)):
        raise TypeError("Name must be None or a string")
    return os.fsdecode(name) if isinstance(name, bytes) else name


def _check_flags(name: _Name, flags: int) -> None:
    if flags & O_EXCL and not flags & O_CREAT:
        raise ValueError("O_EXCL must be combined with O_CREAT")
    if name is None and not flags & O_EXCL:
        raise ValueError("Name can only be None if O_EXCL is set")


def _creation_mode(mode: int) -> int:
    """fipc's modes are exact; those of sem_open(3) and its like obey the umask.

    It is read where that does not change it, for other threads make files.
    """
    try:
        with open("/proc/self/status", "rb") as status:
            umask = next(int(line.split()[1], 8) for line in status if line.startswith(b"Umask:"))
    except (OSError, StopIteration):  # nobody gets more than he would have
        umask = 0o077
    return mode & ~umask


def _seconds(timeout: _Timeout) -> _Timeout:
    if timeout is None:
        return None
    if not isinstance(timeout, (int, float)) or not timeout >= 0:  # NaN is not
        raise TypeError("The timeout must be None or a non-negative number")
    return timeout if timeout < threading.TIMEOUT_MAX else None  # three centuries: for ever


# ---- what the three have in common ----


class _Named:
    __slots__ = ("_name", "_mode")
    _words: _Words
    _checked: Callable[[str], str] = staticmethod(_bare)

    def _open(
        self, kind: Any, name: _Name, flags: int, mode: int, how: int = 0, **attributes: int
    ) -> Any:
        """What is opened stays until it is unlinked, and whoever made it, as the kernel's do."""
        _check_flags(name, flags)
        self._name, self._mode = _text(name), operator.index(mode)
        bare = None if self._name is None else self._checked(self._name)
        how |= fipc.ANY_OWNER
        if flags & O_CREAT:
            how |= fipc.CREATE | fipc.PERSIST | (fipc.EXCL if flags & O_EXCL else 0)
            mode = _creation_mode(mode)
        try:
            made = kind(bare, how, mode & 0o777, **attributes)
        except OSError as error:
            _complain(self._words, error, self._name)
        if self._name is None:
            self._name = f"/{made.name}"
        return made

    @property
    def name(self) -> str:
        """The name specified in the constructor, or the one found at random."""
        return self._name

    @property
    def mode(self) -> int:
        """The mode specified in the constructor."""
        return self._mode

    def __str__(self) -> str:
        return self._name

    def __repr__(self) -> str:
        about = "".join(f", {key}={value}" for key, value in self._about().items())
        return f'posix_ipc.{type(self).__name__}("{self._name}", mode=0{self._mode:o}{about})'

    def _about(self) -> Dict[str, object]:
        return {}

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"cannot pickle {type(self).__name__!r} object")


def _unlink(
    unlink: Callable[[str], None], bare: Callable[[str], str], words: _Words, name: str
) -> None:
    try:
        unlink(bare(name))
    except OSError as error:
        _complain(words, error, name)
    except ValueError as error:  # nothing can have such a name
        raise ExistentialError(f"{words[errno.ENOENT][1]}: {name}") from error


def _leave(opened: Any) -> None:
    """A thread that waits in it may go on; it is closed when that one drops it, the last."""
    try:
        opened.close()
    except fipc.Busy:
        pass


# ---- semaphore ----


def unlink_semaphore(name: str) -> None:
    """Take a semaphore's name away; who has it open goes on."""
    _unlink(fipc.unlink_semaphore, _bare, _SEMAPHORE, name)


class Semaphore(_Named):
    """A semaphore of processes. `with` acquires and releases it."""

    __slots__ = ("_semaphore",)
    _words = _SEMAPHORE

    def __init__(
        self, name: _Name, flags: int = 0, mode: int = 0o600, initial_value: int = 0
    ) -> None:
        self._semaphore: Optional[fipc.Semaphore] = None
        if flags & O_CREAT and not 0 <= operator.index(initial_value) <= SEMAPHORE_VALUE_MAX:
            raise ValueError(f"Invalid parameter(s): initial_value {initial_value}")
        initial = initial_value if flags & O_CREAT else 0
        self._semaphore = self._open(fipc.Semaphore, name, flags, mode, initial=initial)
        self._semaphore.interruptible = True

    def _opened(self) -> fipc.Semaphore:
        if self._semaphore is None:
            raise ExistentialError("The semaphore has been closed")
        return self._semaphore

    def acquire(self, timeout: _Timeout = None) -> None:
        """Take a token, waiting for one if need be: None for ever, 0 not, else so many seconds."""
        semaphore = self._semaphore or self._opened()
        try:
            if timeout is None:
                taken = semaphore.acquire()
            else:
                taken = semaphore.acquire(True, _seconds(timeout))
        except InterruptedError:
            raise _interrupted() from None
        if not taken:
            raise BusyError("Semaphore is busy")

    def release(self) -> None:
        """Give a token."""
        semaphore = self._semaphore or self._opened()
        semaphore.release()

    @property
    def value(self) -> int:
        """How many tokens there are."""
        return self._opened().value

    def close(self) -> None:
        """This process is done with it. The semaphore stays until it is unlinked."""
        _leave(self._opened())
        self._semaphore = None

    def unlink(self) -> None:
        """Take its name away; who has it open goes on."""
        self._opened()
        unlink_semaphore(self._name)

    def __enter__(self) -> Semaphore:
        self.acquire()
        return self

    def __exit__(self, *exc: object) -> None:
        self.release()


# ---- shared memory ----


def unlink_shared_memory(name: str) -> None:
    """Take a segment's name away; who has it open or mapped goes on."""
    _unlink(fipc.unlink_shared_memory, _bare, _SHARED_MEMORY, name)


def _move_descriptor(handle: fipc.SharedMemory, access: int, place: int) -> None:
    """At `place` a descriptor with an offset of its own, which its user may close."""
    try:
        own = os.open(f"/proc/self/fd/{handle.fileno()}", access)
    except OSError:  # no /proc, or it was made without permission to open it again
        own = os.dup(handle.fileno())
    os.dup2(own, place, inheritable=False)
    os.close(own)


def _set_size(fd: int, size: int) -> None:
    old = os.fstat(fd).st_size
    if size > old:
        os.posix_fallocate(fd, old, size - old)
    elif size < old:
        os.ftruncate(fd, size)


class SharedMemory(_Named):
    """Shared memory, to be mapped by its descriptor: mmap.mmap(memory.fd, memory.size)."""

    __slots__ = ("_memory", "_fd")
    _words = _SHARED_MEMORY

    def __init__(
        self,
        name: _Name,
        flags: int = 0,
        mode: int = 0o600,
        size: int = 0,
        read_only: bool = False,
    ) -> None:
        self._fd = -1
        if not 0 <= operator.index(size) <= sys.maxsize:
            raise ValueError(f"The size is invalid or the memory is read-only: {size}")
        how = fipc.TRUNC if flags & O_TRUNC else 0
        if read_only and not flags & (O_CREAT | O_TRUNC):
            how |= fipc.READONLY
        place = os.open(os.devnull, os.O_RDONLY)  # the lowest number that is free, as by open(2)
        try:
            wanted = size if flags & O_CREAT and not read_only else 0
            self._memory = self._open(fipc.SharedMemory, name, flags, mode, how, size=wanted)
            self._begin(place, size, read_only)
        except BaseException:
            os.close(place)
            raise
        self._fd = place

    def _begin(self, place: int, size: int, read_only: bool) -> None:
        try:
            _move_descriptor(self._memory, O_RDONLY if read_only else O_RDWR, place)
            if size and read_only:
                raise ValueError("The size is invalid or the memory is read-only")
            if size:
                _set_size(place, size)
        except BaseException as error:
            self._undo()
            if isinstance(error, OSError):
                _complain(self._words, error, self._name)
            raise

    def _undo(self) -> None:
        """What was there before stays."""
        if self._memory.created:
            self._memory.unlink()
        self._memory.close()

    @property
    def fd(self) -> int:
        """The descriptor; -1 when it is closed."""
        return self._fd

    def fileno(self) -> int:
        """The descriptor, as .fd"""
        return self._fd

    @property
    def size(self) -> int:
        """How many bytes it holds now."""
        try:
            return os.fstat(self._fd).st_size
        except OSError as error:
            raise ExistentialError("The segment does not exist") from error

    def close_fd(self) -> None:
        """Close the descriptor. What was mapped by it stays mapped, and the segment stays."""
        if self._fd == -1:
            return
        try:
            os.close(self._fd)
        except OSError as error:
            raise ValueError("The file descriptor is invalid") from error
        self._fd = -1
        self._memory.close()

    def unlink(self) -> None:
        """Take its name away; who has it open or mapped goes on."""
        unlink_shared_memory(self._name)


# ---- message queue ----


def unlink_message_queue(name: str) -> None:
    """Take a queue's name away; who has it open goes on."""
    _unlink(fipc.unlink_message_queue, _queue_bare, _MESSAGE_QUEUE, name)


class _Notice:
    """One registration. Whoever sends in this process waits until its signal has been sent."""

    __slots__ = ("_act", "_given", "queue")

    def __init__(self, act: Callable[[], object], queue: fipc.MessageQueue) -> None:
        self._act = act
        self._given = threading.Event()
        self.queue = queue  # registered as long as it is open, so it is kept open

    def __call__(self) -> None:
        try:
            self._act()
        finally:
            self._given.set()

    def wait(self) -> None:
        """Not for ever: whoever slept in receive() has the message, and then there is no notice."""
        end = time.monotonic() + _NOTICE_S
        while self.queue.count > 0 and not self._given.wait(_LOOK_S) and time.monotonic() < end:
            pass


_NOTICE_S, _LOOK_S = 1.0, 0.002


def _action(notification: _Notification) -> Callable[[], object]:
    if isinstance(notification, int):
        if not 0 <= notification < signal.NSIG:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return functools.partial(os.kill, os.getpid(), notification)
    if isinstance(notification, tuple) and len(notification) == 2 and callable(notification[0]):
        return functools.partial(*notification)
    raise ValueError(
        "The notification must be None, an integer, or a tuple of (function, parameter)"
    )


class MessageQueue(_Named):
    """A message queue. The highest priority comes out first; of one priority, the oldest."""

    __slots__ = (
        "_queue", "_max_messages", "_max_message_size", "_reads", "_writes", "_blocks", "_notice",
        "_mqd", "_mqd_pid",
    )  # fmt: skip
    _words = _MESSAGE_QUEUE
    _checked = staticmethod(_queue_bare)

    def __init__(
        self,
        name: _Name,
        flags: int = 0,
        mode: int = 0o600,
        max_messages: int = QUEUE_MESSAGES_MAX_DEFAULT,
        max_message_size: int = QUEUE_MESSAGE_SIZE_MAX_DEFAULT,
        read: bool = True,
        write: bool = True,
    ) -> None:
        self._queue: Optional[fipc.MessageQueue] = None
        self._mqd, self._mqd_pid = -1, 0
        self._notice: Optional[_Notice] = None
        self._reads, self._writes, self._blocks = bool(read), bool(write), not flags & O_NONBLOCK
        if not read and not write:
            raise ValueError("At least one of read or write must be True")
        attributes = {}
        if flags & O_CREAT:
            attributes = {"max_messages": max_messages, "max_message_size": max_message_size}
        self._queue = self._open(fipc.MessageQueue, name, flags, mode, **attributes)
        self._queue.interruptible = True
        self._max_messages = self._queue.max_messages
        self._max_message_size = self._queue.max_message_size

    def _about(self) -> Dict[str, object]:
        return {
            "max_message_size": self._max_message_size,
            "max_messages": self._max_messages,
            "read": self._reads,
            "write": self._writes,
        }

    def _opened(self) -> fipc.MessageQueue:
        if self._queue is None:
            raise ExistentialError("The queue does not exist")
        return self._queue

    def _refusal(self, permitted: bool, what: str) -> Error:
        if not permitted:
            return PermissionsError(f"The queue is not open for {what}")
        return ExistentialError(f"The message queue does not exist or is not open for {what}")

    def _patience(self, timeout: _Timeout) -> _Timeout:
        seconds = _seconds(timeout)
        return seconds if self._blocks else 0

    def send(
        self, message: Union[str, bytes], timeout: _Timeout = None, priority: int = 0
    ) -> None:
        """Send a message, waiting while it is full: None for ever, 0 not, else so many seconds."""
        if timeout is not None or not self._blocks:
            timeout = self._patience(timeout)
        queue = self._queue if self._writes else None
        if queue is None:
            raise self._refusal(self._writes, "writing")
        if not 0 <= priority <= QUEUE_PRIORITY_MAX:
            raise ValueError(
                "The priority must be a positive number no greater than QUEUE_PRIORITY_MAX "
                f"({QUEUE_PRIORITY_MAX})"
            )
        if isinstance(message, str):
            message = message.encode()
        notice = self._notice and self._notice_due(queue)
        try:
            queue.send(message, priority, True, timeout)
        except (fipc.WouldBlock, fipc.TimedOut):
            raise BusyError("The queue is full") from None
        except fipc.TooLong as error:
            raise ValueError(
                f"The message must be no longer than {self._max_message_size} bytes"
            ) from error
        except InterruptedError:
            raise _interrupted() from None
        if notice:
            notice.wait()

    def receive(self, timeout: _Timeout = None) -> Tuple[bytes, int]:
        """The next message and its priority, waiting for one as send() does."""
        if timeout is not None or not self._blocks:
            timeout = self._patience(timeout)
        queue = self._queue if self._reads else None
        if queue is None:
            raise self._refusal(self._reads, "reading")
        try:
            return queue.receive(True, timeout)
        except (fipc.WouldBlock, fipc.TimedOut):
            raise BusyError("The queue is empty") from None
        except InterruptedError:
            raise _interrupted() from None

    def request_notification(self, notification: _Notification = None) -> None:
        """Be told once when a message comes to the empty queue.

        By a signal (an int), or by function(param) in a thread of its own (a tuple of the two);
        None: no more.
        """
        action = None if notification is None else _action(notification)
        if self._queue is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        self._cancel(self._queue)
        if action:
            notice = _Notice(action, self._queue)
            self._register(notice)
            self._notice = notice if isinstance(notification, int) else None

    def _register(self, notice: _Notice) -> None:
        try:
            notice.queue.notify(notice)
        except fipc.Busy as error:
            raise BusyError(
                "The queue is already delivering notifications elsewhere"
            ) from error

    def _cancel(self, queue: fipc.MessageQueue) -> None:
        """Whichever object of this process has registered it."""
        if queue.info().notify_pid == os.getpid():
            queue.notify(None)
        self._notice = None

    def _notice_due(self, queue: fipc.MessageQueue) -> Optional[_Notice]:
        """What the next message gives rise to, if it is a signal to this process."""
        info = queue.info()
        return self._notice if info.notify_pid == os.getpid() and info.messages == 0 else None

    @property
    def max_messages(self) -> int:
        """How many messages it holds at most."""
        return self._max_messages

    @property
    def max_message_size(self) -> int:
        """How many bytes a message has at most."""
        return self._max_message_size

    @property
    def current_messages(self) -> int:
        """How many messages are in it."""
        return self._opened().count

    @property
    def block(self) -> bool:
        """Whether send() and receive() of this object wait at all."""
        self._opened()
        return self._blocks

    @block.setter
    def block(self, value: bool) -> None:
        self._opened()
        self._blocks = bool(value)

    @property
    def mqd(self) -> int:
        """A descriptor that is readable while the queue is not empty; -1 when it is closed."""
        if self._queue is not None and self._mqd_pid != os.getpid():
            self._close_mqd()  # the parent's
            self._mqd, self._mqd_pid = os.dup(self._queue.fileno()), os.getpid()
        return self._mqd

    def fileno(self) -> int:
        """The descriptor, as .mqd"""
        return self.mqd

    def _close_mqd(self) -> None:
        if self._mqd != -1:
            os.close(self._mqd)
            self._mqd = -1

    def close(self) -> None:
        """This process is done with it, notifications too. The queue stays until it is unlinked."""
        queue = self._opened()
        self._cancel(queue)
        _leave(queue)
        self._queue = None
        self._close_mqd()

    def unlink(self) -> None:
        """Take its name away; who has it open goes on."""
        unlink_message_queue(self._name)
