# SPDX-License-Identifier: Apache-2.0
"""Locks, semaphores, events, conditions, memory and queues between processes, that survive kills.

    import fipc

    bank = fipc.Mutex("bank", fipc.CREATE)
    with bank:                          # OwnerDied: NOT held; see recover()
        ...

    with bank.recover() as died:        # held; did its last owner die inside?
        if died:
            mend()                      # raises: the next one is told again

Everything has a name, or lives in a writable buffer (bytearray, mmap, SharedMemory): the first
argument. What has a name goes with the last process that has it open, however that ends, unless it
was made with PERSIST; `fipcctl list` shows it.

Timeouts are timeout= in seconds or timeout_ns=; None waits for ever. Waiting lets other threads
run, and Ctrl-C and signal handlers work. Errors are subclasses of fipc.Error, an OSError, and of
the builtin exception that fits.
"""

from fipc._fipc import (
    ANY_OWNER,
    AUTORESET,
    CREATE,
    EXCL,
    IGNORE_DEATH,
    OWNED,
    PERSIST,
    PRIVATE,
    READERS_MAX,
    READONLY,
    REPLACE,
    TIMESTAMPS,
    TRUNC,
    WAIT_MAX,
    AccessDenied,
    AtomicU32,
    AtomicU64,
    Busy,
    Condition,
    ConditionInfo,
    Corrupt,
    Deadlock,
    Error,
    Event,
    EventInfo,
    Exists,
    Invalid,
    MessageQueue,
    MessageQueueInfo,
    Mutex,
    MutexInfo,
    NotFound,
    NotOwner,
    NotRecoverable,
    OwnerDied,
    RWLock,
    RWLockInfo,
    Semaphore,
    SemaphoreInfo,
    SharedMemory,
    SharedMemoryInfo,
    TimedOut,
    TooLong,
    TooMany,
    Word,
    WouldBlock,
    __version__,
    unlink_condition,
    unlink_event,
    unlink_message_queue,
    unlink_mutex,
    unlink_rwlock,
    unlink_semaphore,
    unlink_shared_memory,
    wait_any,
)

__all__ = [name for name in dir() if not name.startswith("_")]
