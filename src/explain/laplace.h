/* Hidden pixels as the weighted means of those around them: what ROAD paints (Rong et al. 2022). */
#ifndef WHYPIX_EXPLAIN_LAPLACE_H
#define WHYPIX_EXPLAIN_LAPLACE_H

#include <stddef.h>
#include <stdint.h>

#define WHY_LAPLACE_RESIDUAL 1e-6 /* largest difference of a pixel from the mean of its neighbours, at most */

/* Solve for the pixels with shown[i] == 0, of which there are some but not all: each equals the mean of its eight neighbours,
 * direct ones weighing twice as much as diagonal ones, those outside the image left out. rgb: h*w*3; the shown pixels are
 * read, the hidden ones written. scratch: why_laplace_scratch bytes, aligned for double, any contents. */
void why_laplace(const uint8_t *shown, int h, int w, void *scratch, float *rgb);
size_t why_laplace_scratch(int h, int w);

#endif
