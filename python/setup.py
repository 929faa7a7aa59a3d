# SPDX-License-Identifier: Apache-2.0
"""pip install ./python: the extension in C, linked to an installed libfipc.

That is, if pkg-config knows one of this version. Else libfipc's sources, beside this folder, become
part of the extension, and nothing else needs to be installed; FIPC_STATIC=1 asks for that in any
case. Both kinds work together on the same names.
"""

import os
import re
import shlex
import subprocess
from pathlib import Path

from setuptools import Extension, setup

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent


def version():
    """The one of the project, from where it is written down."""
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    return re.search(r"^project\(fipc VERSION ([0-9.]+)", text, re.MULTILINE)[1]


def pkg_config(*arguments):
    """What it prints, as a list; None: it knows no such package, or is not there."""
    command = [os.environ.get("PKG_CONFIG", "pkg-config"), *arguments]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return shlex.split(result.stdout)


def relative(paths):
    return sorted(os.path.relpath(path, HERE) for path in paths)


def extension():
    common = {
        "name": "fipc._fipc",
        "define_macros": [("_GNU_SOURCE", "1"), ("FIPC_PYTHON_VERSION", f'"{version()}"')],
        "depends": relative((HERE / "src").glob("*.h")),
    }
    compile_args = ["-std=c11", "-fvisibility=hidden"]
    sources = relative((HERE / "src").glob("*.c"))
    installed = pkg_config("--exists", f"fipc = {version()}") is not None
    if installed and not os.environ.get("FIPC_STATIC"):
        return Extension(
            sources=sources,
            extra_compile_args=[*compile_args, *pkg_config("--cflags", "fipc")],
            extra_link_args=pkg_config("--libs", "fipc"),
            **common,
        )
    library = ROOT / "libfipc"
    return Extension(
        sources=sources + relative(library.glob("*.c")),
        include_dirs=relative([ROOT / "include"]),
        extra_compile_args=[*compile_args, "-pthread"],
        # nodelete: threads carry a destructor of libfipc's, and the kernel walks its lists.
        extra_link_args=["-pthread", "-Wl,-z,nodelete"],
        **common,
    )


os.chdir(HERE)
setup(version=version(), ext_modules=[extension()])
