/* SPDX-License-Identifier: Apache-2.0 */
/* Journal entries that both fipcd and fipcctl make: found by these. Explained in systemd/fipc.catalog. */
#ifndef FIPC_WIRE_MESSAGE_ID_H
#define FIPC_WIRE_MESSAGE_ID_H

#define MESSAGE_ID_REVOKE "1294e3c03e5842df97c22839b5b082c2"
#define MESSAGE_ID_UNLINK "3a967d450fa841c0b8f970f63f6f0baf"

#endif
