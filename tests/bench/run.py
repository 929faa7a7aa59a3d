#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Run every group of fipc-bench, count instructions, try fipcd with crowds; then make the page.

run.py [--quick] BUILD PAGE: BUILD is where cmake has built, PAGE is as docs/performance.md. Its
plots, and results.jsonl, from which page.py can make it again, go to a directory of that name.
"""
import argparse
import ctypes
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
from typing import Any, Dict, Iterable, Iterator, List, Tuple

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from pages import Progress, machine, output_of  # noqa: E402

SOURCE = pathlib.Path(__file__).resolve().parent
COUNTED = ["alone", "sem", "owned", "event", "mq"]
CROWDS = [(1000, 100, 1000), (10000, 1000, 1000), (100000, 2000, 1000)]
QUICK_CROWDS = [(20, 2, 2), (40, 4, 2)]
PR_SET_CHILD_SUBREAPER = 36  # of <sys/prctl.h>
ENOUGH_SECONDS = 400  # the last crowd may take two minutes, and the whole ten


def wait_for_all() -> None:
    """Children of what was run are ours when it has ended: they remove what it made."""
    try:
        while True:
            os.wait()
    except ChildProcessError:
        pass


def run(*command: str) -> None:
    status = subprocess.run(command).returncode
    wait_for_all()
    if status != 0:
        sys.exit(f"bench: {' '.join(command)}: exit status {status}")


def counts_in(path: pathlib.Path) -> Iterator[Dict[str, Any]]:
    """Of a file of callgrind's. Its description is from count_begin() in common.c."""
    label = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("desc: Trigger: Client Request: "):
            label = line.split(": ", 3)[3]
        elif line.startswith("summary: ") and label:
            group, contender, quantity, pairs = label.split("|")
            yield {"group": group, "contender": contender, "index": int(quantity),
                   "instructions": int(line.split()[1]) / int(pairs)}


def write(results: pathlib.Path, records: Iterable[Dict[str, Any]]) -> None:
    with results.open("a", encoding="utf-8") as out:
        out.writelines(json.dumps(record) + "\n" for record in records)


def skip(results: pathlib.Path, what: str, why: str) -> None:
    print(f"SKIP: {what}: {why}", flush=True)
    write(results, [{"kind": "skipped", "what": what, "why": why}])


def count_instructions(bench: pathlib.Path, groups: List[str], results: pathlib.Path) -> None:
    if not shutil.which("valgrind"):
        skip(results, "instructions", "there is no valgrind")
        return
    with tempfile.TemporaryDirectory(prefix="fipc-test.") as directory:
        run("valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={directory}/out.%p",
            str(bench), "--instructions", *groups)
        counts = [c for path in pathlib.Path(directory).iterdir() for c in counts_in(path)]
    command = " ".join(["valgrind", "--tool=callgrind", bench.name, "--instructions", *groups])
    write(results, ({"kind": "instructions", "command": command, **count} for count in counts))


def try_crowds(latency: pathlib.Path, crowds: List[Tuple[int, int, int]], results: pathlib.Path,
               progress: Progress) -> None:
    for objects, processes, deaths in crowds:
        progress.next(f"fipcd with {objects} objects of {processes} processes")
        if objects > 10000 and progress.seconds() > ENOUGH_SECONDS:
            skip(results, f"{objects:,} objects", "it was late: `make scale` does it")
            continue
        run(str(latency), "--objects", str(objects), "--processes", str(processes),
            "--deaths", str(deaths), "--json", str(results))


def measure(build: pathlib.Path, quick: bool, results: pathlib.Path, progress: Progress) -> None:
    programs = build.resolve() / "tests" / "bench"
    bench, static = programs / "fipc-bench", programs / "fipc-bench-static"
    crowds = QUICK_CROWDS if quick else CROWDS
    groups = output_of(str(bench), "--list").split()
    arguments = ["--quick"] if quick else []
    arguments += ["--json", str(results)]

    progress.steps = len(groups) + 2 + len(crowds)
    for group in groups:
        progress.next(group)
        run(str(bench), *arguments, group)
    progress.next("alone, linked statically")
    run(str(static), *arguments, "alone")
    progress.next("instructions, by callgrind")
    count_instructions(bench, COUNTED[:1] if quick else COUNTED, results)
    try_crowds(programs / "fipc-latency", crowds, results, progress)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true",
                        help="only show that it runs; the figures mean nothing")
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("page", type=pathlib.Path)
    given = parser.parse_args()
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    progress = Progress()
    directory = given.page.with_suffix("")
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fipc-test.") as unfinished:
        results = pathlib.Path(unfinished) / "results.jsonl"
        write(results, [machine(given.build, given.quick)])
        measure(given.build, given.quick, results, progress)
        shutil.copyfile(results, directory / results.name)
    run(sys.executable, str(SOURCE / "page.py"), str(directory / results.name), str(given.page))
    minutes, seconds = divmod(progress.seconds(), 60)
    print(f"\n{given.page} and {directory}/ are made; it took {minutes}:{seconds:02}")


if __name__ == "__main__":
    main()
