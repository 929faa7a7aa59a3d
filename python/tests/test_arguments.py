# SPDX-License-Identifier: Apache-2.0
"""No argument crashes it, and what is wrong is said; and what Python expects of every class."""

import ast
import copy
import gc
import inspect
import itertools
import math
import pickle
import pydoc
import sys
import threading
import warnings
import weakref
from pathlib import Path

import fipc
import pytest
from conftest import await_

NAMED = [
    fipc.Mutex,
    fipc.RWLock,
    fipc.Semaphore,
    fipc.Event,
    fipc.Condition,
    fipc.SharedMemory,
    fipc.MessageQueue,
]
SYNCHRONIZERS = NAMED[:5]
WORDS = [fipc.AtomicU32, fipc.AtomicU64, fipc.Word]
IN_MEMORY = SYNCHRONIZERS + WORDS
TIMES = ["1", b"", [], object(), math.nan, -1, -0.5, -math.inf, 1j, 10**400]


def each_of(kinds):
    return pytest.mark.parametrize("kind", kinds, ids=lambda kind: kind.__name__)


def public(thing):
    return [name for name in dir(thing) if not name.startswith("__")]


# ---- memory ----


@each_of(IN_MEMORY)
def test_memory(kind):
    size = 192 if kind is fipc.RWLock else kind.SIZE
    exact = bytearray(size)
    o = kind(exact)
    assert o.name is None and not o.closed
    with pytest.raises(BufferError):
        exact.append(1)
    o.close()
    o.close()
    exact.append(1)
    for wrong, offset, error in (
        (bytes(512), 0, TypeError),
        (memoryview(bytes(512)), 0, TypeError),
        (bytearray(size - 1), 0, ValueError),
        (bytearray(size), 8, ValueError),
        (bytearray(), 0, ValueError),
        (bytearray(512), -8, ValueError),
        (bytearray(512), 2**70, ValueError),
        (bytearray(512), sys.maxsize, ValueError),
        (bytearray(512), 1, ValueError),
        (bytearray(512), 1.0, TypeError),
        (bytearray(512), "0", TypeError),
        (memoryview(bytearray(1024))[::2], 0, ValueError),
    ):
        with pytest.raises(error):
            kind(wrong, offset=offset)
    for flags in (fipc.CREATE, fipc.EXCL, fipc.OWNED, 1 << 31, -1, 1 << 64, "0", None):
        with pytest.raises((TypeError, ValueError)):
            kind(bytearray(512), flags)
    if kind in SYNCHRONIZERS:
        with pytest.raises(fipc.Invalid):
            kind(bytearray(b"\x55" * 512))
        assert kind(bytearray(b"\x55" * 512), fipc.REPLACE).created
        for method in (kind.unlink, pickle.dumps):
            with pytest.raises((ValueError, TypeError)):
                method(kind(bytearray(512)))
        kind(bytearray(512), fipc.PRIVATE).destroy()


@each_of(WORDS + [fipc.SharedMemory, fipc.MessageQueue])
def test_what_is_not_for_it(kind):
    for wrong in (1, 1.5, object, [], *(["x", None] if kind in WORDS else [bytearray(512)])):
        with pytest.raises(TypeError):
            kind(wrong)


@each_of(NAMED)
def test_open_arguments(kind):
    for args, named in (
        ((), {}),
        (("x", "0"), {}),
        (("x", fipc.CREATE, "0"), {}),
        (("x", fipc.CREATE, -1), {}),
        (("x", fipc.CREATE, 0o1000), {}),
        (("x", 1 << 31), {}),
        (("x", 1 << 64), {}),
        (("x", fipc.CREATE), {"nonsense": 1}),
        (("x", fipc.CREATE, 0o600, 0), {}),
        ((b"x", fipc.CREATE), {}),
        (("\ud800", fipc.CREATE), {}),
    ):
        with pytest.raises((TypeError, ValueError)):
            kind(*args, **named)


def test_particular_arguments():
    for call in (
        lambda: fipc.Semaphore("x", fipc.CREATE, initial=-1),
        lambda: fipc.Semaphore("x", fipc.CREATE, initial=2**32),
        lambda: fipc.RWLock("x", fipc.CREATE, readers=0),
        lambda: fipc.RWLock("x", fipc.CREATE, readers=fipc.READERS_MAX + 1),
        lambda: fipc.SharedMemory("x", fipc.CREATE, size=-1),
        lambda: fipc.SharedMemory("x", fipc.CREATE, size=2**64),
        lambda: fipc.MessageQueue("x", fipc.CREATE, max_messages=0),
        lambda: fipc.MessageQueue("x", fipc.CREATE, max_message_size=1 << 40),
        lambda: fipc.Mutex("x", fipc.CREATE, on_owner_death=1),
        lambda: fipc.Mutex("x", fipc.CREATE, offset=0),
    ):
        with pytest.raises((TypeError, ValueError)):
            call()
    with pytest.raises(OSError):
        fipc.SharedMemory("x", fipc.CREATE, size=sys.maxsize)


# ---- calls ----


def waits():
    m = fipc.Mutex("m", fipc.CREATE)
    c = fipc.Condition("c", fipc.CREATE)
    q = fipc.MessageQueue("q", fipc.CREATE)
    rwlock = fipc.RWLock("l", fipc.CREATE)
    e = fipc.Event("e", fipc.CREATE)
    return [
        m.acquire,
        m.recover,
        fipc.Semaphore("s", fipc.CREATE).acquire,
        rwlock.acquire_read,
        rwlock.acquire_write,
        rwlock.reader,
        rwlock.writer,
        rwlock.recover,
        e.wait,
        lambda **t: fipc.Word(bytearray(4)).wait(0, **t),
        lambda **t: c.wait(m, **t),
        lambda **t: c.wait_for(m, int, **t),
        q.receive,
        lambda **t: q.send(b"", **t),
        lambda **t: fipc.wait_any([e], **t),
    ]


def test_timeouts():
    for wait, time in itertools.product(waits(), TIMES):
        for named in ({"timeout": time}, {"timeout_ns": time}):
            if time == 10**400 and "timeout_ns" in named:
                continue  # for ever
            with pytest.raises((TypeError, ValueError, OverflowError)):
                wait(**named)
    for wait in waits():
        with pytest.raises(TypeError):
            wait(timeout=1, timeout_ns=1)
    m = fipc.Mutex("m", fipc.CREATE)
    for forever in (None, math.inf, 1e300, 2**62):
        assert m.acquire(timeout=forever)
        m.release()
    assert m.acquire(timeout_ns=10**400)
    m.release()
    with pytest.raises(ValueError):
        m.acquire(False, 1)
    with pytest.raises(TypeError):
        m.acquire(True, 1, 1)
    with pytest.raises(TypeError):
        m.acquire(True, block=True)


def everything():
    """An object of each class, open."""
    yield from (kind("x", fipc.CREATE) for kind in NAMED)
    yield from (kind(bytearray(512)) for kind in IN_MEMORY)


ODD = [None, 1, -1, 2**70, "x", b"x", math.nan, [], object(), {}, fipc, fipc.Mutex]


def test_odd_arguments_of_every_method():
    """Whatever they say, they do not crash. What could wait is closed, so that nothing does."""
    for o, close in itertools.product(everything(), (True, False)):
        waiting = {"acquire", "acquire_read", "acquire_write", "wait", "wait_for"}
        waiting |= {"receive", "send", "notify"}
        if close:
            o.close()
        for name in public(o):
            if name in waiting and not close:
                continue
            try:
                attribute = getattr(o, name)
            except (ValueError, OSError):
                continue
            for args in [(), *((a,) for a in ODD), *itertools.product(ODD[:6], ODD[:6])]:
                try:
                    attribute(*args)
                except (TypeError, ValueError, OSError, RuntimeError, BufferError, OverflowError):
                    pass
            for value in ODD:
                try:
                    setattr(o, name, value)
                except (TypeError, ValueError, AttributeError, OSError):
                    pass


@each_of(NAMED + IN_MEMORY)
def test_closed(kind):
    opened = kind("x", fipc.CREATE) if kind in NAMED else kind(bytearray(512))
    opened.close()
    never = kind.__new__(kind)
    for o in (opened, never):
        assert o.closed and o.name is None and "closed" in repr(o)
        o.close()
        for name in "acquire acquire_read release info set load wake receive".split():
            if hasattr(kind, name):
                with pytest.raises(ValueError, match="closed"):
                    getattr(o, name)()
    opened.__init__("y" if kind in NAMED else bytearray(512), fipc.CREATE if kind in NAMED else 0)
    with pytest.raises(ValueError, match="open already"):
        opened.__init__("z", fipc.CREATE)
    assert not opened.closed


def test_closed_by_an_argument():
    """What an argument runs may close the object that it is for."""

    class Closes:
        def __init__(self, victim):
            self.victim = victim

        def __index__(self):
            self.victim.close()
            return 1

        __float__ = __index__

    for make, call in (
        (lambda: fipc.AtomicU64(bytearray(8)), lambda o, x: o.store(x)),
        (lambda: fipc.Word(bytearray(8)), lambda o, x: o.wait(x)),
        (lambda: fipc.Semaphore("s", fipc.CREATE), lambda o, x: o.release(x)),
        (lambda: fipc.Mutex("m", fipc.CREATE), lambda o, x: o.acquire(timeout_ns=x)),
        (lambda: fipc.MessageQueue("q", fipc.CREATE), lambda o, x: o.send(b"", x)),
        (lambda: fipc.SharedMemory("m", fipc.CREATE), lambda o, x: o.resize(x)),
    ):
        o = make()
        with pytest.raises(ValueError):
            call(o, Closes(o))


# ---- classes ----


@each_of(NAMED + IN_MEMORY)
def test_class(kind):
    class Derived(kind):
        def __init__(self, *args, colour="red", **named):
            super().__init__(*args, **named)
            self.colour = colour

    target = ("x", fipc.CREATE) if kind in NAMED else (bytearray(512),)
    o = Derived(*target, colour="blue")
    ref = weakref.ref(o)
    assert ref() is o and o.colour == "blue" and isinstance(o, kind)
    o.itself = o
    del o
    gc.collect()
    assert ref() is None
    with pytest.raises(TypeError):
        kind.__new__()
    common = fipc.Mutex.__bases__[0]
    with pytest.raises(TypeError):
        common.__new__(common)
    with pytest.raises(TypeError):
        kind.__new__(int)


def test_cycles_through_everything():
    class Memory(bytearray):
        pass

    refs = []
    for _ in range(3):
        memory = Memory(512)
        m = fipc.Mutex(memory)
        m.on_owner_death = lambda lock, m=m: None
        memory.mutex = m
        memory.recovery = m.recover()
        refs.append(weakref.ref(memory))
        del m, memory
    gc.collect()
    assert [ref() for ref in refs] == [None] * 3


def test_only_methods_make_context_managers():
    m, lock = fipc.Mutex("m", fipc.CREATE), fipc.RWLock("l", fipc.CREATE)
    for kind in (type(m.recover()), type(lock.reader())):
        with pytest.raises(TypeError):
            kind()
        with pytest.raises(TypeError):
            object.__new__(kind)
    for way_out in (m.recover().__exit__, lock.reader().__exit__, lock.writer().__exit__):
        with pytest.raises(fipc.NotOwner):
            way_out(None, None, None)


def test_dropped_while_held():
    """The memory with the lock inside is not let go of, for the kernel may write there."""
    memory = bytearray(64)
    with pytest.warns(ResourceWarning, match="holds it"):
        m = fipc.Mutex(memory)
        m.acquire()
        del m
    with pytest.raises(BufferError):
        memory.append(1)
    m = fipc.Mutex(memory)
    m.release()
    with pytest.warns(ResourceWarning):
        m = fipc.Mutex("m", fipc.CREATE)
        m.acquire()
        del m
    fipc.Mutex("m").release()
    with pytest.warns(ResourceWarning):
        lock = fipc.RWLock(bytearray(512))
        lock.acquire_read()
        del lock
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        m = fipc.Mutex(bytearray(64))
        threading.Thread(target=m.acquire).start()
        await_(lambda: m.info().state == "died")  # with the thread
        del m


# ---- pickle ----


@each_of(NAMED)
def test_pickle(kind):
    o = kind("x", fipc.CREATE)
    for same in (pickle.loads(pickle.dumps(o)), copy.copy(o), copy.deepcopy(o)):
        assert type(same) is kind and same.name == "x" and not same.created
    data = pickle.dumps(o)
    del o, same
    with pytest.raises(fipc.NotFound):
        pickle.loads(data)


class Derived(fipc.Mutex):
    def __init__(self, name, colour):
        super().__init__(name, fipc.CREATE, on_owner_death=fipc.IGNORE_DEATH)
        self.colour = colour


def test_pickle_of_a_derived_class():
    o = Derived("x", "blue")
    same = pickle.loads(pickle.dumps(o))
    assert (type(same), same.colour, same.on_owner_death) == (Derived, "blue", fipc.IGNORE_DEATH)
    o.on_owner_death = lambda lock: None
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(o)
    look = fipc.Mutex("x", fipc.READONLY)
    with pytest.raises(fipc.AccessDenied):
        pickle.loads(pickle.dumps(look)).acquire()
    look.close()
    with pytest.raises(ValueError):
        pickle.dumps(look)
    info = o.info()
    assert pickle.loads(pickle.dumps(info)) == info
    for wrong in ((), (int, "x", 0, None), (fipc.Mutex, 1, 0, None), (fipc.Mutex, "x", "0", None)):
        with pytest.raises(TypeError):
            fipc._fipc._reopen(*wrong)


# ---- what it says of itself ----


def test_everything_is_documented():
    for name in fipc.__all__:
        thing = getattr(fipc, name)
        if isinstance(thing, int):
            continue
        assert thing.__doc__, name
        if not inspect.isclass(thing) or issubclass(thing, (Exception, tuple)):
            continue
        for method in public(thing):
            if method.isupper() or method == "__reduce__":
                continue
            assert getattr(thing, method).__doc__, f"{name}.{method}"
            if inspect.isroutine(getattr(thing, method)):
                inspect.signature(getattr(thing, method))
        if sys.version_info >= (3, 10):  # before, Python did not look for that of a class in C
            inspect.signature(thing)
    text = pydoc.render_doc(fipc, renderer=pydoc.plaintext)
    assert "NOT held" in text and "recover" in text


def test_stub():
    """What it tells type checkers is what there is."""
    stub = Path(fipc.__file__).with_suffix(".pyi").read_text(encoding="utf-8")
    classes, names = {}, set()
    for node in ast.parse(stub).body:
        if isinstance(node, ast.ClassDef):
            members = set().union(*(classes.get(ast.unparse(base), set()) for base in node.bases))
            for member in node.body:
                if isinstance(member, ast.AnnAssign):
                    members.add(member.target.id)
                elif isinstance(member, ast.FunctionDef):
                    members.add(member.name)
            classes[node.name] = members
            names.add(node.name)
        elif isinstance(node, ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.AnnAssign):
            names.add(node.target.id)
    assert {name for name in names if not name.startswith("_")} == set(fipc.__all__)
    for name in (kind.__name__ for kind in NAMED + WORDS):
        told = {member for member in classes[name] if not member.startswith("__")}
        assert told == set(public(getattr(fipc, name))), name
    for info in (name for name in fipc.__all__ if name.endswith("Info")):
        field = type(fipc.MutexInfo.state)
        fields = {n for n, value in vars(getattr(fipc, info)).items() if type(value) is field}
        assert classes[info] == fields, info


# ---- leaks ----


def round_trip():
    """Everything once, wrong ones too."""
    for kind in NAMED:
        o = kind("x", fipc.CREATE)
        o.info()
        pickle.loads(pickle.dumps(o))
        repr(o)
        for wrong in (("x", fipc.CREATE | fipc.EXCL), ("a/b", fipc.CREATE), (1,), ("x", 0, -1)):
            with pytest.raises((OSError, TypeError, ValueError)):
                kind(*wrong)
        o.close()
    for kind in IN_MEMORY:
        kind(bytearray(512), offset=64).close()
        with pytest.raises(ValueError):
            kind(bytearray(512), offset=3)
    m = fipc.Mutex("m", fipc.CREATE, on_owner_death=fipc.IGNORE_DEATH)
    c = fipc.Condition(bytearray(64))
    with m:
        c.wait(m, 0)
        c.wait_for(m, list, timeout=0)
        with pytest.raises(fipc.Deadlock):
            m.acquire(timeout=1, block=True)
    with m.recover(1) as died:
        assert not died
    lock = fipc.RWLock(bytearray(512))
    with lock.reader():
        pass
    with lock.writer(timeout_ns=10**9):
        pass
    q = fipc.MessageQueue("q", fipc.CREATE)
    q.send(b"x" * 64, priority=2**31)
    q.receive()
    with pytest.raises(fipc.WouldBlock):
        q.receive(False)
    q.notify(lambda: None)
    q.notify(None)
    e = fipc.Event(bytearray(64))
    fipc.wait_any([e], 0)
    shm = fipc.SharedMemory("s", fipc.CREATE, size=64)
    fipc.Mutex(shm)
    shm.buf[0]
    w = fipc.Word(bytearray(4))
    w.wait(0, 0)
    w.value = 2**31
    w.fetch_add(2**30)


def test_leaks():
    """Something kept each time would show each time; Python's own caches are full after a while."""
    kept = [*NAMED, *IN_MEMORY, fipc.IGNORE_DEATH]

    def growth(rounds):
        gc.collect()
        blocks, references = sys.getallocatedblocks(), sum(map(sys.getrefcount, kept))
        for _ in range(rounds):
            round_trip()
        gc.collect()
        return max(
            sys.getallocatedblocks() - blocks, sum(map(sys.getrefcount, kept)) - references
        )

    growths = []
    while not growths or growths[-1] >= 10:
        growths.append(growth(10))
        assert len(growths) < 30, growths
