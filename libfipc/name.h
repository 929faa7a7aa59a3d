/* SPDX-License-Identifier: Apache-2.0 */
/* Names: which are good, and the file that a name leads to. The only place that knows the scheme of the directory. */
#ifndef FIPC_NAME_H
#define FIPC_NAME_H

#include <fipc/registry.h>
#include <stdbool.h>

#define NAME_LONGEST 200
#define ROOT_LONGEST 1000                            /* of the directory's path */
#define FILE_SIZE_MAX 224                            /* <name>.<type> */
#define PATH_SIZE_MAX (ROOT_LONGEST + 1 + FILE_SIZE_MAX)
#define PIDS_SIZE_MAX (PATH_SIZE_MAX + 8)            /* <file>.pids */
#define ENTRY_SIZE_MAX (PIDS_SIZE_MAX + 64)          /* <file>.pids/<pid>.<tracker inode>.<object inode> */

/*
 * What the other files call `file` leads to an object: its bare name, with a descriptor of the directory (collectors, who
 * walk it); or its whole path, with AT_FDCWD (who opens and closes, and is spared two system calls).
 */

#define META_SIZE_MAX 32                             /* .meta.<object inode> */

#define UNFINISHED ".new-" /* how temporary files begin, in the root and among the trackers */

/* Check a name, drop one leading slash, copy it. 0 or -EINVAL. */
int fipc__name_parse(const char *name, char ret[NAME_LONGEST + 1]);

/* A name that nobody has chosen before. */
void fipc__name_random(char ret[NAME_LONGEST + 1]);

/* A temporary file's name, in the directory where `file` is or will be (NULL: bare). */
void fipc__name_unfinished(char ret[PATH_SIZE_MAX], const char *file);

/* The directory where a file is: "." of a bare name. */
void fipc__name_directory(char ret[PATH_SIZE_MAX], const char *file);

void fipc__name_file(char ret[PATH_SIZE_MAX], const char *directory, const char *name, enum fipc_type type);
void fipc__name_pids(char ret[PIDS_SIZE_MAX], const char *file);
void fipc__name_tracker(char ret[PATH_SIZE_MAX], const char *file, const char *tracker);
void fipc__name_entry(char ret[ENTRY_SIZE_MAX], const char *file, uint64_t pid, uint64_t tracker, uint64_t object);

/* The header of an object that has none in its file, and the reverse: false: it is no such name. */
void fipc__name_meta(char ret[META_SIZE_MAX], uint64_t object);
bool fipc__name_of_meta(const char *entry, uint64_t *ret_object);

/* The reverse of fipc__name_file, for a name found in the directory: the type, or -EINVAL; *ret_length is the name's. */
int fipc__name_of_file(const char *file, size_t *ret_length);

/* Does it end in ".pids"? Then *ret_length is what is before it. */
bool fipc__name_is_pids(const char *file, size_t *ret_length);

/* The parts of an entry's own name. False: it is no such name. */
bool fipc__name_of_entry(const char *entry, int32_t *ret_pid, uint64_t *ret_tracker, uint64_t *ret_object);

#endif
