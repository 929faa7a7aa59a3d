# SPDX-License-Identifier: Apache-2.0
"""The examples of the pages about posix_ipc and nob run, each page's one after the other."""

import re
import signal
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.parametrize("page", ["python-posix_ipc.md", "python-nob.md"])
def test_examples(page):
    examples = re.findall(r"^```python\n(.*?)^```$", (DOCS / page).read_text(), re.M | re.S)
    assert examples
    old = signal.getsignal(signal.SIGUSR1)
    names = {}
    try:
        for example in examples:
            exec(compile(example, page, "exec"), names)
    finally:
        signal.signal(signal.SIGUSR1, old)
