/* Bytes from the journal's folder and its channels: batches and records of the write-ahead log,
 * entry bundles, side rows, leaves. */
#include "journal/leaf.h"
#include "journal/side.h"
#include "journal/tiles.h"
#include "journal/wal.h"
#include "journal/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void records(struct str rest)
{
    struct wire_record r;
    struct leaf_head h;
    while (rest.n) {
        size_t before = rest.n;
        enum err e = wire_read(&rest, &r);
        if (e == ERR_INVALID)
            return;
        struct journal_expiry x;
        size_t size;
        if (wire_expiry_read(&r, &x) == ERR_OK &&
            (wire_expiry_size(&x, &size) != ERR_OK || size != r.whole.n))
            __builtin_trap();
        if (r.whole.n != before - rest.n || r.whole.n < WIRE_HEAD)
            __builtin_trap();
        if (leaf_check(r.leaf, &h) == ERR_OK) {
            char id[ULID_LEN + 1];
            ulid_write(h.id, id);
            if (!str_eq_z(h.id_text, id))
                __builtin_trap();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct str all = str_of(bytes, n), rest = all, leaf;
    struct wal_batch b;
    struct side_row row;
    uint8_t record[SIDE_RECORD];
    uint64_t position = 0, length;
    size_t need;
    if (n >= 16)
        memcpy(&position, bytes + 8, 8);
    enum err e = wal_batch_read(all, position, &b, &need);
    if (e == ERR_OK && (need > n || b.records.n + WAL_HEAD != need))
        __builtin_trap();
    if (e == ERR_OK)
        records(b.records);
    records(all);
    if (n > WAL_HEAD)
        records(str_after(all, WAL_HEAD));
    while (bundle_next(&rest, &leaf))
        ;
    if (side_row_read(all, &row) == ERR_OK && row.kind.n + row.data.n > n)
        __builtin_trap();
    (void)!side_row_key(all, 0, record, &length);
    return 0;
}
