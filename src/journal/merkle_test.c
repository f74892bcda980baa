/* Hashes, proofs and their checks against the public vectors of transparency-dev/merkle, and
 * against a tree computed the slow way. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <stdlib.h>
#include "base/codec.h"
#include "data/json.h"
#include "journal/merkle.h"
#include "sys/file.h"

static struct arena arena;
static int n_vectors;

/* ---- the vectors ------------------------------------------------------------------------------
 */
static struct str base64_of(const json_t *v)
{
    struct str raw = STR_NONE;
    assert_true(json_is_string(v));
    struct str text = str_of(json_string_value(v), json_string_length(v));
    assert_int_equal(codec_base64(&arena, text, &raw), ERR_OK);
    return raw;
}

/* A hash of another length makes the whole proof one of a wrong length. */
static struct str proof_of(const json_t *list)
{
    struct buf b;
    buf_init(&b, 1 << 20);
    size_t i;
    json_t *v;
    json_array_foreach(list, i, v)
    {
        struct str hash = base64_of(v);
        buf_add_str(&b, hash.n == HASH_LEN ? hash : STR("x"));
    }
    struct str out = arena_dup(&arena, buf_str(&b));
    buf_free(&b);
    return out;
}

static struct str text; /* of the vector under way */

/* Some indexes are over 2^63: taken from the text, where jansson has only reals for them. */
static uint64_t number_of(const char *key)
{
    uint64_t v = 0;
    struct str name = arena_printf(&arena, "\"%s\":", key);
    ptrdiff_t at = str_find(text, name);
    assert_true(at >= 0);
    struct str rest = str_trim(str_after(text, (size_t)at + name.n));
    size_t n = 0;
    while (n < rest.n && rest.p[n] >= '0' && rest.p[n] <= '9')
        n++;
    assert_true(str_to_u64(str_sub(rest, 0, n), &v));
    return v;
}

/* Some vectors have words in the place of hashes: they are filled up. None at all (NULL) cannot be
 * given to the functions. */
static const uint8_t *root_of(const json_t *v)
{
    struct str raw = base64_of(v);
    uint8_t *hash = arena_alloc(&arena, HASH_LEN);
    memset(hash, 0x55, HASH_LEN);
    if (raw.n)
        memcpy(hash, raw.p, raw.n < HASH_LEN ? raw.n : HASH_LEN);
    return raw.n ? hash : NULL;
}

static bool inclusion_is_good(const json_t *v)
{
    const uint8_t *leaf = root_of(json_get(v, "leafHash")), *root = root_of(json_get(v, "root"));
    return leaf && root &&
           merkle_check_inclusion(number_of("leafIdx"), number_of("treeSize"), leaf,
                                  proof_of(json_get(v, "proof")), root);
}

static bool consistency_is_good(const json_t *v)
{
    const uint8_t *r1 = root_of(json_get(v, "root1")), *r2 = root_of(json_get(v, "root2"));
    return r1 && r2 &&
           merkle_check_consistency(number_of("size1"), number_of("size2"), r1, r2,
                                    proof_of(json_get(v, "proof")));
}

static void each_vector(const char *path, bool (*good)(const json_t *v))
{
    DIR *d = opendir(path);
    assert_non_null(d);
    for (struct dirent *f; (f = readdir(d)) != NULL;) {
        json_t *v;
        if (f->d_name[0] == '.')
            continue;
        const char *sub = arena_printf(&arena, "%s/%s", path, f->d_name).p;
        if (!strstr(f->d_name, ".json")) {
            each_vector(sub, good);
            continue;
        }
        assert_int_equal(file_read(&arena, sub, 1 << 20, &text), ERR_OK);
        v = json_loadb(text.p, text.n, JSON_DECODE_INT_AS_REAL, NULL);
        assert_non_null(v);
        if (good(v) != !json_get_bool(v, "wantErr", false))
            fail_msg("%s: %s", sub, json_get_z(v, "desc", ""));
        json_decref(v);
        n_vectors++;
    }
    closedir(d);
}

static void public_vectors(void **state)
{
    (void)state;
    const char *root = getenv("SOCLE_VECTORS");
    root = root ? root : "test/vectors";
    each_vector(arena_printf(&arena, "%s/rfc6962/inclusion", root).p, inclusion_is_good);
    assert_true(n_vectors > 90);
    each_vector(arena_printf(&arena, "%s/rfc6962/consistency", root).p, consistency_is_good);
    assert_true(n_vectors > 190);
}

/* ---- against the definition ---------------------------------------------------------------------
 */
enum { LEAVES = 70 };
static uint8_t leaves[LEAVES][HASH_LEN];

/* MTH of RFC 6962 2.1, word by word. */
static void slow_root(size_t from, size_t n, uint8_t out[HASH_LEN])
{
    uint8_t left[HASH_LEN], right[HASH_LEN];
    size_t k = 1;
    if (n == 1) {
        memcpy(out, leaves[from], HASH_LEN);
        return;
    }
    while (k * 2 < n)
        k *= 2;
    slow_root(from, k, left);
    slow_root(from + k, n - k, right);
    merkle_node(left, right, out);
}

static enum err slow_node(void *arg, unsigned level, uint64_t index, uint8_t out[HASH_LEN])
{
    size_t n = (size_t)1 << level;
    (void)arg;
    assert_true((index + 1) * n <= LEAVES);
    slow_root(index * n, n, out);
    return ERR_OK;
}

static void proofs_made_here_are_good(void **state)
{
    struct merkle_source s = {slow_node, NULL};
    uint8_t root[HASH_LEN], old[HASH_LEN], made[HASH_LEN];
    struct buf b;
    (void)state;
    for (size_t i = 0; i < LEAVES; i++)
        merkle_leaf(arena_printf(&arena, "entry %zu", i), leaves[i]);
    buf_init(&b, 1 << 16);
    for (uint64_t size = 1; size <= LEAVES; size++) {
        slow_root(0, size, root);
        assert_int_equal(merkle_root(&s, size, made), ERR_OK);
        assert_memory_equal(made, root, HASH_LEN);
        for (uint64_t i = 0; i < size; i++) {
            buf_reset(&b);
            assert_int_equal(merkle_inclusion(&s, i, size, &b), ERR_OK);
            assert_true(merkle_check_inclusion(i, size, leaves[i], buf_str(&b), root));
            assert_false(merkle_check_inclusion(i ^ 1, size, leaves[i], buf_str(&b), root) &&
                         size > 1);
        }
        for (uint64_t from = 1; from <= size; from++) {
            buf_reset(&b);
            assert_int_equal(merkle_consistency(&s, from, size, &b), ERR_OK);
            slow_root(0, from, old);
            assert_true(merkle_check_consistency(from, size, old, root, buf_str(&b)));
            assert_true(from == size ||
                        !merkle_check_consistency(from, size, root, old, buf_str(&b)));
        }
    }
    buf_free(&b);
}

static void the_empty_tree_has_the_hash_of_nothing(void **state)
{
    struct merkle_source s = {slow_node, NULL};
    uint8_t root[HASH_LEN];
    (void)state;
    assert_int_equal(merkle_root(&s, 0, root), ERR_OK);
    assert_true(str_eq_z(codec_to_hex(&arena, root, sizeof root),
                         "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(public_vectors),
        cmocka_unit_test(proofs_made_here_are_good),
        cmocka_unit_test(the_empty_tree_has_the_hash_of_nothing),
    };
    arena_init(&arena);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_free(&arena);
    return failed;
}
