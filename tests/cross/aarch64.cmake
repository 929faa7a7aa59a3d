# SPDX-License-Identifier: Apache-2.0
# A tool chain: cross-compiling for 64-bit ARM, with Debian's gcc-aarch64-linux-gnu. FIPC_SYSROOT: where that machine's
# libraries and headers lie (run.sh makes one). Its programs run here under qemu-user, if that is installed.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)

list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES FIPC_SYSROOT)
set(CMAKE_SYSROOT "${FIPC_SYSROOT}")
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(ENV{PKG_CONFIG_SYSROOT_DIR} "${FIPC_SYSROOT}")
set(ENV{PKG_CONFIG_LIBDIR} "${FIPC_SYSROOT}/usr/lib/aarch64-linux-gnu/pkgconfig:${FIPC_SYSROOT}/usr/share/pkgconfig")

find_program(FIPC_QEMU NAMES qemu-aarch64-static qemu-aarch64)
if(FIPC_QEMU)
	set(CMAKE_CROSSCOMPILING_EMULATOR ${FIPC_QEMU} -L ${FIPC_SYSROOT})
endif()
