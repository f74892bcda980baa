/* How many entries a second the journal makes durable, through the boundary between processes as
 * the gateway crosses it, and what one fdatasync per entry would do on the same disk.
 *
 *   journal -f FOLDER -d SECONDS [-o OUTSTANDING] [-r RATE]     the journal: its process and keys
 *   journal -f FOLDER -d SECONDS -p                             the peer
 *
 * The processes of the journal stay on the core this was started on (taskset -c 0); the sender
 * moves to core 1. An answer counts when its entry is durable. One line of JSON is printed. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/rand.h"
#include "crypto/keys.h"
#include "journal/journal.h"

enum { OUTSTANDING_MAX = 8192, HIST_MAX = 200000, LEAF = 300, TICK_MS = 1 };

static struct {
    const char *folder;
    double seconds, rate;
    int outstanding;
    bool peer;
} opt = {.seconds = 4, .outstanding = 2048};

static struct call {
    struct journal_call head; /* first: `done` gets its address */
    int64_t due_us;
} calls[OUTSTANDING_MAX];
static struct call *idle[OUTSTANDING_MAX];
static int n_idle;
static uint32_t hist[HIST_MAX]; /* by 10 us */
static uint64_t n_done, n_failed;
static int64_t start_us, count_us, end_us, next_us;
static struct journal_async *client;
static struct loop *loop;
static struct loop_timer tick_timer;
static struct buf leaf;

/* ---- the sender ----------------------------------------------------------------------------- */
static void send_one(int64_t due_us);

static void on_done(struct journal_call *head, enum err e, uint64_t index)
{
    struct call *c = (struct call *)head;
    int64_t now_us = clock_mono_us();
    (void)index;
    idle[n_idle++] = c;
    if (now_us >= count_us && now_us < end_us) {
        int64_t row = (now_us - c->due_us) / 10;
        hist[row < HIST_MAX ? row : HIST_MAX - 1]++;
        n_done += e == ERR_OK;
        n_failed += e != ERR_OK;
    }
    if (opt.rate == 0 && now_us < end_us)
        send_one(now_us);
}

static void send_one(int64_t due_us)
{
    char id[ID_LEN + 1];
    struct journal_entry entry;
    struct call *c = idle[--n_idle];
    id_new(id);
    journal_entry_start(&entry, &leaf, id, clock_now_ms(), "bench.entry", NULL);
    journal_entry_str(&entry, "contract", STR("01JD0000000000000000000000"));
    journal_entry_str(&entry, "client", STR("bench"));
    journal_entry_str(&entry, "trace", STR("4bf92f3577b34da6a3ce929d0e0e4736"));
    journal_entry_subject(&entry, STR("01JD1111111111111111111111"));
    if (journal_entry_end(&entry) != ERR_OK)
        abort();
    struct journal_record record = {.id = str_of(id, ID_LEN), .leaf = buf_str(&leaf)};
    c->head.done = on_done;
    c->due_us = due_us;
    if (journal_append_async(client, &record, &c->head) != ERR_OK) {
        n_failed++;
        idle[n_idle++] = c;
    }
}

static void tick(struct loop_timer *t)
{
    int64_t now_us = clock_mono_us();
    if (now_us >= end_us) {
        loop_stop(loop);
        return;
    }
    if (opt.rate == 0)
        while (n_idle > 0)
            send_one(now_us);
    for (; opt.rate > 0 && next_us <= now_us && n_idle > 0;
         next_us += (int64_t)(1000000 / opt.rate))
        send_one(next_us);
    loop_timer_set(loop, t, TICK_MS);
}

static void after_turn(void *arg)
{
    (void)arg;
    journal_flush(client);
}

static double percentile_us(double p)
{
    uint64_t total = 0, seen = 0;
    for (size_t i = 0; i < HIST_MAX; i++)
        total += hist[i];
    for (size_t i = 0; i < HIST_MAX; i++)
        if ((double)(seen += hist[i]) >= p * (double)total)
            return (double)i * 10;
    return 0;
}

static int sender_main(struct proc *self, void *arg)
{
    cpu_set_t other;
    (void)arg;
    CPU_ZERO(&other);
    CPU_SET(1, &other);
    sched_setaffinity(0, sizeof other, &other); /* one core only: then they share it */
    buf_init(&leaf, JOURNAL_LEAF_MAX);
    for (int i = 0; i < opt.outstanding; i++)
        idle[n_idle++] = &calls[i];
    loop = loop_new();
    client = journal_async_connect(proc_fd(self, "journal"), loop);
    loop_set_after_turn(loop, after_turn, NULL);
    proc_ready(self);
    start_us = next_us = clock_mono_us();
    count_us = start_us + 500000;
    end_us = count_us + (int64_t)(opt.seconds * 1e6);
    tick_timer.fn = tick;
    loop_timer_set(loop, &tick_timer, 0);
    loop_run(loop);
    printf("{\"entries\":%llu,\"failed\":%llu,\"rate\":%.1f,\"p50_us\":%.0f,\"p99_us\":%.0f}\n",
           (unsigned long long)n_done, (unsigned long long)n_failed, (double)n_done / opt.seconds,
           percentile_us(0.5), percentile_us(0.99));
    fflush(stdout);
    kill(getppid(), SIGTERM);
    while (!proc_stopping)
        usleep(1000);
    return 0;
}

static int journal_run(void)
{
    static char keys_folder[4096], journal_folder[4096];
    snprintf(keys_folder, sizeof keys_folder, "%s/keys", opt.folder);
    snprintf(journal_folder, sizeof journal_folder, "%s/journal", opt.folder);
    struct keys_conf keys_conf = {.folder = keys_folder};
    struct journal_conf journal_conf = {.folder = journal_folder, .origin = "bench/journal"};
    struct proc_plan *plan = proc_plan_new();
    size_t keys_at = proc_plan_add(plan, &(struct proc_spec){"keys", keys_main, &keys_conf});
    size_t journal_at =
        proc_plan_add(plan, &(struct proc_spec){"journal", journal_main, &journal_conf});
    size_t sender_at = proc_plan_add(plan, &(struct proc_spec){"sender", sender_main, NULL});
    proc_plan_channel(plan, journal_at, keys_at, "keys");
    proc_plan_channel(plan, sender_at, journal_at, "journal");
    return proc_supervise(plan, NULL, NULL);
}

/* ---- the peer: one entry, one fdatasync
 * ------------------------------------------------------------ */
static int peer_run(void)
{
    static char path[4096], entry[LEAF];
    enum { ROOM = 64 << 20 };
    uint64_t n = 0;
    snprintf(path, sizeof path, "%s/peer", opt.folder);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || posix_fallocate(fd, 0, ROOM) != 0)
        return 1;
    for (off_t at = 0; at < ROOM; at += 1 << 16) { /* written once: no metadata in the measure */
        static char zero[1 << 16];
        if (pwrite(fd, zero, sizeof zero, at) < 0)
            return 1;
    }
    fsync(fd);
    memset(entry, 'x', sizeof entry);
    int64_t end = clock_mono_us() + (int64_t)(opt.seconds * 1e6);
    while (clock_mono_us() < end) {
        if (pwrite(fd, entry, LEAF, (off_t)(n * LEAF % (ROOM - LEAF))) != LEAF ||
            fdatasync(fd) != 0)
            return 1;
        n++;
    }
    close(fd);
    unlink(path);
    printf("{\"entries\":%llu,\"rate\":%.1f}\n", (unsigned long long)n, (double)n / opt.seconds);
    return 0;
}

int main(int argc, char **argv)
{
    int o;
    proc_title_init(argc, argv);
    while ((o = getopt(argc, argv, "f:d:o:r:p")) != -1) {
        switch (o) {
        case 'f':
            opt.folder = optarg;
            break;
        case 'd':
            opt.seconds = strtod(optarg, NULL);
            break;
        case 'o':
            opt.outstanding = (int)strtol(optarg, NULL, 10);
            break;
        case 'r':
            opt.rate = strtod(optarg, NULL);
            break;
        case 'p':
            opt.peer = true;
            break;
        default:
            return 2;
        }
    }
    if (!opt.folder || opt.outstanding < 1 || opt.outstanding > OUTSTANDING_MAX)
        return 2;
    return opt.peer ? peer_run() : journal_run();
}
