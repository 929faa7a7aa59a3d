#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Make docs/safety.md from what prove.py has found, and from safety.md.in.

safety.py RESULTS PAGE: RESULTS is results.jsonl of prove.py. Of the template everything stays as
it is but {{...}}, which is one of

    machine                 what was proved, where and when
    verdict                 whether all of it held
    number KIND COUNT       the sum of a count over the records of a kind
    kill_points, unmap      the sweeps, operation by operation; unmap kills nobody, and is of no
                            number
    models, variants        the models that hold; those that are to fail
    soak, faults, fuzz, suites, coverage

Each table is followed by the commands that made it, and the seconds that they took.
"""
import json
import pathlib
import re
import sys
from typing import Callable, Dict, List

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from pages import Record, machine_table, table  # noqa: E402

TEMPLATE = pathlib.Path(__file__).resolve().parent / "safety.md.in"
NOT_RUN = "**Not run.**"
KINDS = {"sweep", "unmap", "model", "soak", "fault", "fuzz", "suite", "coverage"}


class Results:
    """What prove.py has written. The sweep that stops without killing is a kind of its own."""

    def __init__(self, path: pathlib.Path) -> None:
        lines = path.read_text(encoding="utf-8").splitlines()
        self.machine, *self.records = [json.loads(line) for line in lines]
        for r in self.records:
            key = "of" if r["kind"] == "part" else "kind"
            if r[key] == "sweep" and r["command"].endswith("_unmap"):
                r[key] = "unmap"

    def of(self, kind: str) -> List[Record]:
        return [r for r in self.records if r["kind"] == kind]

    def commands(self, kind: str) -> str:
        """As one types them."""
        lines = []
        for part in self.of("part"):
            if part["of"] == kind:
                failed = ": **FAILED**" if part["status"] else ""
                again = f", run again at {part['again']}" if "again" in part else ""
                lines.append(f"- `{part['command']}`, {part['seconds']} s{again}{failed}")
        return "\n".join(lines) or NOT_RUN


def table_of(results: Results, kind: str, head: List[str], rows: List[List[str]],
             align: str = "--:") -> str:
    text = table(head, rows, align) + "\n\n" if rows else ""
    return text + results.commands(kind)


def whole(number: int) -> str:
    return f"{number:,}"


def spoken(counts: Dict[str, int]) -> str:
    return ", ".join(f"{whole(n)} {thing}" for thing, n in counts.items())


# ---- what stands for each word of the template ----

def machine(results: Results, _: str) -> str:
    return machine_table(results.machine)


def verdict(results: Results, _: str) -> str:
    failed = [f"`{r['command']}`" for r in results.of("part") if r["status"]]
    again = [f"`{r['command']}`" for r in results.of("part") if "again" in r]
    text = f"**Not all of it held:** {', '.join(failed)}." if failed else "All of it held."
    if again:
        text += f" Run again, because something was mended: {', '.join(again)}."
    if KINDS - {r["of"] for r in results.of("part")}:
        text += "\n\n**Not all of it was run:** below it says what was not."
    return text


def number(results: Results, arguments: str) -> str:
    kind, count = arguments.split()
    values = [n for r in results.of(kind) for thing, n in {**r, **r.get("counts", {})}.items()
              if thing.replace(" ", "_") == count]
    return whole(sum(values)) if values else "(not run)"


def kill_points(results: Results, _: str) -> str:
    rows = []
    for r in results.of("sweep"):
        wrong = {thing: n for thing, n in r["counts"].items() if thing != "kill points"}
        if wrong != r["counts"]:
            rows.append([r["command"].rpartition("_sweep_")[2], r["what"].replace("_", " "),
                         whole(r["counts"]["kill points"]), spoken(wrong)])
    return table_of(results, "sweep", ["of", "killed in", "points", "wrong"], rows, "---")


def unmap(results: Results, _: str) -> str:
    """A line of what was done, and one of the closes that had to wait."""
    rows: List[List[str]] = []
    for r in results.of("unmap"):
        if "kill points" in r["counts"]:
            counts = r["counts"]
            rows.append([r["what"], whole(counts["kill points"]), "", whole(counts["failures"])])
        elif rows:
            rows[-1][2] = whole(sum(r["counts"].values()))
    head = ["given", "stopped at", "closes held up", "touched what was gone"]
    return table_of(results, "unmap", head, rows)


def model_rows(results: Results, bad: bool) -> List[List[str]]:
    return [[r["what"].replace("bad: ", ""), whole(r["states"]), r["result"]]
            for r in results.of("model") if r["what"].startswith("bad: ") == bad]


def models(results: Results, _: str) -> str:
    head = ["model", "states", "result"]
    return table_of(results, "model", head, model_rows(results, False))


def variants(results: Results, _: str) -> str:
    rows = model_rows(results, True)
    return table(["variant", "states", "result"], rows) if rows else NOT_RUN


def soak(results: Results, _: str) -> str:
    rows = [[r["what"], spoken(r["counts"])] for r in results.of("soak")]
    return table_of(results, "soak", ["", "what came of it"], rows, "---")


def faults(results: Results, _: str) -> str:
    rows = [[r["what"], *map(whole, r["counts"].values())] for r in results.of("fault")]
    head = ["call", "faults", "errors told", "done all the same"]
    return table_of(results, "fault", head, rows)


def fuzz(results: Results, _: str) -> str:
    rows = [[r["what"], whole(r["inputs"])] for r in results.of("fuzz")]
    return table_of(results, "fuzz", ["fuzzed", "inputs"], rows)


def suites(results: Results, _: str) -> str:
    rows = [[r["what"], *map(whole, r["counts"].values())] for r in results.of("suite")]
    return table_of(results, "suite", ["", "passed", "failed", "skipped"], rows)


def coverage(results: Results, _: str) -> str:
    rows = [[r["what"], whole(r["lines"]), f"{100 * r['run'] / r['lines']:.1f} %",
             f"{r['wanted']} %", f"{r['branches']:.1f} %"] for r in results.of("coverage")]
    head = ["component", "lines", "run", "wanted", "branches run"]
    return table_of(results, "coverage", head, rows)


WORDS: Dict[str, Callable[[Results, str], str]] = {
    "machine": machine, "verdict": verdict, "number": number, "kill_points": kill_points,
    "unmap": unmap, "models": models, "variants": variants, "soak": soak, "faults": faults,
    "fuzz": fuzz, "suites": suites, "coverage": coverage,
}


def fill(results: Results, word: str, arguments: str) -> str:
    if word not in WORDS:
        sys.exit(f"safety.py: {TEMPLATE.name}: {{{{{word}}}}}: there is no such thing")
    return WORDS[word](results, arguments)


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    results, page = Results(pathlib.Path(sys.argv[1])), pathlib.Path(sys.argv[2])
    text = re.sub(r"\{\{(\w+) ?([^}]*)\}\}", lambda match: fill(results, match[1], match[2]),
                  TEMPLATE.read_text(encoding="utf-8"))
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
