#include "journal/state.h"

#include <zlib.h>
#include "base/codec.h"
#include "journal/disk.h"

static uint32_t crc_of(struct str s)
{
    return (uint32_t)crc32_z(0, (const Bytef *)s.p, s.n);
}

static void name_print(const char *word, const char *more, const struct run_name *r,
                       struct buf *out)
{
    buf_printf(out, "%s%s %llu %llu\n", word, more, (unsigned long long)r->name,
               (unsigned long long)r->n);
}

static void names_print(const char *word, const struct run_names *names, struct buf *out)
{
    for (size_t i = 0; i < names->n; i++)
        name_print(word, "", &names->list[i], out);
    if (names->tail.n)
        name_print(word, "-tail", &names->tail, out);
}

void state_print(const struct state *s, struct buf *out)
{
    buf_printf(out, "socle journal state 2\nepoch %u\nwal %llu\nsize %llu\nsealed %llu ", s->epoch,
               (unsigned long long)s->wal, (unsigned long long)s->size,
               (unsigned long long)s->sealed);
    buf_add_base64(out, s->root, sizeof s->root);
    buf_printf(out, "\nrows %llu\n", (unsigned long long)s->rows);
    names_print("ids", &s->ids, out);
    names_print("side", &s->side, out);
    names_print("find", &s->find, out);
    buf_printf(out, "end %08x\n", crc_of(buf_str(out)));
}

static bool take_u64(struct str *rest, uint64_t *out)
{
    struct str word;
    return str_split(rest, ' ', &word) && str_to_u64(word, out);
}

/* "word number number" lines; what the first word may be is up to the caller. */
static bool line_is(struct str line, const char *word, struct str *rest)
{
    size_t n = strlen(word);
    *rest = str_after(line, n + 1);
    return line.n > n && str_eq_z(str_sub(line, 0, n), word) && line.p[n] == ' ';
}

static bool read_name(struct str rest, struct run_name *out)
{
    return take_u64(&rest, &out->name) && take_u64(&rest, &out->n) && rest.n == 0 && out->n > 0;
}

/* A line of an index; false when it is wrong. *is: it was one. */
static bool read_names(struct str line, const char *word, const char *tail_word,
                       struct run_names *names, bool *is)
{
    struct str rest;
    *is = true;
    if (line_is(line, tail_word, &rest))
        return names->tail.n == 0 && read_name(rest, &names->tail) && names->tail.n <= TAIL_RECORDS;
    *is = line_is(line, word, &rest);
    return !*is || (names->n < RUNS_MAX && read_name(rest, &names->list[names->n++]));
}

static bool read_root(struct arena *a, struct str text, uint8_t root[HASH_LEN])
{
    struct str raw;
    if (codec_base64(a, text, &raw) != ERR_OK || raw.n != HASH_LEN)
        return false;
    memcpy(root, raw.p, HASH_LEN);
    return true;
}

static bool read_line(struct arena *a, struct str line, struct state *s, unsigned *seen)
{
    struct str rest;
    uint64_t v;
    bool is, good = read_names(line, "ids", "ids-tail", &s->ids, &is);
    if (!is)
        good = read_names(line, "side", "side-tail", &s->side, &is);
    if (!is)
        good = read_names(line, "find", "find-tail", &s->find, &is);
    if (is)
        return good;
    const struct {
        const char *word;
        uint64_t *to;
    } numbers[] = {{"epoch", &v},
                   {"wal", &s->wal},
                   {"size", &s->size},
                   {"sealed", &s->sealed},
                   {"rows", &s->rows}};
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        if (!line_is(line, numbers[i].word, &rest))
            continue;
        *seen |= 1u << i;
        if (!take_u64(&rest, numbers[i].to))
            return false;
        if (i == 0)
            s->epoch = (uint32_t)v;
        return i == 3 ? read_root(a, rest, s->root) : rest.n == 0;
    }
    return false;
}

enum err state_parse(struct arena *a, struct str text, struct state *out)
{
    struct str line, rest = text, end;
    unsigned seen = 0;
    size_t lines = 0;
    *out = (struct state){0};
    for (size_t i = 0; i < text.n; i++)
        lines += text.p[i] == '\n';
    if (text.n < 14 || text.p[text.n - 1] != '\n' || lines > 3 * RUNS_MAX)
        return ERR_CORRUPT;
    out->ids.list = arena_array(a, struct run_name, lines);
    out->side.list = arena_array(a, struct run_name, lines);
    out->find.list = arena_array(a, struct run_name, lines);
    if (!str_split(&rest, '\n', &line))
        return ERR_CORRUPT;
    out->no_find = str_eq_z(line, "socle journal state 1");
    if (!out->no_find && !str_eq_z(line, "socle journal state 2"))
        return ERR_CORRUPT;
    while (str_split(&rest, '\n', &line) && !line_is(line, "end", &end))
        if (!read_line(a, line, out, &seen))
            return ERR_CORRUPT;
    struct str crc = arena_printf(a, "%08x", crc_of(str_sub(text, 0, text.n - 13)));
    bool good = line_is(line, "end", &end) && str_eq(end, crc) && rest.n == 0 && seen == 31 &&
                out->sealed <= out->size && out->epoch > 0 && out->epoch < 65536;
    return good ? ERR_OK : ERR_CORRUPT;
}

enum err state_read(int folder, const char *path, struct arena *a, struct state *out)
{
    struct str text;
    enum err e = disk_read(folder, path, a, STATE_MAX, &text);
    return e == ERR_OK ? state_parse(a, text, out) : e;
}
