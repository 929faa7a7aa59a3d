/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where bpftrace, perf and their like can listen (docs/tracing.md): an instruction that does nothing, and a note of
 * where it is; on slow paths only. Without <sys/sdt.h> (Debian: systemtap-sdt-dev) they are nothing at all.
 *
 *	contended    word, expected value, deadline     about to sleep until the word has another value
 *	woken        word, result                       has slept: 0, or a negative errno
 *	owner_died   primitive, its type                the caller has it, and is told that its last owner died
 *	reclaimed    name, type, inode                  an object has been taken away: by fipcd, fipcctl or another collector
 */
#ifndef FIPC_PROBE_H
#define FIPC_PROBE_H

#ifdef __has_include
#if __has_include(<sys/sdt.h>)
#include <sys/sdt.h>
#endif
#endif

#ifdef STAP_PROBE3
#define PROBE2(name, a, b) STAP_PROBE2(fipc, name, a, b)
#define PROBE3(name, a, b, c) STAP_PROBE3(fipc, name, a, b, c)
#else
#define PROBE2(name, a, b) ((void)(a), (void)(b))
#define PROBE3(name, a, b, c) ((void)(a), (void)(b), (void)(c))
#endif

#endif
