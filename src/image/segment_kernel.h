/* The inner loop of quickshift's density: 16 million exponentials for a 224 x 224 picture. */
#ifndef WHYPIX_IMAGE_SEGMENT_KERNEL_H
#define WHYPIX_IMAGE_SEGMENT_KERNEL_H

#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"

/* out[i] = exp(scale * (|a_i - b_i|^2 + d2)) for n pixels at a against n at b; colours in three planes, `plane` apart.
 * scale <= 0. Exponents below -700 count as -700. */
typedef void why_kernel_row(const double *a, const double *b, size_t plane, int n, double d2, double scale, double *out);

/* The variant for a CPU; all give the same bits. */
why_kernel_row *why_kernel_row_for(why_isa isa);

#endif
