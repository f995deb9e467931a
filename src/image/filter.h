#ifndef WHYPIX_IMAGE_FILTER_H
#define WHYPIX_IMAGE_FILTER_H

#include "whypix/status.h"

/* scipy.ndimage.gaussian_filter on one h x w plane, in place: radius floor(4 sigma + .5), borders mirrored with the edge
 * pixel repeated. sigma = 0 leaves the plane alone. */
why_status why_smooth_plane(double *plane, int h, int w, double sigma) WHY_MUST_USE;

#endif
