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
/* What is made of the leaves of a log. */
typedef enum err leaf_fn(struct sealer *s, uint64_t place, const struct leaf_head *head,
                         struct str leaf);

/* From entry `from` on, a multiple of a tile's width. */
static enum err each_of_log(struct sealer *s, int folder, uint32_t epoch, uint64_t from,
                            uint64_t size, leaf_fn *fn)
{
    struct arena a;
    enum err e = ERR_OK;
    arena_init(&a);
    for (uint64_t i = from, n = from / TILE_WIDTH; i < size && e == ERR_OK; n++) {
        struct str bundle, leaf;
        struct leaf_head head;
        e = tile_take_up(folder, TILE_ENTRIES, n, tile_width(TILE_ENTRIES, n, size), &a, &bundle);
        for (; e == ERR_OK && bundle_next(&bundle, &leaf); i++) {
            if (leaf_head_read(leaf, &head) != ERR_OK)
                continue; /* altered: `verify` says so */
            e = fn(s, place_of(epoch, i), &head, leaf);
        }
        arena_reset(&a);
    }
    arena_free(&a);
    return e;
}

static enum err each_of_past(struct sealer *s, uint32_t epoch, leaf_fn *fn)
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
        e = each_of_log(s, fd, epoch, 0, st.size, fn);
    close(fd);
    arena_free(&a);
    return e;
}

static enum err each_of_all(struct sealer *s, uint64_t size, leaf_fn *fn)
{
    for (uint32_t epoch = 1; epoch < s->epoch; epoch++)
        if (each_of_past(s, epoch, fn) != ERR_OK)
            log_warn("journal_past_log_not_indexed", "epoch", LOG_NUM(epoch));
    return each_of_log(s, s->folder, s->epoch, 0, size, fn);
}

static enum err id_add(struct sealer *s, uint64_t place, const struct leaf_head *head,
                       struct str leaf)
{
    uint8_t record[ID_RECORD];
    (void)leaf;
    id_record_write(record, head->id, place);
    return add(&s->ids, record);
}

enum err rebuild_ids(struct sealer *s, uint64_t size)
{
    log_error("journal_ids_made_again");
    enum err e = each_of_all(s, size, id_add);
    return e == ERR_OK ? index_publish(&s->ids, true) : e;
}

/* ---- find -------------------------------------------------------------------------------------
 */
static enum err words_add(struct sealer *s, uint64_t place, const struct leaf_head *head,
                          struct str leaf)
{
    find_add(&s->find, &s->block, place, head, leaf);
    return s->find.records.n >= AT_ONCE * FIND_RECORD ? index_publish(&s->find, true) : ERR_OK;
}

static enum err block_take_up(struct sealer *s, uint64_t place, const struct leaf_head *head,
                              struct str leaf)
{
    find_add(NULL, &s->block, place, head, leaf);
    return ERR_OK;
}

enum err rebuild_find(struct sealer *s, uint64_t size)
{
    log_info("journal_find_made_again");
    enum err e = each_of_all(s, size, words_add);
    return e == ERR_OK ? index_publish(&s->find, true) : e;
}

enum err rebuild_block(struct sealer *s, uint64_t size)
{
    enum err e = each_of_log(s, s->folder, s->epoch, size - size % FIND_BLOCK, size, block_take_up);
    if (e == ERR_CORRUPT || e == ERR_NOT_FOUND) { /* `verify` says so; it may hold any time */
        s->block = (struct find_block){0, INT64_MAX, true};
        e = ERR_OK;
    }
    return e;
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
