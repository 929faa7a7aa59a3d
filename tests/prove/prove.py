#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Run all that shows how safe fipc is, within half an hour on two processors; then make the page.

prove.py [--quick BUILD | --again KIND] PAGE: PAGE is as docs/safety.md; results.jsonl, from which
safety.py can make it again, goes to a directory of that name. --quick runs a little of what is
built in BUILD, to show that the page can be made. --again runs one part anew ("suite", "model"),
as when what it found has been mended, and the page says so; the rest stays.
"""
import argparse
import concurrent.futures
import contextlib
import json
import math
import os
import pathlib
import re
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree
from typing import Callable, Iterable, List, Optional, Tuple

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from pages import Progress, Record, commit, machine  # noqa: E402

SOURCE = pathlib.Path(__file__).resolve().parents[2]
LIMIT_SECONDS = 29 * 60  # for everything; what is left when the rest is done is the sweeps'
FEWEST_SECONDS = 60  # that the sweeps get all the same
UNMAP_SECONDS = 60  # of one of them, which always stops at every instruction
FUZZ_SECONDS = 60
SWEEPS = ["mq", "mutex", "name", "sem", "sem_owned", "rwlock", "cond", "event", "waits", "wait_any"]
SOAKS = {"soak": 20, "race": 20, "soak_all": 60, "soak_sem_owned": 20, "double_kill": 20}

Reader = Callable[[str], Optional[Record]]


# ---- what the programs print ----

def read_counts(line: str) -> Optional[Record]:
    """<what>: <number> <thing>, <number> <thing>..."""
    match = re.fullmatch(r"\s*(.+?): (\d+ [^\d,][^,]*(?:, \d+ [^,]+)*)", line)
    if not match:
        return None
    counts = [count.split(" ", 1) for count in match[2].split(", ")]
    return {"what": match[1], "counts": {thing: int(number) for number, thing in counts}}


def read_suite(line: str) -> Optional[Record]:
    found = read_counts(line)
    return found if found and list(found["counts"]) == ["passed", "failed", "skipped"] else None


def read_model(line: str) -> Optional[Record]:
    match = re.fullmatch(r"(.+?) +(\d+|no) states  (.+?) +(\d+) s", line)
    if not match:
        return None
    states = int(match[2]) if match[2] != "no" else 0
    return {"what": match[1], "states": states, "result": match[3], "seconds": int(match[4])}


def read_fuzz(line: str) -> Optional[Record]:
    match = re.fullmatch(r"(\d+) inputs of fuzzed (\w+)", line)
    return {"what": match[2], "inputs": int(match[1])} if match else None


def read_coverage(line: str) -> Optional[Record]:
    match = re.fullmatch(r"\w+: (\d+) of (\d+) lines of (\w+) run, .* wanted are (\d+) %; "
                         r"of the branches ([\d.]+)%", line)
    if not match:
        return None
    return {"what": match[3], "run": int(match[1]), "lines": int(match[2]),
            "wanted": int(match[4]), "branches": float(match[5])}


# ---- running them ----

class Part:
    """A program, run from the top of the source, and what its lines say; kind: of their records."""

    def __init__(self, kind: str, read: Reader, *command: str, **variables: str) -> None:
        self.kind, self.read, self.command, self.variables = kind, read, command, variables

    def __str__(self) -> str:
        variables = [f"{name}={value}" for name, value in self.variables.items()]
        return " ".join([*variables, *self.command])


class Results:
    """results.jsonl, as it grows; kinds of what failed."""

    def __init__(self, path: pathlib.Path, first: Record) -> None:
        self.path, self.lock = path, threading.Lock()
        self.failed: List[str] = []
        self.again = ""  # the commit at which parts are run anew
        path.write_text(json.dumps(first) + "\n", encoding="utf-8")

    def add(self, records: Iterable[Record]) -> None:
        with self.lock, self.path.open("a", encoding="utf-8") as out:
            out.writelines(json.dumps(record) + "\n" for record in records)

    def run(self, part: Part) -> None:
        """Its output is shown as it comes."""
        begun, records = time.monotonic(), []
        print(f"$ {part}", flush=True)
        process = subprocess.Popen(part.command, cwd=SOURCE, env={**os.environ, **part.variables},
                                   text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert process.stdout
        for line in process.stdout:
            print(line, end="", flush=True)
            found = part.read(line.rstrip("\n"))
            if found:
                records.append({"kind": part.kind, "command": str(part), **found})
        status = process.wait()
        if status != 0:
            self.failed.append(str(part))
        seconds = round(time.monotonic() - begun)
        self.add(records + [{"kind": "part", "of": part.kind, "command": str(part),
                             "status": status, "seconds": seconds,
                             **({"again": self.again} if self.again else {})}])

    def run_side_by_side(self, parts: List[Part]) -> None:
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(self.run, parts))


def program(name: str, build: str = "build-test") -> str:
    return f"{build}/tests/test_{name}"


def sweeps(names: Iterable[str], every: int, build: str = "build-test") -> List[Part]:
    return [Part("sweep", read_counts, program(f"sweep_{name}", build),
                 FIPC_SWEEP_EVERY=str(every)) for name in names]


def seconds_of_sweeps() -> float:
    """How long they take at every instruction, as the suite's run at every tenth lets expect."""
    cases = xml.etree.ElementTree.parse(SOURCE / "build-test" / "results.xml").iter("testcase")
    return 10 * sum(float(case.get("time", 0)) for case in cases
                    if case.get("name", "").startswith("test_sweep_"))


def every_nth(seconds: float) -> int:
    with contextlib.suppress(OSError, xml.etree.ElementTree.ParseError):
        side_by_side = seconds_of_sweeps() / (os.cpu_count() or 1)
        return max(1, math.ceil(side_by_side / max(seconds, FEWEST_SECONDS)))
    return 10


def all_but_sweeps() -> List[Tuple[str, List[Part]]]:
    return [
        ("the tests, four times", [Part("suite", read_suite, "sh", "tests/run.sh")]),
        ("coverage", [Part("coverage", read_coverage, "sh", "tests/coverage.sh")]),
        ("models", [Part("model", read_model, "sh", "tests/model/run.sh", "all")]),
        ("faults", [Part("fault", read_counts, program("faults"))]),
        ("kills by chance", [Part("soak", read_counts, program(name), str(seconds))
                             for name, seconds in SOAKS.items()]),
        ("fuzzing", [Part("fuzz", read_fuzz, "sh", "tests/fuzz/run.sh", str(FUZZ_SECONDS))]),
    ]


def prove(results: Results) -> None:
    steps, progress = all_but_sweeps(), Progress()
    progress.steps = len(steps) + 1
    for title, parts in steps:
        progress.next(title)
        for part in parts:
            results.run(part)
    every = every_nth(LIMIT_SECONDS - UNMAP_SECONDS - progress.seconds())
    progress.next("kills at every instruction" if every == 1 else f"kills at one point of {every}")
    results.run_side_by_side(sweeps(["unmap"], 1) + sweeps(SWEEPS, every))
    minutes, seconds = divmod(progress.seconds(), 60)
    print(f"\nall of it took {minutes}:{seconds:02}")


def prove_again(results: Results, kind: str, before: pathlib.Path) -> None:
    parts = [part for _, parts in all_but_sweeps() for part in parts if part.kind == kind]
    if not parts:
        sys.exit(f"prove: --again {kind}: there is no such part; sweeps are run with all of them")
    _, *records = before.read_text(encoding="utf-8").splitlines()
    results.add(r for r in map(json.loads, records) if kind not in (r["kind"], r.get("of")))
    results.again = commit()
    for part in parts:
        results.run(part)


def prove_quickly(results: Results, build: str) -> None:
    for part in [
        *sweeps(["wait_any"], 1000, build),
        Part("model", read_model, "sh", "tests/model/run.sh", "one"),
        Part("soak", read_counts, program("race", build), "1"),
    ]:
        results.run(part)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", metavar="BUILD",
                        help="only show that it runs; the figures mean nothing")
    parser.add_argument("--again", metavar="KIND", help="run one part anew; the rest stays")
    parser.add_argument("page", type=pathlib.Path)
    given = parser.parse_args()
    directory = given.page.with_suffix("")
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "results.jsonl"
    build = pathlib.Path(given.quick or SOURCE / "build-test")
    # Beside the old ones until all is done: one of the tests compares those with their page.
    first = json.loads(path.open().readline()) if given.again else machine(build, bool(given.quick))
    results = Results(path.with_suffix(".new"), first)
    if given.quick:
        prove_quickly(results, given.quick)
    elif given.again:
        prove_again(results, given.again, path)
    else:
        prove(results)
    results.path.replace(path)
    maker = SOURCE / "tests" / "prove" / "safety.py"
    subprocess.run([sys.executable, str(maker), str(path), str(given.page)], check=True)
    print(f"{given.page} is made, from {path}")
    if results.failed:
        sys.exit("prove: failed: " + "; ".join(results.failed))


if __name__ == "__main__":
    main()
