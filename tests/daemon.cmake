# SPDX-License-Identifier: Apache-2.0
if(TARGET fipcd)
	fipc_test(wire test_wire.c LIBRARIES fipcwire LABELS emulated)
	fipc_test(fipcd test_fipcd.c fipcd_support.c support.c LIBRARIES fipcwire TIMEOUT 120)
	fipc_test(fipcd_calls test_fipcd_calls.c fipcd_support.c interface_support.c support.c LIBRARIES fipcwire
		LABELS nomemcheck)
	fipc_test(fipcd_monitor test_fipcd_monitor.c fipcd_support.c interface_support.c support.c LIBRARIES fipcwire
		LABELS nomemcheck)
	fipc_test(fipcd_place test_fipcd_place.c fipcd_support.c support.c LIBRARIES fipcwire LABELS nomemcheck)
	fipc_test(fipcd_users test_fipcd_users.c fipcd_support.c support.c LIBRARIES fipcwire ROOT)
	fipc_test(fipcd_hostile test_fipcd_hostile.c fipcd_support.c support.c SERIAL LIBRARIES fipcwire TIMEOUT 120)
	if(TARGET fipcctl) # valgrind knows no futex_waitv
		fipc_test(graph test_graph.c fipcctl_support.c fipcd_support.c interface_support.c
			support.c LIBRARIES fipcwire LABELS nomemcheck)
	endif()
	fipc_test(double_kill sweep/double_kill.c fipcd_support.c support.c LIBRARIES fipcwire LABELS nomemcheck)
	add_custom_command(TARGET soak POST_BUILD COMMAND test_double_kill 60)
endif()
