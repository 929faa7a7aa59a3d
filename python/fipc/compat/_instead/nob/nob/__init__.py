# SPDX-License-Identifier: Apache-2.0
# nob.ipc is fipc's; its other submodules are those of the package that is installed.
import pkgutil

__path__ = pkgutil.extend_path(__path__, __name__)
