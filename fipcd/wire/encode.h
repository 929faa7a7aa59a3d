/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the registry tells, as JSON: the types Object and Process of io.fipc.Manager. What is not known is absent.
 */
#ifndef FIPC_WIRE_ENCODE_H
#define FIPC_WIRE_ENCODE_H

#include "text.h"
#include "who.h"

#include <fipc/registry.h>

/* The members of an Object, and of its state, a bit for each: nobody need be told what he does not ask for. */
#define OBJECT_WHOLE (~UINT64_C(0))
uint64_t object_member(const char *name); /* or "state.<member>"; 0: there is none of this name */
bool object_tells_who(uint64_t members);  /* do these tell of anything that needs a struct who? */

/* who: knows who has it and who sleeps on it; NULL: that is not told. */
void object_write(struct text *t, const struct fipc_object *object, const char *dir, const struct who *who,
		  uint64_t members);
void process_write(struct text *t, const struct fipc_process *process, const char *dir);

/* The same as trees: a new reference, or NULL, out of memory. */
json_t *fipc_object_to_json(const struct fipc_object *object, const char *dir, const struct who *who,
			    uint64_t members);
json_t *fipc_process_to_json(const struct fipc_process *process, const char *dir);

/* What is asked for beyond a fipc_filter: judged by what would be told of the object. */
struct object_filter {
	const char *state, *reason; /* as in State and Reclaim; NULL: any */
	int pid;                    /* of a process that is attached; 0: any */
};
bool object_is_wanted(const struct fipc_object *object, const struct object_filter *filter);

#endif
