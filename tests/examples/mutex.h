/* SPDX-License-Identifier: Apache-2.0 */
struct pair;
#define EXAMPLE_PARAMETERS struct pair *p
