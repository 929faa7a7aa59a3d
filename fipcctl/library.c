/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "library.h"
#include "say.h"
#include "source.h"

#define VARIABLE "FIPC_DIR"

static struct {
	bool entered;
	char *before; /* NULL: it was not set */
} variable;

static int enter(char *directory, const char *before)
{
	variable.before = before ? strdup(before) : NULL;
	variable.entered = true;
	return setenv(VARIABLE, directory, 1) == 0 ? STATUS_DONE : fail("out of memory");
}

int library_enter(const struct settings *settings)
{
	char *directory;
	int r;

	if (!settings->directory)
		return STATUS_DONE;
	directory = absolute_directory(settings->directory);
	if (!directory)
		return fail("cannot find the directory %s: %s", settings->directory, strerror(errno));
	r = enter(directory, getenv(VARIABLE));
	free(directory);
	return r;
}

void library_leave(void)
{
	if (!variable.entered)
		return;
	if (variable.before)
		setenv(VARIABLE, variable.before, 1);
	else
		unsetenv(VARIABLE);
	free(variable.before);
	variable.before = NULL;
	variable.entered = false;
}

const char *library_words(int error)
{
	switch (error) {
	case -EINVAL:
		return "that is no name of an object, or what is there is damaged";
	case -ENOENT:
		return "it is not there; see fipcctl list";
	case -EPERM:
		return "it, or the directory, is another user's";
	case -EXDEV:
		return "it was made in another PID namespace, and can be used only there";
	case -ENOTSUP:
		return "it was made by a version of fipc that this one does not know";
	case -EBUSY:
		return "a process has kept it from being opened and closed for 5 s";
	}
	return strerror(-error);
}
