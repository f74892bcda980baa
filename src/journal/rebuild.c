/* The indexes are made of what they lead to: one that is lost or damaged is made again, at the
 * start, and ends no log. */
#include <fcntl.h>
#include <unistd.h>
#include "base/log.h"
#include "journal/disk.h"
#include "journal/past.h"
#include "journal/writer.h"

enum { AT_ONCE = 256 * 1024 }; /* records of a run */

static enum err run_make(struct sealer *s, const char *dir, struct buf *records, struct runs **runs)
{
    struct runs *next;
    int fd;
    size_t n = records->n / (*runs)->record_size;
    struct runs_new new = {.folder = s->folder,
                           .dir = dir,
                           .name = s->next_run,
                           .records = (uint8_t *)records->p,
                           .n = n};
    enum err e = n ? runs_add(*runs, &new, &fd, &next) : ERR_OK;
    if (n && e == ERR_OK) {
        close(fd); /* synced with the next durable point, by its name */
        s->next_run++;
        runs_unref(*runs);
        *runs = next;
    }
    buf_reset(records);
    return e;
}

/* ---- ids --------------------------------------------------------------------------------------
 */
static enum err ids_of_log(struct sealer *s, int folder, uint32_t epoch, uint64_t size,
                           struct buf *records)
{
    struct arena a;
    enum err e = ERR_OK;
    arena_init(&a);
    for (uint64_t i = 0, n = 0; i < size && e == ERR_OK; n++) {
        struct str bundle, leaf;
        struct leaf_head head;
        uint8_t record[ID_RECORD];
        e = tile_read(folder, TILE_ENTRIES, n, tile_width(TILE_ENTRIES, n, size), &a, &bundle);
        for (; e == ERR_OK && bundle_next(&bundle, &leaf); i++) {
            if (leaf_head_read(leaf, &head) != ERR_OK)
                continue; /* altered: `verify` says so */
            id_record_write(record, head.id, place_of(epoch, i));
            buf_add(records, record, sizeof record);
        }
        if (e == ERR_OK && records->n >= AT_ONCE * (size_t)ID_RECORD)
            e = run_make(s, "ids", records, &s->ids);
        arena_reset(&a);
    }
    arena_free(&a);
    return e;
}

static enum err ids_of_past(struct sealer *s, uint32_t epoch, struct buf *records)
{
    char path[64];
    struct arena a;
    struct state st;
    int fd = openat(s->folder, past_path(epoch, "", path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return ERR_NOT_FOUND;
    arena_init(&a);
    enum err e = state_read(fd, "state", &a, &st);
    if (e == ERR_OK)
        e = ids_of_log(s, fd, epoch, st.size, records);
    close(fd);
    arena_free(&a);
    return e;
}

enum err rebuild_ids(struct sealer *s, uint64_t size)
{
    struct buf records;
    log_error("journal_ids_made_again");
    buf_init(&records, 1 << 30);
    for (uint32_t epoch = 1; epoch < s->epoch; epoch++)
        if (ids_of_past(s, epoch, &records) != ERR_OK)
            log_warn("journal_past_log_not_indexed", "epoch", LOG_NUM(epoch));
    enum err e = ids_of_log(s, s->folder, s->epoch, size, &records);
    if (e == ERR_OK)
        e = run_make(s, "ids", &records, &s->ids);
    buf_free(&records);
    return e;
}

/* ---- side rows --------------------------------------------------------------------------------
 */
enum err rebuild_side(struct sealer *s, uint64_t length)
{
    struct buf records;
    char bytes[SIDE_ROW_HEAD + KIND_MAX];
    uint8_t record[SIDE_RECORD];
    uint64_t row_n;
    enum err e = ERR_OK;
    log_error("journal_side_index_made_again");
    buf_init(&records, 1 << 30);
    for (uint64_t at = 0; at < length && e == ERR_OK; at += row_n) {
        size_t n = length - at < sizeof bytes ? (size_t)(length - at) : sizeof bytes;
        e = disk_pread(s->side.fd, bytes, n, at);
        if (e == ERR_OK)
            e = side_row_key(str_of(bytes, n), at, record, &row_n);
        if (e == ERR_OK && !side_key_is_blank(record))
            buf_add(&records, record, sizeof record);
        if (e == ERR_OK && records.n >= AT_ONCE * (size_t)SIDE_RECORD)
            e = run_make(s, "side", &records, &s->side_runs);
    }
    if (e == ERR_CORRUPT) { /* rows behind a damaged one are not found again */
        log_error("journal_side_rows_damaged");
        e = ERR_OK;
    }
    if (e == ERR_OK)
        e = run_make(s, "side", &records, &s->side_runs);
    buf_free(&records);
    return e;
}
