# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import fipc
from fipc.compat.fastipc._named import open_for_good
from fipc.compat.fastipc._objects import as_timeout


class NamedEvent:
    """An event under a name: set until it is cleared. The same as fipc.Event(name, fipc.CREATE)."""

    def __init__(self, name: str) -> None:
        self._event = open_for_good(fipc.Event, name)

    def set(self) -> None:
        """Set it, and wake all who wait."""
        self._event.set()

    def clear(self) -> None:
        self._event.clear()

    def is_set(self) -> bool:
        return self._event.is_set()

    def wait(self, timeout_ns: int = -1) -> bool:
        """True: it is set, or was while we waited. False: the time is over; negative is none."""
        return self._event.wait(timeout_ns=as_timeout(timeout_ns))
