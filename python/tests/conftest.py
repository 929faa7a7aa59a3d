# SPDX-License-Identifier: Apache-2.0
"""What the tests share: a directory of names of their own, and processes that are told what to do.

They run from a build, as `make test` does, or against an installed package: `pytest python/tests`.
"""

import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import pytest

PATIENCE = 60  # seconds, for what takes milliseconds: the machine may be busy


@pytest.fixture(autouse=True)
def fipc_dir(monkeypatch):
    """Each test has a FIPC_DIR of its own, and leaves nothing."""
    path = tempfile.mkdtemp(prefix="fipc-python-", dir="/dev/shm")
    monkeypatch.setenv("FIPC_DIR", path)
    yield path
    shutil.rmtree(path, ignore_errors=True)


def await_(condition):
    """Until condition() is true; what that was."""
    end = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.001)
    return value


class Child:
    """A process that tells by lines on stdout how far it is, and goes on by lines on stdin."""

    def __init__(self, *command):
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
        self.pid = self.process.pid

    def line(self):
        text = b""
        while not text.endswith(b"\n"):
            ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
            assert ready, f"no line of process {self.pid} after {text!r}"
            byte = self.process.stdout.read(1)
            assert byte, f"process {self.pid} has ended after {text!r}"
            text += byte
        return text.decode().strip()

    def go(self):
        self.process.stdin.write(b"\n")

    def kill(self, number=signal.SIGKILL):
        self.process.send_signal(number)

    def wait(self):
        return self.process.wait(PATIENCE)

    def sleeps(self):
        """Is its main thread asleep in the kernel?"""
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0] == "S"

    def has_said_something(self, seconds):
        return bool(select.select([self.process.stdout], [], [], seconds)[0])


@pytest.fixture
def start():
    """start(code): a Python process that runs it, with fipc, os, sys and signal."""
    children = []

    def begin(what):
        code = "import os, signal, sys, fipc\n" + what
        children.append(Child(sys.executable, "-c", code))
        return children[-1]

    yield begin
    for child in children:
        child.process.kill()
        child.process.wait()
        child.process.stdin.close()
        child.process.stdout.close()


@pytest.fixture
def died(start):
    """died(code): a process has run it, and was killed when it said so by print()."""

    def kill_in(code):
        child = start(code + "\nprint('inside', flush=True); sys.stdin.readline()")
        assert child.line() == "inside"
        child.kill()
        assert child.wait() == -signal.SIGKILL
        return child.pid

    return kill_in


# ---- for tests/count.awk, which counts cases as cmocka prints them ----
def pytest_sessionstart(session):
    print("\n[==========] Running the tests of the Python package.")


def pytest_runtest_logreport(report):
    name = report.nodeid.rpartition("/")[2].replace(" ", "_")
    if report.skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        print(f"\nSKIP: {reason.removeprefix('Skipped: ')}\n[  SKIPPED ] {name}")
    elif report.failed:
        print(f"\n[  FAILED  ] {name}")
    elif report.when == "call":
        print(f"\n[       OK ] {name}")


def pytest_sessionfinish(session):
    print("\n[==========] All of them run.")
