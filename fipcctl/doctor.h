/* SPDX-License-Identifier: Apache-2.0 */
/* What doctor examines, and how it says what it finds. */
#ifndef FIPCCTL_DOCTOR_H
#define FIPCCTL_DOCTOR_H

#include <jansson.h>

#include "command.h"

enum health { HEALTH_OK, HEALTH_WARN, HEALTH_FAIL };

struct patient {
	const struct settings *settings;
	char *directory;   /* that names live in */
	bool named;        /* by somebody, on the command line or in the environment */
	bool absent;       /* it is not there, and that has been said */
	json_t *report;    /* so far */
	const char *check; /* what is being examined */
	int error;         /* -ENOMEM */
};

/* Say what was found. cure: how to mend it, NULL if that is for nothing. */
void find_that(struct patient *p, enum health health, const char *cure, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* Each examines one thing, and says what it finds. */
void examine_kernel(struct patient *p);
void examine_remove_ipc(struct patient *p);

#endif
