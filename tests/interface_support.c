/* SPDX-License-Identifier: Apache-2.0 */
#include "interface_support.h"
#include "support.h"

#include <stdio.h>
#include <string.h>

static const char *also;

void interface_also(const char *path)
{
	also = path;
}

static size_t read_text(const char *path, char *text, size_t size)
{
	FILE *file = fopen(path, "re");
	size_t n;

	must(file != NULL);
	n = fread(text, 1, size, file);
	must(n > 1000 && n < size);
	fclose(file);
	return n;
}

/* Comments become blanks. */
static char *interface_text(void)
{
	static char text[1 << 16];
	size_t n = read_text(FIPC_TEST_SOURCES "/../fipcd/io.fipc.Manager.varlink", text, sizeof(text));

	if (also)
		n += read_text(also, text + n, sizeof(text) - n);
	text[n] = '\0';
	for (char *comment = text; (comment = strchr(comment, '#'));)
		memset(comment, ' ', strcspn(comment, "\n"));
	return text;
}

/* text: at the opening parenthesis, or before it. */
static void parse_fields(char *text, struct declared *ret)
{
	char *begin = strchr(text, '('), *end, *rest = NULL;

	must(begin != NULL);
	end = strchr(begin, ')');
	must(end != NULL);
	*end = '\0';
	for (char *part = strtok_r(begin + 1, ",", &rest); part; part = strtok_r(NULL, ",", &rest)) {
		struct field *f = &ret->fields[ret->n++];

		must(ret->n < (int)(sizeof(ret->fields) / sizeof(*ret->fields)));
		must_be(sscanf(part, " %39[a-z_]: %39s", f->name, f->type), 2);
	}
}

static char *find(const char *keyword, const char *name, const char *after, struct declared *ret)
{
	char head[80], *at;

	*ret = (struct declared){.n = 0};
	snprintf(ret->name, sizeof(ret->name), "%s", name);
	snprintf(head, sizeof(head), "\n%s %s%s", keyword, name, after);
	at = strstr(interface_text(), head);
	if (!at)
		fprintf(stderr, "not in the interface: %s %s\n", keyword, name);
	must(at != NULL);
	return at;
}

void find_type(const char *name, struct declared *ret)
{
	parse_fields(find("type", name, " (", ret), ret);
}

void find_parameters(const char *method, struct declared *ret)
{
	parse_fields(find("method", method, "(", ret), ret);
}

static void find_reply(const char *method, struct declared *ret)
{
	char *arrow = strstr(find("method", method, "(", ret), "->");

	must(arrow != NULL);
	parse_fields(arrow, ret);
}

int find_field(const struct declared *type, const char *name)
{
	for (int i = 0; i < type->n; i++)
		if (!strcmp(type->fields[i].name, name))
			return i;
	fprintf(stderr, "not declared in %s: %s\n", type->name, name);
	must(!"a declared field");
	return -1;
}

bool next_declared(const char *keyword, int *at, char ret[40])
{
	char head[40];
	const char *text = interface_text(), *found;

	snprintf(head, sizeof(head), "\n%s ", keyword);
	found = strstr(text + *at, head);
	if (!found)
		return false;
	found += strlen(head);
	must_be(sscanf(found, "%39[A-Za-z]", ret), 1);
	*at = (int)(found - text);
	return true;
}

static void must_be_as_declared(const struct declared *type, const json_t *value)
{
	const char *key;
	json_t *member;

	must(json_is_object(value));
	json_object_foreach((json_t *)value, key, member) {
		const char *declared = type->fields[find_field(type, key)].type;

		must_be_of(declared + (*declared == '?'), member);
	}
	for (int i = 0; i < type->n; i++)
		must(*type->fields[i].type == '?' || json_object_get(value, type->fields[i].name));
}

void must_be_reply(const char *method, const json_t *parameters)
{
	struct declared reply;

	find_reply(method, &reply);
	must_be_as_declared(&reply, parameters);
}

static void must_be_struct(const char *name, const json_t *value)
{
	struct declared type;

	find_type(name, &type);
	must_be_as_declared(&type, value);
}

void must_be_of(const char *type, const json_t *value)
{
	const json_t *item;
	const char *key;
	json_t *member;
	size_t i;

	if (!strncmp(type, "[]", 2)) {
		must(json_is_array(value));
		json_array_foreach(value, i, item)
			must_be_of(type + 2, item);
	} else if (!strncmp(type, "[string]", 8)) {
		must(json_is_object(value));
		json_object_foreach((json_t *)value, key, member)
			must_be_of(type + 8, member);
	} else if (!strcmp(type, "int")) {
		must(json_is_integer(value));
	} else if (!strcmp(type, "string")) {
		must(json_is_string(value));
	} else if (!strcmp(type, "bool")) {
		must(json_is_boolean(value));
	} else {
		must_be_struct(type, value);
	}
}
