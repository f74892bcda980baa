/* QR codes, drawn without a script or an image: a path for an SVG of the page. */
#ifndef PLATFORM_QR_H
#define PLATFORM_QR_H

#include <jansson.h>
#include "base/str.h"

/* {"size", "path"}; the caller owns it. NULL: longer than a code may be. */
json_t *qr_svg(struct str text);

#endif
