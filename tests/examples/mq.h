/* SPDX-License-Identifier: Apache-2.0 */
struct job;
void print_pages(const struct job *job);
#define EXAMPLE_PARAMETERS struct job job
