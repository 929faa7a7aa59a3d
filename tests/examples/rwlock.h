/* SPDX-License-Identifier: Apache-2.0 */
struct place;
#define EXAMPLE_PARAMETERS fipc_rwlock *l, struct place *p
