/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FIPC_TLS_H
#define FIPC_TLS_H

#ifdef __GLIBC__
/* A few bytes: few enough that glibc can load the library with dlopen; musl could not. No allocation at first use. */
#define FIPC_TLS _Thread_local __attribute__((tls_model("initial-exec")))
#else
#define FIPC_TLS _Thread_local
#endif

#endif
