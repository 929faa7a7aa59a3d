# SPDX-License-Identifier: Apache-2.0
"""What the named objects have in common: how they are opened, and for how long."""
from __future__ import annotations

import fcntl
import os
import struct
from typing import Any, Dict, Tuple, Type, TypeVar

import fipc

_T = TypeVar("_T")

# fastipc has open what it has opened until the process ends, also when nobody refers to it any
# more: an event that was set stays set, a semaphore keeps its tokens.
_kept: Dict[Tuple[Any, ...], Any] = {}

_PREFIX = "__pyfastipc_"  # not for fipc's objects: names of fastipc's own segments begin so


def root() -> str:
    """Where the names live, as libfipc says it."""
    return os.environ.get("FIPC_DIR") or os.environ.get("FASTIPC_PID_DIR") or "/dev/shm/fastipc"


def name_of(name: str) -> str:
    """fipc's name for one of fastipc's."""
    return "fastipc." + name[len(_PREFIX) :] if name.startswith(_PREFIX) else name


def open_named(kind: Type[_T], name: str, flags: int, **options: Any) -> _T:
    try:
        return kind(name_of(name), flags, **options)  # type: ignore[call-arg]
    except fipc.NotFound:
        if not flags & fipc.CREATE:
            raise
    # What is not there can only be the directory's parent, which fastipc would make.
    os.makedirs(os.path.dirname(root().rstrip("/")), exist_ok=True)
    return kind(name_of(name), flags, **options)  # type: ignore[call-arg]


def open_for_good(kind: Type[_T], name: str, **options: Any) -> _T:
    opened = open_named(kind, name, fipc.CREATE | options.pop("flags", 0), **options)
    _kept[kind, name, root()] = opened
    return opened


_FLOCK = "hhqqi4x"  # l_type, l_whence, l_start, l_len, l_pid, as 64-bit Linux has them


def attached(name: str, inode: int) -> int:
    """Living processes that have open the shared memory of that inode, which `name` led to."""
    entries = f"{root()}/{name_of(name)}.shm.pids"  # PID.TRACKER.INODE: see docs/design.md
    try:
        ours = [entry for entry in os.listdir(entries) if entry.endswith(f".{inode}")]
    except FileNotFoundError:
        return 0
    return sum(_is_alive(os.path.join(entries, entry)) for entry in ours)


def _is_alive(entry: str) -> bool:
    """It is locked to write, as long as its process lives."""
    try:
        fd = os.open(entry, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        asked = struct.pack(_FLOCK, fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0)
        kind = struct.unpack(_FLOCK, fcntl.fcntl(fd, fcntl.F_OFD_GETLK, asked))[0]
    finally:
        os.close(fd)
    return bool(kind == fcntl.F_WRLCK)
