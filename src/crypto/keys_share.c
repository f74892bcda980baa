/* What one node gives another: files of the keys folder, by name, whole. The keys that sign stay
 * where they were made; what is here is what two nodes must both know, or a session begun at one
 * would be nobody's at the other. */
#include "crypto/keys.h"

#include <stdio.h>
#include <unistd.h>
#include "base/codec.h"
#include "crypto/seal.h"
#include "sys/file.h"

enum { FILE_MAX = 16 * 1024, SHARED_MAX = 128 * 1024 };
static const struct str context = {"socle/node/1", 12};
static const char first_line[] = "socle-node 1\n";

static const struct {
    const char *name;
    bool needed;
} files[] = {
    {"pairwise.secret", true},   {"blind.secret", true},           {"client_secret.secret", true},
    {"subject.secret", true},    {"token-seal.secret", true},      {"cookie.secret", true},
    {"decrypt.p256.pem", false}, {"decrypt.p256.next.pem", false}, {"decrypt.p256.old.pem", false},
    {"decrypt.rsa.pem", false},  {"decrypt.rsa.next.pem", false},  {"decrypt.rsa.old.pem", false},
};

enum err keys_share(const char *folder, const uint8_t key[32], struct arena *a, struct str *sealed)
{
    struct arena secret;
    struct buf b;
    enum err e = ERR_OK;
    arena_init_secret(&secret);
    buf_init(&b, SHARED_MAX);
    buf_add_z(&b, first_line);
    for (size_t i = 0; i < COUNT_OF(files) && e == ERR_OK; i++) {
        struct str content;
        const char *path = arena_printf(&secret, "%s/%s", folder, files[i].name).p;
        e = file_read(&secret, path, FILE_MAX, &content);
        if (e == ERR_NOT_FOUND && !files[i].needed)
            e = ERR_OK;
        else if (e == ERR_OK) {
            buf_printf(&b, "%s %zu\n", files[i].name, content.n);
            buf_add_str(&b, content);
        }
    }
    e = e == ERR_OK ? b.err : e;
    if (e == ERR_OK)
        *sealed = seal(a, key, context, buf_str(&b));
    buf_wipe(&b);
    arena_free(&secret);
    return e;
}

/* One "NAME SIZE\n" and its bytes off the front; false: not of this form, or not one of ours. */
static bool part_take(struct str *rest, const char **name, struct str *content)
{
    struct str line, word;
    uint64_t size;
    *name = NULL;
    if (!str_split(rest, '\n', &line) || !str_split(&line, ' ', &word) ||
        !str_to_u64(line, &size) || size > rest->n)
        return false;
    for (size_t i = 0; i < COUNT_OF(files); i++)
        if (str_eq_z(word, files[i].name))
            *name = files[i].name;
    *content = str_sub(*rest, 0, (size_t)size);
    *rest = str_after(*rest, (size_t)size);
    return *name != NULL;
}

static enum err write_all(const char *folder, struct str text, struct arena *a)
{
    struct str rest = str_after(text, sizeof first_line - 1), content;
    const char *name;
    enum err e = str_starts(text, str_from(first_line)) ? ERR_OK : ERR_CORRUPT;
    while (e == ERR_OK && rest.n) {
        if (!part_take(&rest, &name, &content))
            return ERR_CORRUPT;
        e = file_write_atomic(arena_printf(a, "%s/%s", folder, name).p, content, 0600);
    }
    return e;
}

enum err keys_receive(const char *folder, const uint8_t key[32], struct str sealed)
{
    struct arena a;
    struct str text;
    arena_init_secret(&a);
    enum err e = file_make_dirs(folder, 0700);
    if (e == ERR_OK && access(arena_printf(&a, "%s/inventory", folder).p, F_OK) == 0)
        e = ERR_EXISTS;
    if (e == ERR_OK)
        e = unseal(&a, key, context, sealed, &text);
    if (e == ERR_OK)
        e = write_all(folder, text, &a);
    arena_free(&a);
    return e;
}
