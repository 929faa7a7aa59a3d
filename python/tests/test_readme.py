# SPDX-License-Identifier: Apache-2.0
"""The examples of both README.md run, and their links lead somewhere."""

import re
import types
from pathlib import Path

import pytest

PYTHON = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("page", [PYTHON / "README.md", PYTHON.parent / "README.md"], ids=str)
def test_examples(page):
    text = page.read_text(encoding="utf-8")
    examples = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert examples
    names = {"accounts": types.SimpleNamespace(rebuild=lambda: None)}
    for example in examples:
        exec(example, names)


def test_links():
    text = (PYTHON / "README.md").read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (PYTHON / link).exists(), link
