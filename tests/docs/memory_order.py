# SPDX-License-Identifier: Apache-2.0
"""memory_order.py <libfipc/> <memory-order.md>: does the page tell of every atomic operation?

For each function the page has a line that begins "| `function` | its operations |": which, and in
which order, as this finds them in the code. Where they differ, both are printed, as the page has
to say it.
"""
from __future__ import annotations

import pathlib
import re
import sys

COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
ATTRIBUTE = re.compile(r"__attribute__\(\([^;{}\n]*?\)\) ?")
CALL = re.compile(r"\b(?:__)?atomic_(\w+?)(?:_n)?(?:_explicit)?\s*\(")
ORDER = re.compile(r"\b(?:memory_order_|__ATOMIC_)(\w+)", re.IGNORECASE)
FUNCTION = re.compile(
    r"^(?!#|typedef)[^\n;={}]*?\b(\w+)\([^;{}]*\)\n\{\n(.*?)^\}", re.DOTALL | re.MULTILINE
)
SHORT = {
    "compare_exchange_strong": "cas",
    "compare_exchange_weak": "cas",
    "compare_exchange": "cas",
    "signal_fence": "compiler",
    "fetch_add": "add",
    "fetch_sub": "sub",
    "fetch_and": "and",
    "fetch_or": "or",
}

Operations = dict[str, list[str]]


def arguments(text: str, start: int) -> str:
    """What stands in the parentheses that open just before `start`."""
    depth = 1
    end = start
    while depth:
        depth += {"(": 1, ")": -1}.get(text[end], 0)
        end += 1
    return text[start : end - 1]


def outermost_orders(text: str) -> list[str]:
    """The orders that a call names itself, not those of calls among its arguments."""
    while (inner := CALL.search(text)) is not None:
        text = text[: inner.start()] + text[inner.end() + len(arguments(text, inner.end())) + 1 :]
    return [order.lower() for order in ORDER.findall(text)]


def operations_in(body: str) -> list[str]:
    found: dict[str, int] = {}
    for call in CALL.finditer(body):
        unnamed = "as told" if "_explicit" in call[0] else "seq_cst"
        orders = outermost_orders(arguments(body, call.end())) or [unnamed]
        what = SHORT.get(call[1], call[1]) + " " + "/".join(orders)
        found[what] = found.get(what, 0) + 1
    return [f"{n} × {what}" if n > 1 else what for what, n in found.items()]


def in_code(directory: pathlib.Path) -> dict[str, Operations]:
    files = {}
    for path in sorted(directory.glob("*.[ch]")):
        text = ATTRIBUTE.sub("", COMMENT.sub(" ", path.read_text()))
        bodies = {f[1]: f[2] for f in FUNCTION.finditer(text)}
        functions = {name: operations_in(body) for name, body in bodies.items()}
        files[path.name] = {name: found for name, found in functions.items() if found}
        missed = len(CALL.findall(text)) - sum(len(CALL.findall(body)) for body in bodies.values())
        if missed:
            sys.exit(f"{path}: {missed} atomic operations outside of what looks like a function")
    return {name: functions for name, functions in files.items() if functions}


def in_page(page: pathlib.Path) -> dict[str, Operations]:
    files: dict[str, Operations] = {}
    for line in page.read_text().splitlines():
        if heading := re.fullmatch(r"### `([\w.]+)`", line):
            functions = files.setdefault(heading[1], {})
        elif row := re.match(r"\| `(\w+)` \| ([^|]*) \|", line):
            functions[row[1]] = row[2].strip().split(", ")
    return files


def main() -> int:
    code, page = in_code(pathlib.Path(sys.argv[1])), in_page(pathlib.Path(sys.argv[2]))
    wrong = 0
    for name in sorted(code.keys() | page.keys()):
        told, found = page.get(name, {}), code.get(name, {})
        for function in sorted(told.keys() | found.keys()):
            if sorted(told.get(function, [])) == sorted(found.get(function, [])):
                continue
            wrong += 1
            print(f"{sys.argv[2]}: {name}: {function}:")
            print(f"    the code has  {', '.join(found.get(function, ['nothing']))}")
            print(f"    the page has  {', '.join(told.get(function, ['nothing']))}")
    if not code or wrong:
        return 1
    print(f"{sum(map(len, code.values()))} functions of {len(code)} files: the page tells of each")
    return 0


sys.exit(main())
