/* The header of a message as bytes, for the two sides of a channel. Private to sys. */
#ifndef SYS_CHAN_WIRE_H
#define SYS_CHAN_WIRE_H

#include "sys/chan.h"

void chan_head_write(char out[CHAN_HEAD], const struct chan_head *h, size_t payload_bytes);
/* `cut`: the kernel had to drop the end of the message. ERR_CORRUPT for that and for a wrong size.
 */
enum err chan_head_read(const char *p, size_t n, bool cut, struct chan_head *h,
                        struct str *payload) MUST_CHECK;

#endif
