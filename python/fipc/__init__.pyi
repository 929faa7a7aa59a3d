# SPDX-License-Identifier: Apache-2.0
# The public interface, for type checkers and for people. help(fipc) says the same at length.
import types
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final, Literal, NamedTuple, Optional, Type, TypeVar, Union, final

from typing_extensions import Buffer

_T = TypeVar("_T")
# A name (a str; None with CREATE | EXCL: a random one, see .name), or memory: a C-contiguous buffer
# that can be written, as a bytearray, an mmap, a memoryview, a SharedMemory.
_Target = Union[str, None, Buffer]
_Seconds = Union[int, float]
_ExcType = Optional[Type[BaseException]]
_Exc = Optional[BaseException]
_Trace = Optional[types.TracebackType]

__version__: Final[str]

# ---- flags: as in C, without the prefix ----
# of names
CREATE: Final[int]  # create, or join what is there
EXCL: Final[int]  # with CREATE: FileExistsError if it is there
REPLACE: Final[int]  # with CREATE: unlink what is there, make a new one. In memory: make it anew
PERSIST: Final[int]  # with CREATE: it stays when nobody has it open
READONLY: Final[int]  # inspect only; of Word, AtomicU32 and AtomicU64 also in memory
TRUNC: Final[int]  # SharedMemory: empty what is there
ANY_OWNER: Final[int]  # join what a user other than root or me has made
# of both
TIMESTAMPS: Final[int]  # Mutex, Semaphore: info().acquired_ns is recorded
AUTORESET: Final[int]  # Event: who is let through clears it
OWNED: Final[int]  # Semaphore with a name: tokens come back when their process dies
# of memory
PRIVATE: Final[int]  # threads of this process only

READERS_MAX: Final[int]  # of a RWLock: 1022
WAIT_MAX: Final[int]  # objects that wait_any() takes: 128

# ---- errors: each is an OSError with .errno; .filename is the object's name ----
class Error(OSError): ...  # whatever has no class of its own: EXDEV, ENOTSUP, ENOSPC, ...
class OwnerDied(Error): ...  # EOWNERDEAD: NOT held; its last owner died inside: see recover()
class NotRecoverable(Error): ...  # ENOTRECOVERABLE: revoked, or given up; the cure is REPLACE
class Deadlock(Error): ...  # EDEADLK: this thread holds it already
class NotOwner(Error, PermissionError): ...  # EPERM of release() and wait(): this thread has it not
class AccessDenied(Error, PermissionError): ...  # EACCES (opened READONLY, too), EPERM of open
class NotFound(Error, FileNotFoundError): ...  # ENOENT
class Exists(Error, FileExistsError): ...  # EEXIST
class TimedOut(Error, TimeoutError): ...  # ETIMEDOUT, of calls that don't answer with a bool
class WouldBlock(Error, BlockingIOError): ...  # EAGAIN: send, receive with block=False
class Busy(Error): ...  # EBUSY: to be closed, and a thread is inside, or holds it
class Invalid(Error, ValueError): ...  # EINVAL: a bad name or flag; what is there is something else
class TooLong(Error, ValueError): ...  # EMSGSIZE
class TooMany(Error, OverflowError): ...  # EOVERFLOW: tokens of a Semaphore
class Corrupt(Error): ...  # EBADMSG: a queue whose memory was overwritten

# Besides them: TypeError and ValueError of arguments (a negative timeout, NaN, a buffer that is too
# small or misaligned), BufferError (a SharedMemory to be closed or resized that is still in use),
# and ValueError of a call on an object that is closed.

def IGNORE_DEATH(lock: Any, /) -> None: ...  # on_owner_death=: nothing to mend here

# ---- what all have in common ----
# timeout= is seconds, timeout_ns= nanoseconds, None for ever; not both, not negative. They end at
# one instant, also when signal handlers run meanwhile. Ctrl-C and handlers work during all waits.
class _Object:
    @property
    def name(self) -> Optional[str]: ...  # None: in memory, or closed
    @property
    def created(self) -> bool: ...  # True: this call made it; False: joined
    @property
    def closed(self) -> bool: ...
    # False, as it begins: waits go on when a signal was handled. True: InterruptedError. Neither
    # Condition.wait() nor wait_any() heeds it.
    interruptible: bool
    # With a name: leave it; it goes with the last one that leaves. In memory: let go of the memory,
    # in which it stays. Busy: a thread of this process is inside, or holds it. Twice is fine.
    def close(self) -> None: ...

class _Named(_Object):
    def unlink(self) -> None: ...  # take the name away; who has it open goes on
    def __reduce__(self) -> Any: ...  # pickled is the name: the other process opens it

class _Synchronizer(_Named):
    # In memory: end it, and close. Busy: somebody holds it or sleeps on it.
    def destroy(self) -> None: ...

# ---- words in memory ----
class AtomicU32(_Object):
    SIZE: ClassVar[int]  # bytes: 4
    ALIGNMENT: ClassVar[int]  # 4
    # flags: READONLY. Zeroed memory is 0. Values are reduced modulo 2 ** 32.
    def __init__(self, memory: Buffer, flags: int = 0, *, offset: int = 0) -> None: ...
    value: int  # load and store
    def load(self) -> int: ...
    def store(self, value: int, /) -> None: ...
    def exchange(self, value: int, /) -> int: ...  # these return what was there before
    def fetch_add(self, value: int = 1, /) -> int: ...
    def fetch_sub(self, value: int = 1, /) -> int: ...
    def fetch_and(self, value: int, /) -> int: ...
    def fetch_or(self, value: int, /) -> int: ...
    def fetch_xor(self, value: int, /) -> int: ...
    def compare_exchange(self, expected: int, desired: int, /) -> bool: ...  # True: done

class AtomicU64(_Object):
    SIZE: ClassVar[int]  # 8
    ALIGNMENT: ClassVar[int]  # 8
    def __init__(self, memory: Buffer, flags: int = 0, *, offset: int = 0) -> None: ...
    value: int
    def load(self) -> int: ...
    def store(self, value: int, /) -> None: ...
    def exchange(self, value: int, /) -> int: ...
    def fetch_add(self, value: int = 1, /) -> int: ...
    def fetch_sub(self, value: int = 1, /) -> int: ...
    def fetch_and(self, value: int, /) -> int: ...
    def fetch_or(self, value: int, /) -> int: ...
    def fetch_xor(self, value: int, /) -> int: ...
    def compare_exchange(self, expected: int, desired: int, /) -> bool: ...

class Word(AtomicU32):
    # A futex. flags: READONLY, PRIVATE (waiter and waker must agree).
    # Sleep while the value is `expected`. True: woken, or the value is another one: look again.
    # False: the time is over.
    def wait(
        self, expected: int, timeout: Optional[_Seconds] = None, *, timeout_ns: Optional[int] = None
    ) -> bool: ...
    def wake(self, n: int = 1) -> int: ...  # how many were woken
    def wake_all(self) -> int: ...

# ---- locks ----
class MutexInfo(NamedTuple):  # a struct sequence, in fact; so are the others
    state: str  # "free", "held", "died", "recovering", "not recoverable"
    owner_pid: int  # 0: nobody
    owner_tid: int
    waiters: int
    owner_deaths: int
    contended: int
    acquisitions: int
    acquired_ns: int  # TIMESTAMPS: time.monotonic_ns() when it was last had
    last_pid: int  # who had it last, dead or alive

_Mutex = TypeVar("_Mutex", bound="Mutex")

class Mutex(_Synchronizer):
    SIZE: ClassVar[int]  # 64
    ALIGNMENT: ClassVar[int]  # 8; the same for the next three
    # Held by a thread; not recursive.
    # on_owner_death: called with the mutex, which is held, when its last owner died inside. It
    # returns: the data are mended, and acquire goes on. It raises: the mutex is let go, the next
    # one is told again, and the exception comes out of acquire. Without it: OwnerDied, see acquire.
    def __init__(
        self: _Mutex,
        target: _Target,
        flags: int = 0,
        mode: int = 0o600,
        *,
        offset: int = 0,
        on_owner_death: Optional[Callable[[_Mutex], object]] = None,
    ) -> None: ...
    # True: held. False: not, and the time is over, or it was not to block.
    # OwnerDied: NOT held. Each acquire raises it until somebody has mended, by recover().
    def acquire(
        self,
        block: bool = True,
        timeout: Optional[_Seconds] = None,
        *,
        timeout_ns: Optional[int] = None,
    ) -> bool: ...
    def release(self) -> None: ...  # NotOwner
    def __enter__(self) -> Literal[True]: ...
    def __exit__(self, kind: _ExcType, exc: _Exc, trace: _Trace, /) -> None: ...
    # with m.recover() as died: holds it, whether the last owner died inside or not, and says which.
    # If it did, then when the block ends, all is mended; if the block raises, it is as before.
    # TimedOut.
    def recover(
        self, timeout: Optional[_Seconds] = None, *, timeout_ns: Optional[int] = None
    ) -> _Recovery: ...
    def locked(self) -> bool: ...  # does somebody hold it, at this moment
    # For operators: end the wait for an owner that won't let go. Its owner lives: the mutex is not
    # recoverable. It is dead: as if it had died inside. Error with ESRCH: nobody has it.
    def revoke(self) -> None: ...
    def info(self) -> MutexInfo: ...
    on_owner_death: Optional[Callable[[Any], object]]  # may be set later

@final
class _Recovery:
    def __enter__(self) -> bool: ...
    def __exit__(self, kind: _ExcType, exc: _Exc, trace: _Trace, /) -> None: ...

@final
class _Hold:
    def __enter__(self) -> Literal[True]: ...
    def __exit__(self, kind: _ExcType, exc: _Exc, trace: _Trace, /) -> None: ...

class RWLockInfo(NamedTuple):
    state: str  # "free", "read", "written", "died", "recovering", "not recoverable"
    readers: int
    max_readers: int
    writer_pid: int
    writer_tid: int
    waiters: int
    owner_deaths: int
    reader_deaths: int
    contended: int
    reads: int
    writes: int
    entering_tid: int

_RWLock = TypeVar("_RWLock", bound="RWLock")

class RWLock(_Synchronizer):
    ALIGNMENT: ClassVar[int]
    # readers: how many may read at a time. None: 64 with a name; in memory: as many as there is
    # room for. A name that is there: as it was made.
    def __init__(
        self: _RWLock,
        target: _Target,
        flags: int = 0,
        mode: int = 0o600,
        *,
        readers: Optional[int] = None,
        offset: int = 0,
        on_owner_death: Optional[Callable[[_RWLock], object]] = None,
    ) -> None: ...
    @staticmethod
    def size(readers: int, /) -> int: ...  # bytes that it takes in memory
    # As Mutex.acquire(). A writer that died inside is told to readers, too. on_owner_death is
    # called with the lock held to write.
    def acquire_read(
        self,
        block: bool = True,
        timeout: Optional[_Seconds] = None,
        *,
        timeout_ns: Optional[int] = None,
    ) -> bool: ...
    def acquire_write(
        self,
        block: bool = True,
        timeout: Optional[_Seconds] = None,
        *,
        timeout_ns: Optional[int] = None,
    ) -> bool: ...
    def release(self) -> None: ...  # whichever way this thread holds it
    # with l.reader(): TimedOut
    def reader(
        self, timeout: Optional[_Seconds] = None, *, timeout_ns: Optional[int] = None
    ) -> _Hold: ...
    def writer(
        self, timeout: Optional[_Seconds] = None, *, timeout_ns: Optional[int] = None
    ) -> _Hold: ...
    # Held to write; as Mutex.recover().
    def recover(
        self, timeout: Optional[_Seconds] = None, *, timeout_ns: Optional[int] = None
    ) -> _Recovery: ...
    def info(self) -> RWLockInfo: ...
    on_owner_death: Optional[Callable[[Any], object]]

# ---- semaphore, event, condition ----
class SemaphoreInfo(NamedTuple):
    value: int
    waiters: int
    last_pid: int
    holders: int  # OWNED: processes that hold tokens
    acquired_ns: int  # TIMESTAMPS

class Semaphore(_Synchronizer):
    SIZE: ClassVar[int]
    ALIGNMENT: ClassVar[int]
    # initial: tokens when it is made, 0 to 2 ** 32 - 1; ignored by one that joins
    def __init__(
        self,
        target: _Target,
        flags: int = 0,
        mode: int = 0o600,
        *,
        initial: int = 1,
        offset: int = 0,
    ) -> None: ...
    def acquire(
        self,
        block: bool = True,
        timeout: Optional[_Seconds] = None,
        *,
        timeout_ns: Optional[int] = None,
    ) -> bool: ...
    def release(self, n: int = 1) -> None: ...  # TooMany; OWNED: NotOwner
    def __enter__(self) -> Literal[True]: ...
    def __exit__(self, kind: _ExcType, exc: _Exc, trace: _Trace, /) -> None: ...
    @property
    def value(self) -> int: ...  # tokens at this moment
    def info(self) -> SemaphoreInfo: ...

class EventInfo(NamedTuple):
    set: bool
    waiters: int
    autoreset: bool
    sets: int

_Event = TypeVar("_Event", bound="Event")

class Event(_Synchronizer):
    SIZE: ClassVar[int]
    ALIGNMENT: ClassVar[int]
    def __init__(
        self, target: _Target, flags: int = 0, mode: int = 0o600, *, offset: int = 0
    ) -> None: ...
    def set(self) -> None: ...
    def clear(self) -> None: ...
    def is_set(self) -> bool: ...
    # True: it was set (AUTORESET: and is clear now). False: the time is over.
    def wait(
        self, timeout: Optional[_Seconds] = None, *, timeout_ns: Optional[int] = None
    ) -> bool: ...
    def info(self) -> EventInfo: ...
    def __enter__(self: _Event) -> _Event: ...  # closes at the end
    def __exit__(self, kind: _ExcType, exc: _Exc, trace: _Trace, /) -> None: ...

class ConditionInfo(NamedTuple):
    waiters: int
    signals: int

_Condition = TypeVar("_Condition", bound="Condition")

class Condition(_Synchronizer):
    SIZE: ClassVar[int]
    ALIGNMENT: ClassVar[int]
    def __init__(
        self, target: _Target, flags: int = 0, mode: int = 0o600, *, offset: int = 0
    ) -> None: ...
    # Let go of mutex, which this thread holds, sleep, and hold it again, whatever comes out, but
    # for OwnerDied and NotRecoverable of the mutex (its on_owner_death is heeded), and for errors
    # that say it was not held. True: notified, or for no reason, so look again. False: the time is over.
    def wait(
        self,
        mutex: Mutex,
        timeout: Optional[_Seconds] = None,
        *,
        timeout_ns: Optional[int] = None,
    ) -> bool: ...
    # Until predicate() is true; its last value, which is false only when the time is over.
    def wait_for(
        self,
        mutex: Mutex,
        predicate: Callable[[], _T],
        timeout: Optional[_Seconds] = None,
        *,
        timeout_ns: Optional[int] = None,
    ) -> _T: ...
    def notify(self, n: int = 1) -> None: ...
    def notify_all(self) -> None: ...
    def info(self) -> ConditionInfo: ...
    def __enter__(self: _Condition) -> _Condition: ...  # closes at the end
    def __exit__(self, kind: _ExcType, exc: _Exc, trace: _Trace, /) -> None: ...

# ---- shared memory, message queue ----
class SharedMemoryInfo(NamedTuple):
    mode: int
    bytes: int  # it holds now
    allocated: int
    mapped: int  # in this process: len(memoryview(shm))

_SharedMemory = TypeVar("_SharedMemory", bound="SharedMemory")

class SharedMemory(_Named):
    # A buffer: memoryview(shm), numpy.frombuffer(shm), Mutex(shm, offset=64).
    # size: bytes, when it is made; when it is joined, how many are needed at least.
    # All SharedMemory of one name in a process have one mapping.
    def __init__(
        self, name: Optional[str], flags: int = 0, mode: int = 0o600, *, size: int = 0
    ) -> None: ...
    @property
    def buf(self) -> memoryview: ...  # a new memoryview(shm)
    @property
    def size(self) -> int: ...  # bytes mapped in this process
    def fileno(self) -> int: ...  # not to be closed
    # BufferError: a view of it is still there; close() too
    def resize(self, size: int, /) -> None: ...
    def remap(self) -> None: ...  # as large as others have made it
    def info(self) -> SharedMemoryInfo: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...
    def __enter__(self: _SharedMemory) -> _SharedMemory: ...  # closes at the end
    def __exit__(self, kind: _ExcType, exc: _Exc, trace: _Trace, /) -> None: ...

class MessageQueueInfo(NamedTuple):
    max_messages: int
    max_message_size: int
    messages: int
    receivers: int
    senders: int
    notify_pid: int
    sent: int
    received: int

_MessageQueue = TypeVar("_MessageQueue", bound="MessageQueue")

class MessageQueue(_Named):
    # max_*: of a queue that is made; ignored by one that joins
    def __init__(
        self,
        name: Optional[str],
        flags: int = 0,
        mode: int = 0o600,
        *,
        max_messages: int = 10,
        max_message_size: int = 8192,
    ) -> None: ...
    # priority: 0 to 2 ** 32 - 1, the highest comes out first. TooLong. block=False, or a timeout
    # of 0, and it is full: WouldBlock (a BlockingIOError); the time is over: TimedOut, which is a
    # TimeoutError.
    def send(
        self,
        message: Buffer,
        priority: int = 0,
        block: bool = True,
        timeout: Optional[_Seconds] = None,
        *,
        timeout_ns: Optional[int] = None,
    ) -> None: ...
    # (message, priority)
    def receive(
        self,
        block: bool = True,
        timeout: Optional[_Seconds] = None,
        *,
        timeout_ns: Optional[int] = None,
    ) -> tuple[bytes, int]: ...
    @property
    def count(self) -> int: ...  # messages in it
    @property
    def max_messages(self) -> int: ...
    @property
    def max_message_size(self) -> int: ...
    def fileno(self) -> int: ...  # readable (select, asyncio) while it is not empty
    # Be told once when a message comes to the empty queue: by a signal (its number), or by a call
    # of a callable, without arguments, in a thread of its own. None: no more. Busy: somebody is
    # registered. One registration a queue, in the whole system.
    def notify(self, how: Union[int, Callable[[], object], None], /) -> None: ...
    def info(self) -> MessageQueueInfo: ...
    def __enter__(self: _MessageQueue) -> _MessageQueue: ...  # closes at the end
    def __exit__(self, kind: _ExcType, exc: _Exc, trace: _Trace, /) -> None: ...

# ---- functions ----
# Wait for the first of several. The one that was ready: of a Semaphore a token was taken, an
# AUTORESET Event is clear now, a MessageQueue has a message. None: the time is over. If several are
# ready, the first.
def wait_any(
    objects: Sequence[Union[Semaphore, Event, MessageQueue]],
    timeout: Optional[_Seconds] = None,
    *,
    timeout_ns: Optional[int] = None,
) -> Union[Semaphore, Event, MessageQueue, None]: ...

# Take a name away, without opening it. NotFound.
def unlink_mutex(name: str, /) -> None: ...
def unlink_rwlock(name: str, /) -> None: ...
def unlink_semaphore(name: str, /) -> None: ...
def unlink_event(name: str, /) -> None: ...
def unlink_condition(name: str, /) -> None: ...
def unlink_shared_memory(name: str, /) -> None: ...
def unlink_message_queue(name: str, /) -> None: ...
