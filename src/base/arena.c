#include "base/arena.h"

#include <stdio.h>
#include <stdlib.h>

enum { BLOCK_BYTES = 16 * 1024, ALIGN = 16 };

struct arena_block {
    struct arena_block *next;
    size_t size, used;
    _Alignas(ALIGN) char data[];
};

void arena_init(struct arena *a)
{
    *a = (struct arena){0};
}

void arena_init_secret(struct arena *a)
{
    *a = (struct arena){.secret = true};
}

static void block_free(struct arena *a, struct arena_block *b)
{
    if (a->secret)
        mem_wipe(b->data, b->used);
    free(b);
}

void arena_reset(struct arena *a)
{
    struct arena_block *b = a->head;
    while (b && b->next) {
        struct arena_block *next = b->next;
        block_free(a, b);
        b = next;
    }
    if (b && b->size > BLOCK_BYTES) {
        block_free(a, b);
        b = NULL;
    }
    if (b) {
        if (a->secret)
            mem_wipe(b->data, b->used);
        b->used = 0;
    }
    a->head = b;
    a->used_bytes = 0;
}

void arena_free(struct arena *a)
{
    while (a->head) {
        struct arena_block *next = a->head->next;
        block_free(a, a->head);
        a->head = next;
    }
    a->used_bytes = 0;
}

void *arena_alloc(struct arena *a, size_t size_bytes)
{
    size_t n = (size_bytes + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    if (n < size_bytes)
        abort();
    if (!a->head || a->head->size - a->head->used < n) {
        size_t size = n > BLOCK_BYTES ? n : BLOCK_BYTES;
        struct arena_block *b = malloc(sizeof *b + size);
        if (!b)
            abort();
        *b = (struct arena_block){.next = a->head, .size = size};
        a->head = b;
    }
    void *p = a->head->data + a->head->used;
    a->head->used += n;
    a->used_bytes += n;
    return memset(p, 0, n);
}

void *arena_alloc_array(struct arena *a, size_t n, size_t size_bytes)
{
    size_t total;
    if (__builtin_mul_overflow(n, size_bytes, &total))
        abort();
    return arena_alloc(a, total);
}

struct str arena_dup(struct arena *a, struct str s)
{
    char *p = arena_alloc(a, s.n + 1);
    if (s.n)
        memcpy(p, s.p, s.n);
    return (struct str){p, s.n};
}

char *arena_dupz(struct arena *a, struct str s)
{
    return (char *)arena_dup(a, s).p;
}

struct str arena_vprintf(struct arena *a, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    if (n < 0)
        abort();
    char *p = arena_alloc(a, (size_t)n + 1);
    vsnprintf(p, (size_t)n + 1, fmt, again);
    va_end(again);
    return (struct str){p, (size_t)n};
}

struct str arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    struct str s = arena_vprintf(a, fmt, ap);
    va_end(ap);
    return s;
}
