/* The indexes are made of what they lead to: one that is lost or damaged is made again, at the
 * start, and ends no log. */
#include <fcntl.h>
#include <unistd.h>
#include "base/log.h"
#include "journal/disk.h"
#include "journal/past.h"
#include "journal/writer.h"

enum { AT_ONCE = 256 * 1024 }; /* records of a run */

/* Records that are many enough become a run. */
static enum err add(struct index *x, const uint8_t *record)
{
    index_add(x, record);
    return x->records.n >= AT_ONCE * x->runs->record_size ? index_publish(x, true) : ERR_OK;
}

/* ---- ids --------------------------------------------------------------------------------------
 */
static enum err ids_of_log(struct sealer *s, int folder, uint32_t epoch, uint64_t size)
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
            e = add(&s->ids, record);
        }
        arena_reset(&a);
    }
    arena_free(&a);
    return e;
}

static enum err ids_of_past(struct sealer *s, uint32_t epoch)
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
        e = ids_of_log(s, fd, epoch, st.size);
    close(fd);
    arena_free(&a);
    return e;
}

enum err rebuild_ids(struct sealer *s, uint64_t size)
{
    log_error("journal_ids_made_again");
    for (uint32_t epoch = 1; epoch < s->epoch; epoch++)
        if (ids_of_past(s, epoch) != ERR_OK)
            log_warn("journal_past_log_not_indexed", "epoch", LOG_NUM(epoch));
    enum err e = ids_of_log(s, s->folder, s->epoch, size);
    return e == ERR_OK ? index_publish(&s->ids, true) : e;
}

/* ---- side rows --------------------------------------------------------------------------------
 */
enum err rebuild_side(struct sealer *s, uint64_t length)
{
    char bytes[SIDE_ROW_HEAD + KIND_MAX];
    uint8_t record[SIDE_RECORD];
    uint64_t row_n;
    enum err e = ERR_OK;
    log_error("journal_side_index_made_again");
    for (uint64_t at = 0; at < length && e == ERR_OK; at += row_n) {
        size_t n = length - at < sizeof bytes ? (size_t)(length - at) : sizeof bytes;
        e = disk_pread(s->side.fd, bytes, n, at);
        if (e == ERR_OK)
            e = side_row_key(str_of(bytes, n), at, record, &row_n);
        if (e == ERR_OK && !side_key_is_blank(record))
            e = add(&s->side_index, record);
    }
    if (e == ERR_CORRUPT) { /* rows behind a damaged one are not found again */
        log_error("journal_side_rows_damaged");
        e = ERR_OK;
    }
    return e == ERR_OK ? index_publish(&s->side_index, true) : e;
}
