/* Frames and messages of strangers' programs. */
#include "core/traces/traces.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct arena a;
    struct str rest = str_of(p, n), frame;
    struct trace_event e;
    enum err err;
    arena_init(&a);
    while (trace_frame_next(&rest, &frame, &err)) {
        trace_event_from_syslog(&a, frame, 1000, &e);
        for (size_t i = 0; i < TRACE_TEXTS; i++)
            if (!str_is_utf8(e.texts[i]) || e.texts[i].n > TRACE_TEXT_MAX)
                __builtin_trap();
    }
    trace_event_from_syslog(&a, str_of(p, n), 1000, &e);
    (void)trace_event_words(&a, &e);
    arena_free(&a);
    return 0;
}
