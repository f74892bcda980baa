/* Messages between processes: one SOCK_SEQPACKET pair per channel. The supervisor makes every
 * channel before it starts anybody and keeps both ends open, so that a process that died finds the
 * same channel again when it is restarted, and its peers never see an end of file: they only lose
 * the requests that were under way, and send those again (see chan_call).
 *
 * A message: 16 bytes of header {u32 size, u16 op, u16 status, u64 id}, then the payload. Sizes
 * include the header. Little-endian. A process that (re)starts sends CHAN_HELLO on each of its
 * serving channels; a client that receives it re-sends what it still waits for. So every operation
 * must be safe to repeat under the same id. */
#ifndef SYS_CHAN_H
#define SYS_CHAN_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "sys/loop.h"

enum { CHAN_MAX = 128 * 1024, CHAN_HEAD = 16, CHAN_HELLO = 1 /* op; services start at 16 */ };

struct chan_head {
    uint32_t size;
    uint16_t op, status; /* status: enum err in answers, 0 in requests */
    uint64_t id;
};

/* Blocking send/receive of one message. chan_recv: payload points into buf; ERR_AGAIN on a
 * non-blocking channel that is empty; timeout_ms < 0 waits forever. */
enum err chan_send(int fd, const struct chan_head *h, struct str payload) MUST_CHECK;
enum err chan_recv(int fd, int timeout_ms, char buf[CHAN_MAX], struct chan_head *h,
                   struct str *payload) MUST_CHECK;

/* --- client side, for many threads over one descriptor ---------------------------------------
 * A reader thread hands answers to the callers; callers block in chan_call. */
struct chan_client;
struct chan_client *chan_client_new(int fd);
void chan_client_free(struct chan_client *c);

/* Sends and waits for the answer; repeats after a CHAN_HELLO. *out is copied into `a`. Returns the
 * answer's status, or ERR_TIMEOUT. */
enum err chan_call(struct chan_client *c, uint16_t op, struct str payload, int timeout_ms,
                   struct arena *a, struct str *out) MUST_CHECK;

/* The same without blocking: `done` is called from the reader thread. The call struct and the
 * payload stay the caller's until then. Used with loop_post by event loops. */
struct chan_async {
    void (*done)(struct chan_async *c, enum err status, struct str answer);
    struct chan_async *next;
    uint64_t id;
    uint16_t op;
    struct str payload;
};
void chan_call_async(struct chan_client *c, struct chan_async *call);

/* --- server side: answers requests from n channels with one thread ---------------------------- */
typedef enum err chan_handler(void *arg, uint16_t op, struct str payload, struct arena *a,
                              struct buf *answer);
/* Sends CHAN_HELLO on each, then serves until *stop becomes non-zero. */
void chan_serve(const int *fds, size_t n, chan_handler *fn, void *arg, volatile int *stop);

#endif
