/* Maps that a run has left, read back. */
#ifndef WHYPIX_RUN_MAP_FILE_H
#define WHYPIX_RUN_MAP_FILE_H

#include "whypix/status.h"

/* The map called `name` ("IMAGE/CELL.npy") in a folder of files, archives or both; h*w values, owned. *map NULL: it is not there. */
why_status why_map_file_load(const char *maps_dir, const char *name, float **map, int *h, int *w) WHY_MUST_USE;

#endif
