# SPDX-License-Identifier: Apache-2.0
# The library: its contract, what becomes of it when processes are killed, and its speed.

foreach(name deadline word mutex mutex_death mutex_attach revoke named named_hostile registry)
	fipc_test(${name} test_${name}.c support.c)
endforeach()
fipc_test(named_users test_named_users.c support.c ROOT)
fipc_test(named_neighbours test_named_neighbours.c support.c)
fipc_test(lookers test_lookers.c support.c LABELS nomemcheck)
fipc_test(thread_end test_thread_end.c support.c LABELS nomemcheck)
fipc_test(two_copies test_two_copies.c support.c STATIC DEPENDS fipc LABELS nomemcheck LIBRARIES ${CMAKE_DL_LIBS})
target_compile_definitions(test_two_copies PRIVATE FIPC_SHARED_PATH="$<TARGET_FILE:fipc>")

# Killed at every instruction or system call. Linked statically and bound at load time: the instructions of the dynamic
# linker are not the subject.
foreach(name mutex name)
	fipc_test(sweep_${name} sweep/${name}.c sweep/step.c support.c STATIC
		TIMEOUT 300 LABELS sweep nomemcheck nosanitize)
	target_link_options(test_sweep_${name} PRIVATE -Wl,-z,now)
endforeach()
fipc_test(lost_wakeup sweep/lost_wakeup.c support.c TIMEOUT 120 LABELS nomemcheck)

# Killed by chance: a few seconds here, as long as one likes by `make soak`.
fipc_test(soak sweep/soak.c support.c LABELS nomemcheck)
fipc_test(race sweep/race.c support.c LABELS nomemcheck)
add_custom_target(soak
	COMMAND test_soak 60
	COMMAND test_race 60
	USES_TERMINAL)

add_subdirectory(bench)
if(TARGET fipcd)
	fipc_test(latency bench/latency.c support.c TIMEOUT 120 LABELS nomemcheck nosanitize)
endif()
