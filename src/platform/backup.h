/* Backup and restore of one node's folder (SQLite; PostgreSQL has its own tools for the database).
 */
#ifndef PLATFORM_BACKUP_H
#define PLATFORM_BACKUP_H

#include "platform/settings.h"

int backup_main(const struct settings *s, int argc, char **argv);
int restore_main(const struct settings *s, int argc, char **argv);

#endif
