# SPDX-License-Identifier: Apache-2.0
"""fastipc is fipc.compat.fastipc, and so are its submodules: the same module objects, not copies.

Submodules that fipc has none of (data, nptree) are those of the fastipc that is installed, if any.
"""
import importlib
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec

_HERE = __file__.rpartition("/")[0]


class _Submodules(MetaPathFinder, Loader):
    def find_spec(self, name, path=None, target=None):
        if not name.startswith("fastipc."):
            return None
        if find_spec("fipc.compat." + name):
            return ModuleSpec(name, self)
        installed = PathFinder.find_spec("fastipc", [p for p in sys.path if p != _HERE])
        return installed and PathFinder.find_spec(name, installed.submodule_search_locations)

    def create_module(self, spec):
        module = importlib.import_module("fipc.compat." + spec.name)
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module):
        # The import system has given it the other name's.
        module.__spec__ = module.__spec__.loader_state


sys.meta_path.insert(0, _Submodules())
sys.modules[__name__] = importlib.import_module("fipc.compat.fastipc")
