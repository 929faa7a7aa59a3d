/* SPDX-License-Identifier: Apache-2.0 */
struct config;
void use(const struct config *config);
#define EXAMPLE_PARAMETERS int r, const struct config *config
