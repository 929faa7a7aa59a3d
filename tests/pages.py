# SPDX-License-Identifier: Apache-2.0
"""What the makers of docs/performance.md and docs/safety.md have in common: where and when."""
import datetime
import os
import pathlib
import platform
import shutil
import subprocess
import time
from typing import Any, Dict, List

Record = Dict[str, Any]  # a line of results.jsonl
SOURCE = pathlib.Path(__file__).resolve().parent


def output_of(*command: str) -> str:
    """Without the newline at its end; empty if it failed, or is not there."""
    if not shutil.which(command[0]):
        return ""
    done = subprocess.run(command, cwd=SOURCE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          text=True)
    return done.stdout.strip() if done.returncode == 0 else ""


def commit() -> str:
    head = output_of("git", "rev-parse", "--short=12", "HEAD")
    changed = output_of("git", "status", "--porcelain", "--untracked-files=no", "--",
                        ":/", ":!/docs/performance*", ":!/docs/safety*")
    return (head or "unknown: not a git checkout") + (", with changes on top" if changed else "")


def processor() -> str:
    for line in open("/proc/cpuinfo", encoding="utf-8"):
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def machine(build: pathlib.Path, quick: bool) -> Record:
    return {
        "kind": "machine",
        "commit": commit(),
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": processor(),
        "processors": os.cpu_count(),
        "virtual": output_of("systemd-detect-virt", "--vm"),
        "kernel": platform.release(),
        "libc": os.confstr("CS_GNU_LIBC_VERSION"),
        "compiler": compiler(build),
        "load": os.getloadavg()[0],
        "quick": quick,
    }


def compiler(build: pathlib.Path) -> str:
    for line in (build / "CMakeCache.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("CMAKE_C_COMPILER:"):
            return output_of(line.split("=", 1)[1], "--version").splitlines()[0]
    return ""


class Progress:
    """Says which step of how many begins, and when."""

    def __init__(self) -> None:
        self.steps, self.step, self.begun = 0, 0, time.monotonic()

    def seconds(self) -> int:
        return int(time.monotonic() - self.begun)

    def next(self, what: str) -> None:
        self.step += 1
        minutes, seconds = divmod(self.seconds(), 60)
        print(f"\n[{self.step} of {self.steps}, after {minutes}:{seconds:02}] {what}",
              flush=True)


def table(head: List[str], rows: List[List[str]], align: str = "--:") -> str:
    rule = ["---"] + [align] * (len(head) - 1)
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, rule, *rows])


def machine_table(m: Record) -> str:
    virtual = f", virtual ({m['virtual']})" if m["virtual"] else ""
    text = table(["what", "here"], [
        ["commit", m["commit"]],
        ["date", m["date"]],
        ["processors", f"{m['processors']} × {m['processor']}{virtual}"],
        ["kernel", m["kernel"]],
        ["C library, compiler", f"{m['libc']}, {m['compiler']}"],
        ["load when it began", f"{m['load']:.2f}"],
    ], "---")
    if m["quick"]:
        text += "\n\n**A quick run: it shows that everything works; its figures mean nothing.**"
    return text
