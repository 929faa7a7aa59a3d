/* SPDX-License-Identifier: Apache-2.0 */
/* What the fuzz targets share: a directory of their own, and a check that is seen by libFuzzer. */
#ifndef FIPC_TESTS_FUZZ_H
#define FIPC_TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* As libFuzzer, or replay.c, calls them. */
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define fuzz_must(condition)                                                                                          \
	do {                                                                                                          \
		if (!(condition)) {                                                                                   \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                       \
			abort();                                                                                      \
		}                                                                                                     \
	} while (0)

/* Made at the first call, named by FIPC_DIR, and removed at the end. */
const char *fuzz_directory(void);

/* Remove all that is in it. */
void fuzz_empty_directory(void);

#endif
