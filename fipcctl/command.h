/* SPDX-License-Identifier: Apache-2.0 */
/* A command of the tool is one struct in a file of its own; parsing, help and completion are driven by it. */
#ifndef FIPCCTL_COMMAND_H
#define FIPCCTL_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct column;

struct duration {
	bool given; /* no time at all may be meant */
	int64_t ns;
};

struct settings { /* what the command line said */
	const char *directory, *socket, *columns, *type, *color;
	bool direct, json, no_headings, dry_run, verbose, help, version;
	const char *mode, *file;
	struct duration timeout, held;
	unsigned conflict_status; /* 0: not given */
	bool nonblock, any_owner, yes, deadlock, leaked;
	const char *sort, *state, *user;
	unsigned pid; /* 0: not given */
	struct duration delay;
	unsigned iterations; /* 0: not given */
	bool batch;
	bool dot, stack;
	bool dashes; /* the arguments stand behind "--" */
};

enum option_kind { /* what follows an option, where in struct settings it goes, and what completion offers for it */
	OPTION_FLAG,      /* nothing; a bool */
	OPTION_TEXT,      /* const char *, as all of these: anything */
	OPTION_FILE,      /* a path */
	OPTION_DIRECTORY, /* a path */
	OPTION_COLUMNS,   /* of the command's table */
	OPTION_TYPE,      /* of object */
	OPTION_WORD,      /* one of its words */
	OPTION_NUMBER,    /* unsigned, not 0 */
	OPTION_DURATION,  /* struct duration */
};

struct command_option {
	char letter;      /* 0 none */
	const char *name; /* NULL: the last */
	enum option_kind kind;
	const char *argument; /* in --help; NULL of a flag */
	const char *help;
	size_t offset;     /* in struct settings */
	const char *words; /* with blanks between, of OPTION_WORD */
};

/* Those that several commands take. What else one takes stands in its own file; a letter may mean different things. */
#define TAKES_JSON {0, "json", OPTION_FLAG, NULL, "everything, as JSON", offsetof(struct settings, json), NULL}
#define TAKES_COLUMNS                                                                                                 \
	{'o', "output", OPTION_COLUMNS, "COLUMNS",                                                                    \
	 "these columns, separated by commas; +COLUMNS adds to the usual ones", offsetof(struct settings, columns),   \
	 NULL},                                                                                                       \
	{                                                                                                             \
		0, "no-headings", OPTION_FLAG, NULL, "no line of headings", offsetof(struct settings, no_headings),   \
			NULL                                                                                          \
	}
#define TAKES_TYPE                                                                                                    \
	{'t', "type", OPTION_TYPE, "TYPE", "only objects of this type", offsetof(struct settings, type), NULL}

#define TAKES_COLOR                                                                                                   \
	{0, "color", OPTION_WORD, "WHEN", "in colours: auto (on a terminal, unless $NO_COLOR is set), always, never", \
	 offsetof(struct settings, color), "auto always never"}

enum argument_kind { /* what completion offers for a command's arguments */
	ARGUMENT_OTHER,
	ARGUMENT_OBJECT,
	ARGUMENT_COMMAND, /* an object, then a program and its arguments */
	ARGUMENT_SHELL,   /* that completes */
};

struct command {
	const char *name;
	const char *arguments; /* of the usage line */
	const char *summary;
	const char *text;                     /* of --help, below the summary; NULL none */
	const struct command_option *options; /* besides those that every command takes; NULL none */
	enum argument_kind kind;
	int min_arguments, max_arguments;
	const struct column *columns; /* of its table; the last has no name */
	const char *default_columns;
	int (*run)(const struct command *self, const struct settings *settings, char **arguments); /* an exit status */
};

/* All of them, in the order of --help; NULL is the last. */
extern const struct command *const commands[];

const struct command *command_by_name(const char *name); /* NULL: there is none */

extern const struct command command_list, command_show, command_ps, command_gc, command_top, command_monitor,
	command_completion, command_graph, command_lock, command_revoke, command_unlink, command_check,
	command_metrics, command_doctor;

#endif
