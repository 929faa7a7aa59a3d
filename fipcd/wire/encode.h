/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the registry tells, as JSON: the types Object and Process of io.fipc.Manager. What is not known is absent.
 */
#ifndef FIPC_WIRE_ENCODE_H
#define FIPC_WIRE_ENCODE_H

#include <fipc/registry.h>
#include <jansson.h>

/* A new reference, or NULL: out of memory. */
json_t *fipc_object_to_json(const struct fipc_object *object, const char *dir);
json_t *fipc_process_to_json(const struct fipc_process *process, const char *dir);

#endif
