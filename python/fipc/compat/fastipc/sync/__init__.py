# SPDX-License-Identifier: Apache-2.0
"""What processes share by a name: fastipc.sync."""
from fipc.compat.fastipc.sync.named_event import NamedEvent
from fipc.compat.fastipc.sync.named_mutex import NamedMutex
from fipc.compat.fastipc.sync.named_semaphore import NamedSemaphore

__all__ = ["NamedEvent", "NamedMutex", "NamedSemaphore"]
