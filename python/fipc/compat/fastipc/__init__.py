# SPDX-License-Identifier: Apache-2.0
"""Stands in for the package fastipc (0.1.5), over fipc: the same names, crash-safe underneath.

A lock whose owner was killed is taken over silently, as fastipc's programs know no owner's death;
set ``on_owner_death`` of a Mutex or NamedMutex to be told. docs/python-fastipc.md says what
differs.
"""
from fipc.compat.fastipc._primitives import AtomicU32, AtomicU64, FutexWord, Mutex, Semaphore
from fipc.compat.fastipc.guarded_shared_memory import GuardedSharedMemory, NoShmFoundError
from fipc.compat.fastipc.sync import NamedEvent, NamedMutex, NamedSemaphore
from fipc.compat.fastipc.utils import align_to_cacheline_size

__all__ = [
    "align_to_cacheline_size",
    "GuardedSharedMemory",
    "NoShmFoundError",
    "NamedEvent",
    "NamedMutex",
    "NamedSemaphore",
    "FutexWord",
    "AtomicU32",
    "AtomicU64",
    "Mutex",
    "Semaphore",
]
