# SPDX-License-Identifier: Apache-2.0
import os

__all__ = ["align_to_cacheline_size"]


def align_to_cacheline_size(size: int) -> int:
    """size, rounded up to whole cache lines: of $CACHE_LINE_SIZE bytes, 64 unless told."""
    line = int(os.environ.get("CACHE_LINE_SIZE", 64))
    return -(-size // line) * line
