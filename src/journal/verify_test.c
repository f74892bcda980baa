/* Whatever is changed in a journal is found and named; proofs stand alone; a restored backup opens
 * a new log. */
#include "journal/test_platform.h"

#include <pthread.h>
#include "base/codec.h"
#include "data/json.h"
#include "journal/leaf.h"
#include "journal/note.h"
#include "journal/tiles.h"

enum { ENTRIES = 1000, OLD_ENTRIES = 500 };

static char live[128], copy[128]; /* copied while it ran; the one that is altered */
static struct str old_note;       /* a good checkpoint of fewer entries */

/* ---- files ------------------------------------------------------------------------------------
 */
/* Without a sync: there are thousands. */
static bool write_file(const char *path, struct str text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool good = fd >= 0 && file_write_all(fd, text.p, text.n) == ERR_OK;
    return fd >= 0 && close(fd) == 0 && good;
}

static void copy_all(const char *from, const char *to)
{
    DIR *d = opendir(from);
    if (mkdir(to, 0700) != 0 || !d)
        abort();
    for (struct dirent *f; (f = readdir(d)) != NULL;) {
        char src[512], dst[512];
        struct stat st;
        struct str text;
        if (strcmp(f->d_name, ".") == 0 || strcmp(f->d_name, "..") == 0)
            continue;
        if (snprintf(src, sizeof src, "%s/%s", from, f->d_name) >= (int)sizeof src ||
            snprintf(dst, sizeof dst, "%s/%s", to, f->d_name) >= (int)sizeof dst)
            abort();
        if (stat(src, &st) != 0) {
            continue;
        } else if (S_ISDIR(st.st_mode)) {
            copy_all(src, dst);
        } else {
            struct arena a;
            arena_init(&a);
            if (file_read(&a, src, 64 << 20, &text) != ERR_OK || !write_file(dst, text))
                abort();
            arena_free(&a);
        }
    }
    closedir(d);
}

static const char *in_copy(const char *name)
{
    return arena_printf(&arena, "%s/%s", copy, name).p;
}

static struct str content(const char *name)
{
    struct str text;
    assert_ok(file_read(&arena, in_copy(name), 64 << 20, &text));
    return text;
}

static void put(const char *name, struct str text)
{
    assert_true(write_file(in_copy(name), text));
}

static void flip(const char *name, size_t at)
{
    struct str text = content(name);
    assert_true(at < text.n);
    ((char *)(uintptr_t)text.p)[at] ^= 1;
    put(name, text);
}

/* ---- the journal that is altered ----------------------------------------------------------------
 */
static int client_fill(struct proc *self, void *arg)
{
    struct journal_reader *r;
    uint64_t size = 0, sealed = 0;
    (void)arg;
    struct journal *j = journal_connect(proc_fd(self, "journal"));
    proc_ready(self);
    CHECK_OK(journal_reader_open(data, &r));
    append_n(j, OLD_ENTRIES, "p1");
    for (int i = 0; i < 1000 && sealed < OLD_ENTRIES; i++) {
        usleep(10 * 1000);
        CHECK_OK(journal_size(r, 0, &size, &sealed));
    }
    copy_all(data, live);
    char old[160];
    snprintf(old, sizeof old, "%s-old", live);
    CHECK(rename(live, old) == 0);
    append_n(j, ENTRIES - OLD_ENTRIES, "p2");
    for (int i = 0; i < 1000 && sealed < ENTRIES; i++) {
        usleep(10 * 1000);
        CHECK_OK(journal_size(r, 0, &size, &sealed));
    }
    CHECK(sealed == ENTRIES);
    copy_all(data, live);
    journal_reader_close(r);
    journal_close(j);
    return stop_all();
}

static int fill(void **state)
{
    int rc = start(state);
    snprintf(live, sizeof live, "%s/live", folder);
    snprintf(copy, sizeof copy, "%s/copy", folder);
    if (rc != 0)
        return rc;
    run_platform(client_fill, 1);
    return file_read(&arena, arena_printf(&arena, "%s-old/checkpoint", live).p, 4096, &old_note) ==
                   ERR_OK
               ? 0
               : -1;
}

static void fresh(const char *from)
{
    remove_all(copy);
    copy_all(from, copy);
}

static void expect(enum err err, const char *file, int64_t index)
{
    struct journal_verdict v;
    journal_verify_folder(copy, STR_NONE, &v);
    if (v.err != err || strcmp(v.file, file) != 0 || v.index != index)
        fail_msg("wanted %s %s %lld, got %s %s %lld: %s", err_name(err), file, (long long)index,
                 err_name(v.err), v.file, (long long)v.index, v.what);
    assert_true(err == ERR_OK || v.what[0]);
}

/* Where entry i of a bundle begins. */
static size_t entry_at(struct str bundle, unsigned i)
{
    struct str rest = bundle, leaf;
    while (i-- > 0)
        assert_true(bundle_next(&rest, &leaf));
    return bundle.n - rest.n;
}

static void an_entry(void **state)
{
    static const unsigned indexes[] = {0, 1, 100, 255, 256, 700, 767, 768, 900, ENTRIES - 1};
    char path[TILE_PATH_MAX];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(indexes); i++) {
        uint64_t n = indexes[i] / 256;
        tile_path(TILE_ENTRIES, n, tile_width(0, n, ENTRIES), path);
        fresh(data);
        flip(path, entry_at(content(path), indexes[i] % 256) + 60);
        expect(ERR_CORRUPT, path, indexes[i]);
    }
}

static void a_tile(void **state)
{
    (void)state;
    fresh(data);
    flip("tile/0/001", 5 * 32 + 7);
    expect(ERR_CORRUPT, "tile/0/001", 256 + 5);
    fresh(data);
    flip("tile/0/003.p/232", 231 * 32);
    expect(ERR_CORRUPT, "tile/0/003.p/232", 999);
    fresh(data);
    flip("tile/1/000.p/3", 33);
    expect(ERR_CORRUPT, "tile/1/000.p/3", 256);
}

static void a_file_shortened_lengthened_or_gone(void **state)
{
    static const struct {
        const char *name;
        int64_t index;
    } files[] = {{"tile/entries/001", 256},
                 {"tile/entries/003.p/232", 768},
                 {"tile/0/002", 512},
                 {"tile/0/003.p/232", 768},
                 {"tile/1/000.p/3", 0}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        fresh(data);
        struct str text = content(files[i].name);
        put(files[i].name, str_sub(text, 0, text.n - 1));
        expect(ERR_CORRUPT, files[i].name, files[i].index);
        put(files[i].name, arena_printf(&arena, STR_FMT "%s", 0, "", "x"));
        expect(ERR_CORRUPT, files[i].name, files[i].index);
        char *longer = arena_alloc(&arena, text.n + 32);
        memcpy(longer, text.p, text.n);
        put(files[i].name, str_of(longer, text.n + 32));
        expect(ERR_CORRUPT, files[i].name, files[i].index);
        unlink(in_copy(files[i].name));
        expect(ERR_CORRUPT, files[i].name, files[i].index);
    }
}

static void entries_in_another_order(void **state)
{
    (void)state;
    fresh(data);
    assert_int_equal(rename(in_copy("tile/entries/000"), in_copy("x")), 0);
    assert_int_equal(rename(in_copy("tile/entries/001"), in_copy("tile/entries/000")), 0);
    assert_int_equal(rename(in_copy("x"), in_copy("tile/entries/001")), 0);
    expect(ERR_CORRUPT, "tile/entries/000", 0);
    fresh(data);
    struct str b = content("tile/entries/002");
    size_t one = entry_at(b, 10), two = entry_at(b, 12), end = entry_at(b, 14);
    assert_int_equal(two - one, end - two); /* entries 10 and 11 change places with 12 and 13 */
    char *p = (char *)(uintptr_t)b.p, *hold = arena_dupz(&arena, str_of(p + one, two - one));
    memmove(p + one, p + two, end - two);
    memcpy(p + two, hold, two - one);
    put("tile/entries/002", b);
    expect(ERR_CORRUPT, "tile/entries/002", 522);
}

static void the_checkpoint(void **state)
{
    (void)state;
    fresh(data);
    struct str note = content("checkpoint");
    for (size_t i = 0; i < note.n; i++) {
        struct journal_verdict v;
        put("checkpoint", note);
        flip("checkpoint", i);
        journal_verify_folder(copy, STR_NONE, &v);
        if (v.err == ERR_OK || strcmp(v.file, "checkpoint") != 0)
            fail_msg("byte %zu: %s %s %s", i, err_name(v.err), v.file, v.what);
    }
    fresh(data);
    put("checkpoint", old_note);
    expect(ERR_CORRUPT, "checkpoint", -1);
    unlink(in_copy("checkpoint"));
    expect(ERR_CORRUPT, "checkpoint", -1);
}

static void older_heads(void **state)
{
    struct str text;
    (void)state;
    fresh(data);
    assert_ok(file_read(&arena, arena_printf(&arena, "%s-old/state", live).p, 65536, &text));
    put("state", text);
    expect(ERR_CORRUPT, "state", OLD_ENTRIES);
    fresh(data);
    flip("state", 40);
    unlink(in_copy("durable"));
    expect(ERR_CORRUPT, "state", -1);
    fresh(data);
    unlink(in_copy("durable"));
    expect(ERR_CORRUPT, "durable", -1);
}

static void the_key(void **state)
{
    struct note_key k;
    struct journal_verdict v;
    uint8_t other[32] = {9};
    (void)state;
    fresh(data);
    struct str good = str_trim(content("key"));
    note_key_make(STR("test.example/journal"), other, &k);
    put("key", note_key_line(&arena, &k));
    expect(ERR_DENIED, "checkpoint", -1);
    journal_verify_folder(copy, good, &v);
    assert_ok(v.err);
    note_key_make(STR("other.example/journal"), other, &k);
    journal_verify_folder(copy, note_key_line(&arena, &k), &v);
    assert_int_equal(v.err, ERR_DENIED);
    journal_verify_folder(copy, STR("nonsense"), &v);
    assert_int_equal(v.err, ERR_INVALID);
    put("key", STR("nonsense"));
    expect(ERR_CORRUPT, "key", -1);
}

static void the_write_ahead_log(void **state)
{
    (void)state;
    fresh(live);
    expect(ERR_OK, "", -1);
    struct str wal = content("wal/0000000000");
    for (size_t at = 3; at < 200000; at += 20011) {
        fresh(live);
        flip("wal/0000000000", at);
        struct journal_verdict v;
        journal_verify_folder(copy, STR_NONE, &v);
        /* Zeros behind a batch, up to the next block, are no part of it. */
        if (v.err != ERR_OK && strcmp(v.file, "wal/0000000000") != 0)
            fail_msg("at %zu: %s %s", at, v.file, v.what);
        if (at == 3)
            assert_int_equal(v.err, ERR_CORRUPT);
    }
    fresh(live);
    put("wal/0000000000", str_sub(wal, 0, 4096));
    expect(ERR_CORRUPT, "wal/0000000000", 0); /* the first batch is longer */
    unlink(in_copy("wal/0000000000"));
    expect(ERR_CORRUPT, "wal/0000000000", 0);
}

/* Somebody who writes everything anew, consistently, but has no key. */
static void a_whole_tree_made_again(void **state)
{
    struct tree tree;
    struct str bundle, leaf;
    (void)state;
    fresh(data);
    int from = open(data, O_RDONLY | O_DIRECTORY), to = open(copy, O_RDONLY | O_DIRECTORY);
    remove_all(in_copy("tile"));
    tree_init(&tree, to);
    for (uint64_t i = 0; i < ENTRIES; i++) {
        if (i % 256 == 0)
            assert_ok(tile_read(from, TILE_ENTRIES, i / 256, tile_width(0, i / 256, ENTRIES),
                                &arena, &bundle));
        assert_true(bundle_next(&bundle, &leaf));
        if (i == 300) {
            leaf = arena_dup(&arena, leaf);
            ((char *)(uintptr_t)leaf.p)[60] ^= 1;
        }
        assert_ok(tree_add(&tree, leaf));
    }
    assert_ok(tree_publish(&tree));
    tree_free(&tree);
    expect(ERR_CORRUPT, "checkpoint", -1);
    /* The tile over the entries is put back: then it is the one bundle. */
    struct str tile;
    assert_ok(file_read(&arena, arena_printf(&arena, "%s/tile/1/000.p/3", data).p, 8192, &tile));
    put("tile/1/000.p/3", tile);
    expect(ERR_CORRUPT, "tile/entries/001", 256);
    assert_ok(file_read(&arena, arena_printf(&arena, "%s/tile/0/001", data).p, 8192, &tile));
    put("tile/0/001", tile);
    expect(ERR_CORRUPT, "tile/entries/001", 300);
    close(from);
    close(to);
}

static void nothing_there(void **state)
{
    struct journal_verdict v;
    (void)state;
    journal_verify_folder("/nonexistent", STR_NONE, &v);
    assert_int_equal(v.err, ERR_NOT_FOUND);
    journal_verify_folder(folder, STR_NONE, &v);
    assert_int_equal(v.err, ERR_NOT_FOUND);
}

/* ---- proofs -----------------------------------------------------------------------------------
 */
static void proofs_stand_alone(void **state)
{
    struct journal_reader *r;
    struct journal_verdict v;
    struct str proof, leaf, read, note, key;
    (void)state;
    assert_ok(journal_reader_open(data, &r));
    assert_ok(journal_checkpoint(r, 0, &arena, &note, &key));
    for (uint64_t i = 0; i < ENTRIES; i += 37) {
        struct journal_at at = {0, i};
        assert_ok(journal_prove(r, at, &arena, &proof));
        journal_verify_proof(&arena, proof, i % 2 ? key : STR_NONE, &leaf, &v);
        assert_string_equal(v.what, "");
        assert_ok(v.err);
        assert_int_equal(v.index, i);
        assert_int_equal(v.entries, ENTRIES);
        assert_string_equal(v.origin, "test.example/journal");
        assert_ok(journal_read(r, at, &arena, &read));
        assert_true(str_eq(leaf, read));
    }
    assert_int_equal(journal_prove(r, (struct journal_at){0, ENTRIES}, &arena, &proof),
                     ERR_NOT_FOUND);
    assert_int_equal(journal_prove(r, (struct journal_at){1, 0}, &arena, &proof), ERR_NOT_FOUND);
    /* Every byte counts. */
    assert_ok(journal_prove(r, (struct journal_at){0, 700}, &arena, &proof));
    char *p = arena_dupz(&arena, proof);
    for (size_t i = 0; i < proof.n; i++) {
        struct arena a;
        arena_init(&a);
        p[i] ^= 1;
        journal_verify_proof(&a, str_of(p, proof.n), STR_NONE, &leaf, &v);
        if (v.err == ERR_OK)
            fail_msg("byte %zu of the proof does not count", i);
        journal_verify_proof(&a, str_sub(proof, 0, i), STR_NONE, &leaf, &v);
        assert_int_not_equal(v.err, ERR_OK);
        p[i] ^= 1;
        arena_free(&a);
    }
    /* The same proof under a key that was not asked for. */
    struct note_key other;
    uint8_t public_key[32] = {1};
    note_key_make(STR("test.example/journal"), public_key, &other);
    journal_verify_proof(&arena, proof, note_key_line(&arena, &other), &leaf, &v);
    assert_int_equal(v.err, ERR_DENIED);
    assert_null(leaf.p);
    journal_reader_close(r);
}

static void two_checkpoints_are_consistent(void **state)
{
    struct journal_reader *r;
    struct checkpoint old, now;
    struct str hashes, note, key;
    (void)state;
    assert_ok(journal_reader_open(data, &r));
    assert_ok(journal_checkpoint(r, 0, &arena, &note, &key));
    assert_ok(checkpoint_read(&arena, note, &now));
    assert_ok(checkpoint_read(&arena, old_note, &old));
    assert_ok(journal_consistency(r, 0, old.size, now.size, &arena, &hashes));
    assert_true(merkle_check_consistency(old.size, now.size, old.root, now.root, hashes));
    old.root[3] ^= 1;
    assert_false(merkle_check_consistency(old.size, now.size, old.root, now.root, hashes));
    assert_int_equal(journal_consistency(r, 0, 0, now.size, &arena, &hashes), ERR_INVALID);
    assert_int_equal(journal_consistency(r, 0, 1, now.size + 1, &arena, &hashes), ERR_INVALID);
    assert_ok(journal_consistency(r, 0, now.size, now.size, &arena, &hashes));
    assert_int_equal(hashes.n, 0);
    journal_reader_close(r);
}

/* ---- side rows --------------------------------------------------------------------------------
 */
static void side_rows_by_kind_time_and_page(void **state)
{
    static const struct str odd[] = {{"test.odd", 8}};
    struct journal_reader *r;
    struct journal_side_row *rows;
    size_t n, total = 0;
    (void)state;
    assert_ok(journal_reader_open(data, &r));
    struct journal_side_query q = {.subject = STR("p2"), .limit = 1000};
    assert_ok(journal_side_list(r, &q, &arena, &rows, &n));
    assert_int_equal(n, ENTRIES - OLD_ENTRIES);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(rows[i].at.index, ENTRIES - 1 - i); /* newest first */
        assert_string_equal(rows[i].id, seen->acked[ENTRIES - 1 - i].id);
        assert_true(str_eq_z(rows[i].data, "told to her"));
    }
    int64_t middle_ms = rows[n / 2].at_ms;
    q.kinds = odd;
    q.n_kinds = 1;
    assert_ok(journal_side_list(r, &q, &arena, &rows, &n));
    assert_int_equal(n, (ENTRIES - OLD_ENTRIES) / 2);
    q = (struct journal_side_query){.subject = STR("p2"), .limit = 1000, .from_ms = middle_ms};
    assert_ok(journal_side_list(r, &q, &arena, &rows, &n));
    total = n;
    q.from_ms = 0;
    q.to_ms = middle_ms;
    assert_ok(journal_side_list(r, &q, &arena, &rows, &n));
    assert_int_equal(total + n, ENTRIES - OLD_ENTRIES);
    /* Page by page. */
    struct journal_at last;
    q = (struct journal_side_query){.subject = STR("p1"), .limit = 64};
    total = 0;
    do {
        assert_ok(journal_side_list(r, &q, &arena, &rows, &n));
        for (size_t i = 0; i < n; i++)
            assert_int_equal(rows[i].at.index, OLD_ENTRIES - 1 - total++);
        if (n) {
            last = rows[n - 1].at;
            q.before = &last;
        }
    } while (n == 64);
    assert_int_equal(total, OLD_ENTRIES);
    q = (struct journal_side_query){.subject = STR("nobody"), .limit = 10};
    assert_ok(journal_side_list(r, &q, &arena, &rows, &n));
    assert_int_equal(n, 0);
    q.limit = 1001;
    assert_int_equal(journal_side_list(r, &q, &arena, &rows, &n), ERR_LIMIT);
    journal_reader_close(r);
}

/* By keys: the same rows, of several subjects together, and only what is asked for is opened. */
static void side_rows_by_their_keys(void **state)
{
    const struct str subjects[] = {STR("p1"), STR("nobody"), STR("p2")}, odd = STR("test.odd");
    struct journal_reader *r;
    struct journal_side_key *keys;
    struct journal_side_row rows[3];
    size_t n;
    (void)state;
    assert_ok(journal_reader_open(data, &r));
    struct journal_side_keys q = {
        .subjects = subjects, .n_subjects = 3, .limit = JOURNAL_SIDE_KEYS_MAX};
    assert_ok(journal_side_keys(r, &q, &arena, &keys, &n));
    assert_int_equal(n, ENTRIES);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(keys[i].at.index, ENTRIES - 1 - i); /* newest first */
        assert_int_equal(keys[i].subject, i < ENTRIES - OLD_ENTRIES ? 2 : 0);
    }
    assert_ok(journal_side_open(r, subjects, keys + 2, 3, &arena, rows));
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(rows[i].id, seen->acked[ENTRIES - 3 - i].id);
        assert_true(str_eq_z(rows[i].data, "told to her"));
        assert_int_equal(journal_side_kind(rows[i].kind), keys[2 + i].kind);
    }
    keys[2].subject = 0; /* somebody else's row is never given */
    assert_int_equal(journal_side_open(r, subjects, keys + 2, 1, &arena, rows), ERR_CORRUPT);
    q.kinds = &odd;
    q.n_kinds = 1;
    q.subjects = subjects + 2;
    q.n_subjects = 1;
    assert_ok(journal_side_keys(r, &q, &arena, &keys, &n));
    assert_int_equal(n, (ENTRIES - OLD_ENTRIES) / 2);
    q.limit = 5;
    assert_ok(journal_side_keys(r, &q, &arena, &keys, &n));
    assert_int_equal(n, 5);
    /* By places, part by part: each row once, in the journal's order. */
    struct journal_at last = {0};
    size_t all = 0;
    q.limit = 7;
    q.by_place = true;
    do {
        assert_ok(journal_side_keys(r, &q, &arena, &keys, &n));
        for (size_t i = 0; i < n; i++, all++) {
            bool later = all == 0 || keys[i].at.log > last.log ||
                         (keys[i].at.log == last.log && keys[i].at.index < last.index);
            assert_true(later);
            last = keys[i].at;
        }
        q.before = &last;
    } while (n == 7);
    assert_int_equal(all, (ENTRIES - OLD_ENTRIES) / 2);
    q.limit = JOURNAL_SIDE_KEYS_MAX + 1;
    assert_int_equal(journal_side_keys(r, &q, &arena, &keys, &n), ERR_LIMIT);
    journal_reader_close(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_entry),
        cmocka_unit_test(a_tile),
        cmocka_unit_test(a_file_shortened_lengthened_or_gone),
        cmocka_unit_test(entries_in_another_order),
        cmocka_unit_test(the_checkpoint),
        cmocka_unit_test(older_heads),
        cmocka_unit_test(the_key),
        cmocka_unit_test(the_write_ahead_log),
        cmocka_unit_test(a_whole_tree_made_again),
        cmocka_unit_test(nothing_there),
        cmocka_unit_test(proofs_stand_alone),
        cmocka_unit_test(two_checkpoints_are_consistent),
        cmocka_unit_test(side_rows_by_kind_time_and_page),
        cmocka_unit_test(side_rows_by_their_keys),
    };
    return cmocka_run_group_tests(tests, fill, end);
}
