# SPDX-License-Identifier: Apache-2.0
# The Python package: its pytest files, each a test, whose cases are counted (python/tests/conftest.py); and a run under
# valgrind.
set(tests ${PROJECT_SOURCE_DIR}/python/tests)
add_executable(fipc_python_peer ${tests}/peer.c)
target_link_libraries(fipc_python_peer PRIVATE fipc)
set(python ${CMAKE_COMMAND} -E env PYTHONPATH=${PROJECT_BINARY_DIR}/python
	FIPC_TEST_PEER=$<TARGET_FILE:fipc_python_peer>)
if(TARGET fipcctl)
	list(APPEND python FIPCCTL_PATH=$<TARGET_FILE:fipcctl>)
endif()

file(GLOB files CONFIGURE_DEPENDS ${tests}/test_*.py)
foreach(file ${files})
	cmake_path(GET file STEM name)
	string(REGEX REPLACE "^test_" "" name ${name})
	# -B, no:cacheprovider: nothing is written beside the sources.
	fipc_register(test_python_${name} "" "" 240 "nosanitize;nomemcheck"
		${python} ${Python3_EXECUTABLE} -B -m pytest -q -p no:cacheprovider ${file})
endforeach()

if(FIPC_MEMCHECK)
	# Each of Python's blocks from malloc, so that valgrind sees it. Leaks are test_arguments.py's.
	fipc_register(test_python_memcheck "" "" "" "nosanitize" ${python} PYTHONMALLOC=malloc
		${VALGRIND} -q --vgdb=no --error-exitcode=99 --suppressions=${PROJECT_SOURCE_DIR}/tests/valgrind.supp
		${Python3_EXECUTABLE} -B ${tests}/memcheck.py)
endif()

# What pip makes of it. It compiles a tree of its own, so once is enough.
fipc_script_test(python_pip install/python.sh ${Python3_EXECUTABLE} $<TARGET_FILE_DIR:fipc>
	${PROJECT_BINARY_DIR}/packaging TIMEOUT 600 LABELS nosanitize nomemcheck)
