# SPDX-License-Identifier: Apache-2.0
# Debian wants manual pages and changelogs compressed.
file(GLOB_RECURSE files "${CPACK_TEMPORARY_DIRECTORY}/*.[0-9]" "${CPACK_TEMPORARY_DIRECTORY}/changelog.Debian")
list(FILTER files INCLUDE REGEX "/man/man[0-9]/|/changelog\\.Debian$")
execute_process(COMMAND gzip -9n ${files} COMMAND_ERROR_IS_FATAL ANY)
