# SPDX-License-Identifier: Apache-2.0
if(TARGET fipcd)
	fipc_test(wire test_wire.c LIBRARIES fipcwire)
	fipc_test(fipcd test_fipcd.c fipcd_support.c support.c LIBRARIES fipcwire TIMEOUT 120)
	fipc_test(fipcd_users test_fipcd_users.c fipcd_support.c support.c LIBRARIES fipcwire ROOT)
endif()
