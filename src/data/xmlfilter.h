/* An XML document cut down to the fields a contract allows: one pass, nothing built, default deny,
 * by the same compiled list as JSON (docs/formats/contract.md). */
#ifndef DATA_XMLFILTER_H
#define DATA_XMLFILTER_H

#include "data/jsonfilter.h"

/* A path's first name is a child of the document's element; names are as written, prefixes
 * included; "@id" is an attribute; repeated elements are transparent. A path that ends at an
 * element allows all in it. On the way to allowed paths elements are kept with their namespace
 * declarations only; their text, other attributes, comments everywhere are dropped.
 *
 * A question is answered in the element's content, in place of what is there: "path?" is false for
 * nothing, "false" and "0", true for the rest; a bound is compared with a JSON number. Content with
 * a reference or a CDATA section is not answered, and the element not kept.
 *
 * ERR_INVALID, and out is to be thrown away: not well-formed, not UTF-8, XML 1.1, a document type,
 * an entity but XML's five, a processing instruction, over 32 levels, 32 attributes of an element,
 * a namespace declaration of over 256 bytes. ERR_LIMIT: out's ceiling. `seen` is told the content's
 * bytes as delivered (an attribute's: between its quotes), an element's when it ends. */
enum err xml_filter_run(const struct json_filter *f, struct str in, struct buf *out,
                        json_filter_seen *seen, void *arg) MUST_CHECK;

#endif
