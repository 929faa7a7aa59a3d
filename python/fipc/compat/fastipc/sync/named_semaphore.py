# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Optional

import fipc
from fipc.compat.fastipc._named import open_for_good
from fipc.compat.fastipc._objects import Tokens


class NamedSemaphore(Tokens):
    """A semaphore under a name. The same as fipc.Semaphore(name, fipc.CREATE, initial=0).

    initial: its tokens when it is made; ignored by who joins it.
    """

    def __init__(self, name: str, initial: Optional[int] = None) -> None:
        super().__init__(
            open_for_good(fipc.Semaphore, name, flags=fipc.TIMESTAMPS, initial=initial or 0)
        )

    def wait(self, blocking: bool = True, timeout: float = -1.0, spin: int = 128) -> bool:
        """Take a token, waiting for up to `timeout` seconds; as wait_ns()."""
        return self.wait_ns(blocking, int(timeout * 1_000_000_000), spin)

    def wait_ns(self, blocking: bool = True, timeout_ns: int = -1, spin: int = 128) -> bool:
        """Take a token. False: there is none, and it was not to block, or the time is over.

        A negative timeout is none. spin is not needed: fipc finds by itself for how long it pays.
        """
        return self._take(blocking, timeout_ns)

    P = acquire = wait
    V = release = Tokens.post
