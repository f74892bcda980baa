/* Identity providers whose habits are known: what a body that already uses one has to say is its
 * client id, its secret and the address. */
#ifndef IDENTITY_PRESETS_H
#define IDENTITY_PRESETS_H

struct preset {
    const char *name, *id, *realm, *name_fr, *name_en, *min_acr;
    const char *path; /* of the issuer, below the address */
    const char *conf; /* JSON, as struct identity_provider's */
};
const struct preset *preset_find(const char *name); /* NULL: none of that name */

#endif
