/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interfaces that the daemon serves, with the text that describes each; made from the .varlink files at build.
 */
#ifndef FIPCD_INTERFACES_H
#define FIPCD_INTERFACES_H

struct interface {
	const char *name;
	const char *description;
};

extern const struct interface interfaces[]; /* ends with a NULL name */

#endif
