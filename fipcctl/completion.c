/* SPDX-License-Identifier: Apache-2.0 */
/* What a shell may offer for each word of a command line, printed for that shell from the tables that parse the line.
 */
#include <fipc/registry.h>
#include <stdio.h>
#include <string.h>

#include "column.h"
#include "command.h"
#include "options.h"
#include "say.h"

/*
 * Names come from other users. Those that the library would refuse are not offered, and none of them is given to what
 * expands its words, as compgen -W.
 */
static const char functions[] =
	"_fipcctl_objects() # DIRECTORY-OPTION...\n"
	"{\n"
	"	local name\n"
	"	while read -r name; do\n"
	"		[[ $name =~ ^[A-Za-z0-9._-]+$ && $name == \"$cur\"* ]] && COMPREPLY+=(\"$name\")\n"
	"	done < <(\"$program\" list \"$@\" -o NAME --no-headings 2>/dev/null </dev/null)\n"
	"}\n"
	"\n"
	"_fipcctl_columns()\n"
	"{\n"
	"	local before=\n"
	"	[[ $cur == +* ]] && before=+\n"
	"	[[ $cur == *,* ]] && before=${cur%,*},\n"
	"	mapfile -t COMPREPLY < <(compgen -P \"$before\" -W \"$words\" -- \"${cur#\"$before\"}\")\n"
	"	compopt -o nospace 2>/dev/null\n"
	"}\n"
	"\n"
	"_fipcctl_offer()\n"
	"{\n"
	"	case $kind in\n"
	"	words) mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\") ;;\n"
	"	columns) _fipcctl_columns ;;\n"
	"	object) _fipcctl_objects \"${where[@]}\" ;;\n"
	"	program) mapfile -t COMPREPLY < <(compgen -c -- \"$cur\") ;;\n"
	"	file | directory)\n"
	"		mapfile -t COMPREPLY < <(compgen -A \"$kind\" -- \"$cur\")\n"
	"		compopt -o filenames 2>/dev/null\n"
	"		;;\n"
	"	esac\n"
	"}\n"
	"\n"
	"_fipcctl()\n"
	"{\n"
	"	local program=$1 cur=${COMP_WORDS[COMP_CWORD]} command= value= only= n=0 where=() kind words most "
	"options i word\n"
	"	COMPREPLY=()\n"
	"	for ((i = 1; i < COMP_CWORD; i++)); do\n"
	"		word=${COMP_WORDS[i]}\n"
	"		if [[ $value ]]; then\n"
	"			[[ $word == = ]] && continue # of --dir=DIR three words are made\n"
	"			[[ $value == --dir || $value == --socket ]] && where+=(\"$value\" "
	"\"${word/#~\\//$HOME/}\")\n"
	"			value=\n"
	"		elif [[ ! $only && $word == -- ]]; then\n"
	"			only=arguments\n"
	"		elif [[ ! $only && $word == -* ]]; then\n"
	"			_fipcctl_describe \"$command\" \"$word\"\n"
	"			[[ $kind ]] && value=$word\n"
	"			[[ $word == --direct ]] && where+=(\"$word\")\n"
	"		elif [[ $command ]]; then\n"
	"			((n++))\n"
	"		else\n"
	"			command=$word\n"
	"		fi\n"
	"	done\n"
	"	[[ $cur == = ]] && cur=\n"
	"	_fipcctl_describe \"$command\" \"$value\"\n"
	"	if [[ ! $value ]]; then\n"
	"		if [[ ! $only && $cur == -* ]]; then\n"
	"			kind=words words=$options\n"
	"		elif ((n >= most)); then\n"
	"			return\n"
	"		elif [[ $kind == command ]]; then\n"
	"			case $n in 0) kind=object ;; 1) kind=program ;; *) kind=file ;; esac\n"
	"		fi\n"
	"	fi\n"
	"	_fipcctl_offer\n"
	"}\n"
	"\n"
	"complete -F _fipcctl fipcctl\n";

static const char *kind_of_value(enum option_kind kind)
{
	static const char *const kinds[] = {
		[OPTION_TEXT] = "text",       [OPTION_FILE] = "file",     [OPTION_DIRECTORY] = "directory",
		[OPTION_COLUMNS] = "columns", [OPTION_TYPE] = "words",    [OPTION_WORD] = "words",
		[OPTION_NUMBER] = "text",     [OPTION_DURATION] = "text",
	};

	return kinds[kind];
}

static const char *kind_of_argument(enum argument_kind kind)
{
	static const char *const kinds[] = {
		[ARGUMENT_OTHER] = "text",
		[ARGUMENT_OBJECT] = "object",
		[ARGUMENT_COMMAND] = "command",
		[ARGUMENT_SHELL] = "words",
	};

	return kinds[kind];
}

static void print_columns(const struct column *columns)
{
	for (const struct column *c = columns; c && c->name; c++)
		printf("%s ", c->name);
}

static void print_types(void)
{
	for (int i = 1; fipc_type_name((enum fipc_type)i); i++)
		printf("%s ", fipc_type_name((enum fipc_type)i));
}

static void print_names(const struct command_option *o)
{
	for (; o && o->name; o++)
		if (o->letter)
			printf("-%c --%s ", o->letter, o->name);
		else
			printf("--%s ", o->name);
}

/* What may follow each option that something has to follow. */
static void print_values(const char *command, const struct column *columns, const struct command_option *o)
{
	for (; o && o->name; o++) {
		if (o->kind == OPTION_FLAG)
			continue;
		printf("	'%s --%s'", command, o->name);
		if (o->letter)
			printf(" | '%s -%c'", command, o->letter);
		printf(") kind=%s words='", kind_of_value(o->kind));
		if (o->kind == OPTION_COLUMNS)
			print_columns(columns);
		else if (o->kind == OPTION_TYPE)
			print_types();
		else if (o->words)
			printf("%s", o->words);
		puts("' ;;");
	}
}

static void print_command(const struct command *c)
{
	printf("	'%s ') kind=%s most=%d words='%s' options='", c->name, kind_of_argument(c->kind),
	       c->max_arguments, c->kind == ARGUMENT_SHELL ? "bash" : "");
	print_names(c->options);
	print_names(common_options);
	puts("' ;;");
	print_values(c->name, c->columns, c->options);
	print_values(c->name, NULL, common_options);
}

/* Before there is a command. */
static void print_beginning(void)
{
	printf("	' ') kind=words most=1 words='");
	for (const struct command *const *c = commands; *c; c++)
		printf("%s ", (*c)->name);
	printf("' options='");
	print_names(common_options);
	puts("' ;;");
	print_values("", NULL, common_options);
}

static int run(const struct command *self, const struct settings *settings, char **arguments)
{
	(void)self, (void)settings;
	if (strcmp(arguments[0], "bash") != 0)
		return misuse("completion: there is none for '%s'; there is one for bash", arguments[0]);
	puts("# bash completion of fipcctl, printed by `fipcctl completion bash`\n\n"
	     "_fipcctl_describe() # COMMAND [OPTION]\n{\n"
	     "	kind= words= most=0 options=\n	case \"$1 $2\" in");
	print_beginning();
	for (const struct command *const *c = commands; *c; c++)
		print_command(*c);
	puts("	esac\n}\n");
	fputs(functions, stdout);
	return STATUS_DONE;
}

const struct command command_completion = {
	.name = "completion",
	.arguments = "bash",
	.summary = "what bash evaluates to complete command lines",
	.text = "The package has put it in place. By hand: eval \"$(fipcctl completion bash)\"",
	.kind = ARGUMENT_SHELL,
	.min_arguments = 1,
	.max_arguments = 1,
	.run = run,
};
