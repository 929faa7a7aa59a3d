# SPDX-License-Identifier: Apache-2.0
# Both libcs: the library and a partner of the tests, built with musl besides. Never sanitized: musl has no runtime.

set(libcs_partner libcs/partner.c support.c)

add_executable(partner ${libcs_partner})
target_link_libraries(partner PRIVATE ${FIPC_LIBRARY})
fipc_save_counters(partner)

set(libcs_definitions PARTNER_GLIBC="$<TARGET_FILE:partner>")
set(libcs_depends partner)

find_program(MUSL_GCC musl-gcc)
if(MUSL_GCC AND NOT CMAKE_CROSSCOMPILING)
	# musl-tools bring no kernel headers: they come last, from where the C library's own are.
	execute_process(COMMAND ${MUSL_GCC} -print-multiarch OUTPUT_VARIABLE multiarch OUTPUT_STRIP_TRAILING_WHITESPACE)
	set(musl_compile ${MUSL_GCC} -std=c11 -O2 -g -Wall -Wextra -D_GNU_SOURCE -fPIC -fvisibility=hidden
		-I${PROJECT_SOURCE_DIR}/include -idirafter /usr/include -idirafter /usr/include/${multiarch})
	if(FIPC_WERROR)
		list(APPEND musl_compile -Werror)
	endif()
	set(musl_library ${CMAKE_CURRENT_BINARY_DIR}/libfipc-musl.so)
	set(musl_partner ${CMAKE_CURRENT_BINARY_DIR}/partner-musl)
	set(map ${PROJECT_SOURCE_DIR}/libfipc/libfipc.map)
	get_target_property(sources fipc_objects SOURCES)
	list(TRANSFORM sources PREPEND ${PROJECT_SOURCE_DIR}/libfipc/)
	list(TRANSFORM libcs_partner PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/)
	file(GLOB headers CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/libfipc/*.h ${PROJECT_SOURCE_DIR}/include/*.h
		${PROJECT_SOURCE_DIR}/include/fipc/*.h)
	add_custom_command(OUTPUT ${musl_library} VERBATIM DEPENDS ${sources} ${headers} ${map}
		COMMAND ${musl_compile} -shared -Wl,--version-script=${map} -Wl,-z,nodelete -Wl,-z,defs
			-o ${musl_library} ${sources})
	add_custom_command(OUTPUT ${musl_partner} VERBATIM
		DEPENDS ${libcs_partner} ${headers} libcs/partner.h support.h ${musl_library}
		COMMAND ${musl_compile} -o ${musl_partner} ${libcs_partner} ${musl_library}
			-Wl,-rpath,${CMAKE_CURRENT_BINARY_DIR})
	add_custom_target(partner_musl DEPENDS ${musl_partner})
	list(APPEND libcs_definitions PARTNER_MUSL="${musl_partner}")
	list(APPEND libcs_depends partner_musl)
endif()

fipc_test(libcs libcs/libcs.c support.c TIMEOUT 120 LABELS nomemcheck DEPENDS ${libcs_depends})
target_compile_definitions(test_libcs PRIVATE ${libcs_definitions})
