/* SPDX-License-Identifier: Apache-2.0 */
void convert(int file);
#define EXAMPLE_PARAMETERS int file
