# SPDX-License-Identifier: Apache-2.0
# The library: its contract, what becomes of it when processes are killed, and its speed.

foreach(name event wait_any mutex mutex_death revoke named named_hostile named_odd registry sem sem_death)
	fipc_test(${name} test_${name}.c support.c)
endforeach()
foreach(name deadline word shm)
	fipc_test(${name} test_${name}.c support.c LABELS emulated)
endforeach()
fipc_test(cond test_cond.c support.c LABELS nomemcheck) # valgrind knows no futex_waitv
fipc_test(mutex_attach test_mutex_attach.c support.c LABELS nomemcheck) # races, where valgrind runs one thread at a time
fipc_test(hostile test_hostile.c support.c SERIAL) # it makes a storm
fipc_test(named_users test_named_users.c support.c ROOT)
fipc_test(two_users test_two_users.c support.c ROOT)
fipc_test(namespaces test_namespaces.c support.c)
fipc_test(named_neighbours test_named_neighbours.c support.c)
fipc_test(sem_owned test_sem_owned.c support.c LABELS nomemcheck) # valgrind knows no futex_waitv
fipc_test(rwlock test_rwlock.c support.c LABELS nomemcheck) # the same
foreach(name mq mq_notify mq_hostile mq_death) # the same
	fipc_test(${name} test_${name}.c support.c LABELS nomemcheck)
endforeach()
fipc_test(waits test_waits.c support.c LABELS nomemcheck) # valgrind knows no futex_waitv
fipc_test(lookers test_lookers.c support.c LABELS nomemcheck)
fipc_test(root test_root.c support.c STATIC LABELS emulated)
fipc_test(recall test_recall.c support.c STATIC)
fipc_test(crowd test_crowd.c support.c LABELS nomemcheck) # valgrind knows no futex_waitv
fipc_test(one_processor test_one_processor.c support.c LABELS nomemcheck) # where all run on one
fipc_test(thread_end test_thread_end.c support.c LABELS nomemcheck)
fipc_test(two_copies test_two_copies.c support.c STATIC DEPENDS fipc LABELS nomemcheck LIBRARIES ${CMAKE_DL_LIBS})
target_compile_definitions(test_two_copies PRIVATE FIPC_SHARED_PATH="$<TARGET_FILE:fipc>")

# Killed at every instruction or system call. Linked statically and bound at load time: the instructions of the dynamic
# linker are not the subject.
foreach(name cond event wait_any mq mutex name sem sem_owned rwlock unmap waits)
	fipc_test(sweep_${name} sweep/${name}.c sweep/step.c support.c STATIC
		TIMEOUT 600 LABELS sweep nomemcheck nosanitize)
	target_link_options(test_sweep_${name} PRIVATE -Wl,-z,now)
	set_tests_properties(test_sweep_${name} PROPERTIES ENVIRONMENT FIPC_SWEEP_EVERY=10)
	list(APPEND sweeps COMMAND test_sweep_${name})
endforeach()
target_sources(test_sweep_unmap PRIVATE sweep/handover.c)
fipc_test(handover test_handover.c sweep/handover.c support.c LABELS nomemcheck) # valgrind knows no futex_waitv
# The examples of docs/ run, too.
add_executable(io_uring_wait ${PROJECT_SOURCE_DIR}/docs/examples/io_uring_wait.c)
target_link_libraries(io_uring_wait PRIVATE ${FIPC_LIBRARY})
fipc_register(test_io_uring_wait "" "" "" "nomemcheck" ${CMAKE_CROSSCOMPILING_EMULATOR} $<TARGET_FILE:io_uring_wait>)

fipc_test(lost_wakeup sweep/lost_wakeup.c support.c TIMEOUT 120 LABELS nomemcheck)

# Every call that can fail does: those that fault.c stands in for. Not with clang's sanitizers: they are linked into the
# program, and would be stood in for, too.
if(NOT FIPC_SANITIZE OR CMAKE_C_COMPILER_ID STREQUAL "GNU")
	fipc_test(faults test_faults.c fault.c support.c STATIC TIMEOUT 120 LABELS nomemcheck)
	set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS fault.c)
	file(STRINGS fault.c wraps REGEX "^WRAP\\(")
	list(TRANSFORM wraps REPLACE "^WRAP\\([^,]*, ([a-z0-9_]+).*" "-Wl,--wrap=\\1")
	target_link_options(test_faults PRIVATE ${wraps})
endif()

fipc_script_test(probes probes.sh $<TARGET_FILE:fipc> ${PROJECT_SOURCE_DIR}/docs/tracing.md LABELS nomemcheck nosanitize)

# docs/memory-order.md says of each atomic operation why its order is enough. It runs no program of ours.
fipc_register(test_memory_order "" "" "" "nomemcheck;nosanitize" python3 ${CMAKE_CURRENT_SOURCE_DIR}/docs/memory_order.py
	${PROJECT_SOURCE_DIR}/libfipc ${PROJECT_SOURCE_DIR}/docs/memory-order.md)

# Every point, one sweep after the other.
add_custom_target(sweep ${sweeps} USES_TERMINAL)

# Killed by chance: a few seconds here, as long as one likes by `make soak`.
fipc_test(soak sweep/soak.c support.c LABELS nomemcheck)
fipc_test(race sweep/race.c support.c LABELS nomemcheck)
fipc_test(soak_all sweep/soak_all.c support.c TIMEOUT 120 LABELS nomemcheck)
fipc_test(soak_sem_owned sweep/soak_sem_owned.c support.c LABELS nomemcheck)
add_custom_target(soak
	COMMAND test_soak 60
	COMMAND test_race 60
	COMMAND test_soak_all 300
	COMMAND test_soak_sem_owned 60
	USES_TERMINAL)

fipc_script_test(prove prove/quick.sh ${CMAKE_BINARY_DIR} LABELS nomemcheck nosanitize)

add_subdirectory(bench)
if(TARGET fipcd)
	fipc_test(latency bench/latency.c bench/population.c support.c LIBRARIES fipcwire
		TIMEOUT 120 LABELS nomemcheck nosanitize)
	fipc_script_test(bench bench/quick.sh ${CMAKE_BINARY_DIR} TIMEOUT 240 LABELS nomemcheck nosanitize)
	fipc_test(scale test_scale.c bench/population.c fipcd_support.c support.c LIBRARIES fipcwire
		TIMEOUT 120 LABELS nomemcheck nosanitize)
endif()
