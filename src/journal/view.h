/* What a reader sees at one moment. Private to this folder. */
#ifndef JOURNAL_VIEW_H
#define JOURNAL_VIEW_H

#include "journal/find.h"
#include "journal/journal.h"
#include "journal/side.h"

/* What one `state` lists. */
struct view {
    _Atomic int refs;
    uint32_t epoch;
    uint64_t size, rows;
    struct runs *ids, *side, *find;
    struct str text; /* malloc'ed: to see whether the file is another one */
};
/* The current view, to be given back. ERR_NOT_FOUND: nothing was written yet. */
enum err view_get(struct journal_reader *r, struct view **out) MUST_CHECK;
void view_unref(struct view *v);

struct view_log {
    int folder; /* to be closed when it is a past one */
    bool past;
    uint64_t size;
};
/* Log 0 is the one under way. */
enum err view_log_get(struct journal_reader *r, const struct view *v, unsigned log,
                      struct view_log *out) MUST_CHECK;
void view_log_put(const struct view_log *l);

static inline struct journal_at view_at(const struct view *v, uint64_t place)
{
    return (struct journal_at){v->epoch - place_epoch(place), place_index(place)};
}

#endif
