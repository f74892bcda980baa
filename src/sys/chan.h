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

/* A new channel: two ends, close-on-exec, with room for many messages of any size. */
enum err chan_pair(int ends[2]) MUST_CHECK;

/* Blocking send/receive of one message (h->size is not looked at: the payload counts). ERR_LIMIT
 * for a payload over CHAN_MAX - CHAN_HEAD, ERR_UNAVAILABLE when every other end is closed.
 * chan_try_send never blocks: ERR_AGAIN when there is no room. chan_recv: payload points into buf;
 * timeout_ms < 0 waits forever; 0 does not wait: ERR_AGAIN on an empty channel (also for a
 * descriptor with O_NONBLOCK); ERR_CORRUPT for a message that lies about its size (it is gone). */
enum err chan_send(int fd, const struct chan_head *h, struct str payload) MUST_CHECK;
enum err chan_try_send(int fd, const struct chan_head *h, struct str payload) MUST_CHECK;
enum err chan_recv(int fd, int timeout_ms, char buf[CHAN_MAX], struct chan_head *h,
                   struct str *payload) MUST_CHECK;

/* --- client side, for many threads over one descriptor ---------------------------------------
 * A reader thread hands answers to the callers; callers block in chan_call. */
struct chan_client;
struct chan_client *chan_client_new(int fd);
void chan_client_free(struct chan_client *c);

/* Sends and waits for the answer; repeats after a CHAN_HELLO. *out is copied into `a`. Returns the
 * answer's status, ERR_TIMEOUT, ERR_LIMIT for a payload too long, or ERR_UNAVAILABLE when the
 * channel is closed. Not from a `done` function: the reader thread would wait for itself. */
enum err chan_call(struct chan_client *c, uint16_t op, struct str payload, int timeout_ms,
                   struct arena *a, struct str *out) MUST_CHECK;

/* The same without blocking and without memory of its own: `done` is called from the reader thread,
 * `answer` is good until it returns. The call struct and the payload stay as they are until then,
 * the caller's again from then on. Used with loop_post by event loops. Fill in done, op and payload
 * (CHAN_MAX - CHAN_HEAD at most: asserted), and until_ms (monotonic, looked at each second: then
 * ERR_TIMEOUT) where it may not wait for ever. */
struct chan_async {
    void (*done)(struct chan_async *c, enum err status, struct str answer);
    uint16_t op;
    struct str payload;
    int64_t until_ms;
    /* The client's own. */
    uint64_t id;
    struct chan_async *next, *prev, *chain;
};
void chan_call_async(struct chan_client *c, struct chan_async *call);

/* --- server side: answers requests from n channels with one thread ---------------------------- */
typedef enum err chan_handler(void *arg, uint16_t op, struct str payload, struct arena *a,
                              struct buf *answer);
/* Sends CHAN_HELLO on each, then serves until *stop becomes non-zero (at once for proc_stopping,
 * within 100 ms for another), or every channel is closed. The returned status and `answer` go back
 * under the request's id; `a` is emptied, and wiped, after each request. A client that does not
 * read its answers is not read from either: it holds up nobody else. */
void chan_serve(const int *fds, size_t n, chan_handler *fn, void *arg, volatile int *stop);

#endif
