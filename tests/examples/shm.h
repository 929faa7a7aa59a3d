/* SPDX-License-Identifier: Apache-2.0 */
#define EXAMPLE_PARAMETERS int r, fipc_shm *shm
