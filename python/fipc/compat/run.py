# SPDX-License-Identifier: Apache-2.0
"""Run an unchanged Python program on fipc instead of fastipc, posix_ipc or nob.

    python -m fipc.compat.run PACKAGE program.py [ARGUMENT...]
    python -m fipc.compat.run PACKAGE -m MODULE [ARGUMENT...]

PACKAGE is fastipc, posix_ipc or nob: `import PACKAGE` and its submodules are fipc.compat.PACKAGE,
in the program and in the Python programs that it starts (by PYTHONPATH), multiprocessing's too.
The package itself need not be installed.
"""
import os
import runpy
import sys
from types import CodeType, ModuleType
from typing import List, NoReturn

_INSTEAD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "_instead")
_FOLDERS = {
    "fastipc": ["fastipc"],
    "posix_ipc": ["posix_ipc"],
    "nob": ["nob", "posix_ipc"],  # nob's errors are posix_ipc's
}


def _put_instead(package: str) -> None:
    folders = [os.path.join(_INSTEAD, folder) for folder in _FOLDERS[package]]
    home = os.path.dirname(os.path.dirname(os.path.dirname(_INSTEAD)))
    sys.path[:0] = folders
    if home not in sys.path:  # fipc was found in the folder where we were started
        folders.append(home)
        sys.path.append(home)  # multiprocessing hands this on, and not PYTHONPATH
    # For the programs that it starts.
    os.environ["PYTHONPATH"] = os.pathsep.join(
        folders + os.environ.get("PYTHONPATH", "").split(os.pathsep)
    ).rstrip(os.pathsep)


def _compiled(path: str) -> CodeType:
    try:
        with open(path, "rb") as file:
            return compile(file.read(), path, "exec")
    except OSError as e:
        _usage(f"cannot read {path}: {e.strerror}")


def _run_script(path: str) -> None:
    # As python itself does: the program is the module __main__, and stays so until the end.
    main = ModuleType("__main__")
    main.__file__ = path
    main.__builtins__ = __builtins__  # type: ignore[attr-defined]
    code = _compiled(path)
    sys.modules["__main__"] = main
    exec(code, main.__dict__)


def _usage(message: str) -> NoReturn:
    usage = "usage: python -m fipc.compat.run PACKAGE (program.py | -m MODULE) [ARGUMENT...]"
    sys.exit(f"{message}\n{usage}")


def main(arguments: List[str]) -> None:
    if arguments[:1] in (["-h"], ["--help"]):
        print(__doc__.strip())
        return
    if not arguments or arguments[0] not in _FOLDERS:
        given = f", not {arguments[0]}" if arguments else ""
        _usage(f"PACKAGE is one of {', '.join(_FOLDERS)}{given}")
    package, *program = arguments
    is_module = program[:1] == ["-m"]
    sys.argv = program[is_module:]
    if not sys.argv:
        _usage("which program?")
    # python puts the program's folder first; for us, who are a module, that is the current one.
    if not is_module and not getattr(sys.flags, "safe_path", False):
        sys.path[0] = os.path.dirname(os.path.realpath(sys.argv[0]))
    _put_instead(package)
    if is_module:
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        _run_script(sys.argv[0])


if __name__ == "__main__":
    main(sys.argv[1:])
