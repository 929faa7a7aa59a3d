# SPDX-License-Identifier: Apache-2.0
"""fipc.compat.fastipc is what fastipc is, without its faults; docs/python-fastipc.md says where."""

import ctypes
import gc
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time
from multiprocessing import shared_memory

import pytest
from conftest import PATIENCE, await_

import fipc
from fipc.compat import fastipc
from fipc.compat import run as compat_run

DOCS = pathlib.Path(__file__).parents[2] / "docs" / "python-fastipc.md"
MS = 1_000_000


class Forked:
    """A child that does something, says so, and then is there until it is killed, or we are."""

    def __init__(self, work):
        said, say = os.pipe()
        orphaned, self._alive = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.close(self._alive)
                work()
                os.write(say, b"!")
                os.read(orphaned, 1)
            finally:
                os._exit(1)
        os.close(say)
        os.close(orphaned)
        done = os.read(said, 1)
        os.close(said)
        assert done == b"!"

    def kill(self):
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            os.close(self._alive)
            self.pid = 0


@pytest.fixture
def forked():
    children = []

    def begin(work):
        children.append(Forked(work))
        return children[-1]

    yield begin
    for child in children:
        child.kill()


def in_thread(work):
    """What work() returned, or raised, in a thread of its own that has ended."""
    result = []

    def run():
        try:
            result.append(work())
        except Exception as e:
            result.append(e)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    return result[0]


def in_memory():
    return fastipc.Mutex(bytearray(64))


def named():
    return fastipc.NamedMutex("ledger")


MUTEXES = [in_memory, named]


# ---- words ----


def test_a_word_holds_32_bits():
    word = fastipc.FutexWord(bytearray(4), shared=False)
    word.store_release(-1)
    assert word.load_acquire() == 0xFFFFFFFF
    assert word.wait(expected=0) is False
    assert word.wait(0xFFFFFFFF, timeout_ns=MS) is False
    assert word.wake() == word.wake(n=0x7FFFFFFF) == 0


def asleep_at(address):
    """Threads of this process that the kernel has asleep on a futex there."""
    calls = (task / "syscall" for task in pathlib.Path("/proc/self/task").iterdir())
    return sum(call.read_text().split()[1:2] == [hex(address)] for call in calls)


def test_a_word_wakes_as_many_as_told():
    memory = bytearray(4)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    word = fastipc.FutexWord(memoryview(memory))
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(word.wait(0, PATIENCE * 1000 * MS)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    await_(lambda: asleep_at(address) == 4)
    assert word.wake() == 1
    assert word.wake(-1) == 3
    for thread in threads:
        thread.join(PATIENCE)
    assert answers == [True] * 4


@pytest.mark.parametrize("atomic, bits", [(fastipc.AtomicU32, 32), (fastipc.AtomicU64, 64)])
def test_atomics(atomic, bits):
    a = atomic(bytearray(bits // 8))
    a.store(2**bits - 1)
    assert a.load() == 2**bits - 1
    assert a.cas(1, 2) is False
    assert a.cas(expected=2**bits - 1, new=7) is True
    assert a.load() == 7


@pytest.mark.parametrize("value", [-1, 2**32])
def test_what_32_bits_do_not_hold_is_refused(value):
    a = fastipc.AtomicU32(bytearray(4))
    for call in (lambda: a.store(value), lambda: a.cas(value, 0), lambda: a.cas(0, value)):
        with pytest.raises(OverflowError):
            call()


@pytest.mark.parametrize(
    "kind, size",
    [
        (fastipc.FutexWord, 4),
        (fastipc.AtomicU32, 4),
        (fastipc.AtomicU64, 8),
        (fastipc.Mutex, 64),
        (fastipc.Semaphore, 64),
    ],
)
def test_memory_that_does_not_do(kind, size):
    kind(bytearray(size))
    for small in (b"", bytearray(size - 1), memoryview(bytearray(size + 1))[1:]):
        with pytest.raises((TypeError, ValueError)):
            kind(small)
    with pytest.raises(TypeError):
        kind(bytes(size))
    with pytest.raises(TypeError):
        kind(0)


# ---- mutex ----


@pytest.mark.parametrize("make", MUTEXES)
def test_a_mutex(make):
    mutex = make()
    before = time.time_ns()
    assert mutex.last_acquired_ns() == 0
    assert mutex.acquire() is True
    assert mutex.try_acquire() is False
    assert mutex.acquire_ns(MS, spin=3) is False
    assert mutex.owner_pid() == os.getpid()
    acquired = mutex.last_acquired_ns()
    assert abs(acquired - before) < PATIENCE * 1000 * MS
    assert mutex.last_acquired_ns() == acquired
    for again in (mutex.acquire, mutex.acquire_ns, mutex.__enter__):
        with pytest.raises(RuntimeError):
            again()
    assert mutex.release() is None
    assert mutex.owner_pid() == 0
    with pytest.raises(RuntimeError):
        mutex.release()
    assert mutex.acquire_ns(timeout_ns=0) is True
    mutex.release()
    with mutex as it:
        assert it is mutex
    assert mutex.acquire_ns() is True
    mutex.release()


@pytest.mark.parametrize("make", MUTEXES)
def test_a_second_thread_may_own_it(make):
    mutex = make()
    with mutex:
        assert in_thread(lambda: mutex.acquire_ns(MS)) is False
        assert isinstance(in_thread(mutex.release), RuntimeError)
        waiter = threading.Thread(target=lambda: mutex.acquire() and mutex.release())
        waiter.start()
        await_(lambda: mutex._info().waiters == 1)
    waiter.join(PATIENCE)
    assert mutex.try_acquire() is True
    mutex.release()


@pytest.mark.parametrize("make", MUTEXES)
def test_nobody_is_inside_with_another(make):
    mutex = make()
    inside = entered = 0

    def work():
        nonlocal inside, entered
        for _ in range(300):
            with mutex:
                inside += 1
                time.sleep(0)
                assert inside == 1
                entered += 1
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert entered == 4 * 300


def test_two_objects_of_a_name_are_one_mutex():
    one, two = fastipc.NamedMutex("ledger"), fastipc.NamedMutex("ledger")
    one.acquire()
    assert two.try_acquire() is False
    assert two.try_release() is True
    assert two.try_release() is False


def test_a_dead_owner_is_taken_over_silently(forked):
    mutex = named()
    child = forked(mutex.acquire)
    assert mutex.try_acquire() is False
    assert mutex.owner_pid() == child.pid
    child.kill()
    assert mutex.acquire_ns(PATIENCE * 1000 * MS) is True
    assert mutex.owner_pid() == os.getpid()
    mutex.release()


def test_who_wants_is_told_of_a_death(forked):
    mutex = named()
    told = []
    forked(mutex.acquire).kill()
    mutex.on_owner_death = lambda core: told.append(core.info().state)
    with mutex:
        assert told == ["recovering"]
    mutex.on_owner_death = None
    forked(mutex.acquire).kill()
    with pytest.raises(fipc.OwnerDied):
        mutex.acquire()


def test_force_release_of_what_is_free_mine_or_a_dead_ones(forked):
    for mutex in (in_memory(), named()):
        mutex.force_release()
        mutex.acquire()
        mutex.force_release()
        assert mutex.owner_pid() == 0
    forked(mutex.acquire).kill()
    mutex.force_release()
    assert mutex.try_acquire() is True
    mutex.release()


def test_force_release_ends_the_wait_for_a_living_one(forked):
    mutex, other, late = named(), named(), named()
    child = forked(mutex.acquire)
    waiters = [threading.Thread(target=lambda: mutex.acquire() and mutex.release())]
    waiters.append(threading.Thread(target=lambda: other.acquire() and other.release()))
    for waiter in waiters:
        waiter.start()
    await_(lambda: mutex._info().waiters == 2)
    fastipc.NamedMutex("ledger").force_release()
    for waiter in waiters:
        waiter.join(PATIENCE)
        assert not waiter.is_alive()
    mutex.acquire()
    assert other.owner_pid() == os.getpid()
    assert other.try_acquire() is False
    other.release()
    child.kill()
    assert mutex.try_acquire() and late.try_release()


def test_memory_is_not_taken_away_from_a_living_one():
    mutex = in_memory()
    with mutex:
        assert isinstance(in_thread(mutex.force_release), RuntimeError)
        assert mutex.owner_pid() == os.getpid()


# ---- memory that is let go of ----


@pytest.fixture
def shm():
    memory = shared_memory.SharedMemory(create=True, size=64)
    yield memory
    memory.unlink()


def test_memory_may_be_let_go_of_while_objects_on_it_live(shm):
    word, atomic = fastipc.FutexWord(shm.buf), fastipc.AtomicU64(shm.buf)
    mutex = fastipc.Mutex(shm.buf)
    with mutex:
        assert word.load_acquire() == atomic.load() & 0xFFFFFFFF != 0
    shm.close()
    calls = [word.load_acquire, word.wake, atomic.load, mutex.acquire, mutex.owner_pid]
    for call in [*calls, mutex.release, lambda: repr(mutex), lambda: word.wait(0)]:
        with pytest.raises(ValueError):
            call()


def test_a_semaphore_does_not_pin_its_memory(shm):
    semaphore = fastipc.Semaphore(shm.buf, initial=1)
    semaphore.wait()
    shm.close()
    for call in (semaphore.post, semaphore.post1, semaphore.wait, semaphore.value):
        with pytest.raises(ValueError):
            call()


def test_memory_of_a_held_mutex_stays(shm):
    mutex = fastipc.Mutex(shm.buf)
    mutex.acquire()
    with pytest.raises(BufferError):
        shm.close()
    mutex.release()
    shm.close()


# ---- semaphore ----


def semaphore_in_memory(initial=None):
    return fastipc.Semaphore(bytearray(64), initial)


def named_semaphore(initial=None):
    return fastipc.NamedSemaphore("slots", initial=initial)


SEMAPHORES = [semaphore_in_memory, named_semaphore]


@pytest.mark.parametrize("make", SEMAPHORES)
def test_a_semaphore(make):
    semaphore = make()
    assert semaphore.value() == semaphore.last_pid() == semaphore.last_acquired_ns() == 0
    assert semaphore.wait(False) is False
    assert semaphore.wait(blocking=False, spin=0) is False
    semaphore.post(3)
    semaphore.post(n=0)
    semaphore.post1()
    assert semaphore.value() == 4
    before = time.time_ns()
    assert semaphore.wait() is semaphore.wait(False, spin=0) is semaphore.wait(True, 1) is True
    assert semaphore.last_pid() == os.getpid()
    assert abs(semaphore.last_acquired_ns() - before) < PATIENCE * 1000 * MS
    assert semaphore.value() == 1
    for n in (-1, 2**32, 2**32 - 1):
        with pytest.raises(OverflowError):
            semaphore.post(n)
    assert semaphore.value() == 1


def test_seconds_of_the_one_and_nanoseconds_of_the_other():
    with_name = named_semaphore()
    assert with_name.wait(timeout=0.002) is False
    assert with_name.wait_ns(timeout_ns=MS, spin=5) is False
    assert semaphore_in_memory().wait(timeout_ns=MS) is False


def test_the_other_names_of_wait_and_post():
    semaphore = named_semaphore(1)
    assert semaphore.P() is True
    semaphore.V(2)
    assert semaphore.acquire(timeout=1.0) is True
    semaphore.release()
    assert semaphore.value() == 2


@pytest.mark.parametrize("initial", [-1, 2**32])
@pytest.mark.parametrize("make", SEMAPHORES)
def test_a_number_of_tokens_that_cannot_be(make, initial):
    with pytest.raises((OverflowError, ValueError)):
        make(initial)


def test_initial_counts_when_it_is_made():
    first = named_semaphore(2)
    assert named_semaphore(7).value() == named_semaphore().value() == first.value() == 2


def test_initial_sets_the_tokens_of_one_in_memory():
    memory = bytearray(64)
    assert fastipc.Semaphore(memory, initial=5).value() == 5
    assert fastipc.Semaphore(memory).value() == 5
    assert fastipc.Semaphore(memory, initial=2).value() == 2
    assert fastipc.Semaphore(memory, initial=9, shared=False).value() == 9


@pytest.mark.parametrize("make", SEMAPHORES)
def test_each_of_several_posts_wakes_one(make):
    semaphore = make()
    for _ in range(5):
        answers = []
        threads = [
            threading.Thread(target=lambda: answers.append(semaphore.wait()), daemon=True)
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        await_(lambda: semaphore._info().waiters == 4)
        for _ in threads:
            semaphore.post1()
        for thread in threads:
            thread.join(PATIENCE)
        assert answers == [True] * 4
    assert semaphore.value() == 0


# ---- event ----


def test_an_event():
    event = fastipc.NamedEvent("ready")
    assert event.is_set() is False
    assert event.wait(MS) is False
    assert event.wait(timeout_ns=0) is False
    event.set()
    assert event.wait() is event.wait(0) is event.is_set() is True
    event.clear()
    assert fastipc.NamedEvent("ready").is_set() is False


def test_an_event_wakes_all():
    event = fastipc.NamedEvent("ready")
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(event.wait())) for _ in range(3)]
    for thread in threads:
        thread.start()
    await_(lambda: event._event.info().waiters == 3)
    event.set()
    event.clear()
    for thread in threads:
        thread.join(PATIENCE)
    assert answers == [True] * 3


def test_what_was_opened_by_name_stays_until_the_process_ends():
    fastipc.NamedEvent("ready").set()
    fastipc.NamedSemaphore("slots", initial=3)
    gc.collect()
    assert fastipc.NamedEvent("ready").is_set() is True
    assert fastipc.NamedSemaphore("slots").value() == 3


def test_names_that_are_none():
    for kind in (fastipc.NamedEvent, fastipc.NamedMutex, fastipc.NamedSemaphore):
        for name in ("a/b", "with space", "n" * 201, ""):
            with pytest.raises(ValueError):
                kind(name)


# ---- signals ----


class Interrupted(Exception):
    pass


def raise_interrupted(number, frame):
    signal.setitimer(signal.ITIMER_REAL, 0)
    raise Interrupted


@pytest.mark.parametrize(
    "wait",
    [
        lambda: fastipc.NamedMutex("ledger").acquire(),
        lambda: fastipc.NamedMutex("ledger").acquire_ns(),
        lambda: semaphore_in_memory().wait(),
        lambda: named_semaphore().wait(),
        lambda: fastipc.NamedEvent("ready").wait(),
        lambda: fastipc.FutexWord(bytearray(4)).wait(0),
    ],
)
def test_a_handler_that_raises_as_that_of_ctrl_c_ends_a_wait(wait, forked):
    forked(named().acquire)
    before = signal.signal(signal.SIGALRM, raise_interrupted)
    try:
        with pytest.raises(Interrupted):
            # Again and again: one that comes just before the wait sleeps is heard of with the next.
            signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
            wait()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


# ---- shared memory ----


def is_there(name):
    try:
        fastipc.GuardedSharedMemory(name, 1, attach_only=True).close()
    except fastipc.NoShmFoundError:
        return False
    return True


def test_shared_memory_goes_with_its_last_user(forked):
    with fastipc.GuardedSharedMemory("frame", 100) as ours:
        assert (ours.created, ours.name, ours.size) == (True, "frame", 100)
        assert isinstance(ours.buf, memoryview) and ours.buf is ours.buf
        assert ours.get_num_procs() == 1
        ours.buf[:5] = b"hello"

        def use():
            with pytest.raises(fastipc.NoShmFoundError):
                fastipc.GuardedSharedMemory("another", 100, True)
            theirs = fastipc.GuardedSharedMemory("frame", 10)
            assert (theirs.created, theirs.size) == (False, 100)
            assert theirs.buf[:5] == b"hello"

        child = forked(use)
        await_(lambda: ours.get_num_procs() == 2)
        again = fastipc.GuardedSharedMemory("frame", 1)
        assert ours.get_num_procs() == 2
        again.close()
        assert bytes(ours.buf[:5]) == b"hello"
        child.kill()
        await_(lambda: ours.get_num_procs() == 1)
        assert is_there("frame")
    assert not is_there("frame")
    ours.close()
    with pytest.raises(ValueError):
        ours.buf


def test_a_killed_process_leaves_no_shared_memory(forked):
    forked(lambda: fastipc.GuardedSharedMemory("frame", 100)).kill()
    assert not is_there("frame")


def test_memory_that_is_to_stay_stays_until_somebody_closes_it(forked):
    forked(lambda: fastipc.GuardedSharedMemory("frame", 64, try_cleanup_on_exit=False)).kill()
    last = fastipc.GuardedSharedMemory("frame", 64)
    assert last.created is False
    child = forked(lambda: fastipc.GuardedSharedMemory("frame", 64))
    last.close()
    assert is_there("frame")
    child.kill()
    assert is_there("frame"), "nobody has closed it, then who asks does"
    assert not is_there("frame")


def test_unlink_takes_the_name_away():
    first = fastipc.GuardedSharedMemory("frame", 8)
    first.unlink()
    first.unlink()
    assert fastipc.GuardedSharedMemory("frame", 8).created is True
    first.buf[:2] = b"ok"
    first.close()
    assert is_there("frame")


def test_another_memory_of_the_name_is_left_alone():
    first = fastipc.GuardedSharedMemory("frame", 8)
    fipc.unlink_shared_memory("frame")
    fastipc.GuardedSharedMemory("frame", 8, try_cleanup_on_exit=False).detach()
    first.close()
    assert is_there("frame")


def test_shared_memory_that_cannot_be_had():
    for name, size in (("", 1), ("a/b", 1), ("frame", 0), ("frame", -1)):
        with pytest.raises(ValueError):
            fastipc.GuardedSharedMemory(name, size)
    with fastipc.GuardedSharedMemory("frame", 8, pid_dir="/nowhere", backoff_base=1):
        for attach_only in (False, True):
            with pytest.raises(RuntimeError):
                fastipc.GuardedSharedMemory("frame", 9, attach_only)


@pytest.mark.parametrize("leave", ["detach", "close"])
def test_what_others_look_at_stays(leave):
    memory = fastipc.GuardedSharedMemory("__pyfastipc_queue_x", 8)
    number = ctypes.c_uint64.from_buffer(memory.buf)
    word = fipc.AtomicU64(memory.buf)
    getattr(memory, leave)()
    number.value = 7
    assert word.load() == 7
    with pytest.raises(ValueError):
        memory.buf


def test_a_directory_that_has_no_parent_yet(monkeypatch, fipc_dir):
    monkeypatch.delenv("FIPC_DIR")
    monkeypatch.setenv("FASTIPC_PID_DIR", f"{fipc_dir}/a/b")
    with fastipc.GuardedSharedMemory("frame", 8):
        assert os.path.exists(f"{fipc_dir}/a/b/frame.shm")


def test_cache_lines(monkeypatch):
    assert [fastipc.align_to_cacheline_size(n) for n in (0, 1, 64, 65)] == [0, 64, 64, 128]
    monkeypatch.setenv("CACHE_LINE_SIZE", "128")
    assert fastipc.align_to_cacheline_size(65) == 128


# ---- programs ----


def run(*arguments, fails=False, **how):
    done = subprocess.run(
        [sys.executable, "-m", "fipc.compat.run", *map(str, arguments)],
        **how,
        timeout=PATIENCE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert (done.returncode != 0) == fails, done.stderr
    return done.stderr if fails else done.stdout


UNCHANGED = """
import multiprocessing, os, subprocess, sys
import fastipc._primitives, fastipc.utils
from fastipc import AtomicU64, GuardedSharedMemory, NamedEvent, NamedMutex, NamedSemaphore
from fastipc.guarded_shared_memory import NoShmFoundError
from fastipc.sync.named_mutex import NamedMutex as TheSame
import helper

def work(name):
    shm = GuardedSharedMemory(name, 8, attach_only=True)
    total = AtomicU64(shm.buf)
    for _ in range(50):
        with NamedMutex("ledger"):
            total.store(total.load() + 1)
    NamedSemaphore("done").post()
    shm.close()

if __name__ == "__main__":
    assert TheSame is NamedMutex and fastipc._primitives.AtomicU64 is AtomicU64
    assert fastipc.NoShmFoundError is NoShmFoundError
    done = NamedSemaphore("done", initial=0)
    with GuardedSharedMemory("total", 8) as shm:
        spawn = multiprocessing.get_context("spawn")
        workers = [spawn.Process(target=work, args=("total",)) for _ in range(2)]
        for worker in workers:
            worker.start()
        for worker in workers:
            assert done.wait(timeout=20.0)
            worker.join()
        program = "import fastipc; print(fastipc.NamedSemaphore('done').value())"
        child = subprocess.run([sys.executable, "-c", program], cwd="/", stdout=-1, text=True)
        sys.stdout.write(child.stdout)
        print(int.from_bytes(shm.buf, "little"), sys.argv[1:], __file__ == sys.argv[0])
"""


def test_an_unchanged_program(tmp_path, monkeypatch):
    program = tmp_path / "program.py"
    program.write_text(UNCHANGED)
    (tmp_path / "helper.py").write_text("")
    # fipc is found because it is where we are; the program's children are elsewhere.
    monkeypatch.delenv("PYTHONPATH", raising=False)
    home = pathlib.Path(fipc.__file__).parents[1]
    assert run("fastipc", program, "-x", "y", cwd=home) == "0\n100 ['-x', 'y'] True\n"


def test_what_fipc_has_not_is_the_installed_packages(tmp_path):
    data = tmp_path / "site" / "fastipc" / "data"
    data.mkdir(parents=True)
    (data.parent / "__init__.py").write_text("raise Exception('not this one')")
    (data / "__init__.py").write_text("from fastipc.sync import NamedEvent as it")
    program = tmp_path / "site" / "program.py"
    program.write_text(
        "import fastipc.data, sys\n"
        "import fipc.compat.fastipc.sync as sync\n"
        "assert sys.modules['fastipc.sync'] is sync and fastipc.data.it is sync.NamedEvent\n"
        "assert sync.__name__ == sync.__spec__.name == 'fipc.compat.fastipc.sync'\n"
        "import fastipc.nothing"
    )
    assert "No module named 'fastipc.nothing'" in run("fastipc", program, fails=True)


def test_a_module_is_run_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tool.py").write_text("import sys, fastipc\nprint(fastipc.__name__, sys.argv[1:])")
    assert run("fastipc", "-m", "tool", "-v") == "fipc.compat.fastipc ['-v']\n"


@pytest.mark.parametrize(
    "arguments, says",
    [
        ([], "PACKAGE is one of"),
        (["sysv_ipc", "x.py"], "not sysv_ipc"),
        (["fastipc"], "which program"),
        (["fastipc", "-m"], "which program"),
        (["fastipc", "nowhere.py"], "cannot read nowhere.py"),
    ],
)
def test_what_cannot_be_run(arguments, says, monkeypatch):
    monkeypatch.setattr(sys, "argv", [])
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("PYTHONPATH", os.environ.get("PYTHONPATH", ""))
    with pytest.raises(SystemExit, match=says):
        compat_run.main(arguments)


def test_help(capsys):
    compat_run.main(["--help"])
    assert "PACKAGE is fastipc" in capsys.readouterr().out


EXAMPLES = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_of_the_page(example):
    subprocess.run([sys.executable, "-c", example], timeout=PATIENCE, check=True)
