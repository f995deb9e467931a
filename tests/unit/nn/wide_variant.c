/* The blocked kernels with 16 lanes, as AVX-512 has them, compiled for AVX2: slow, but the same code, for machines without. */
#define WHY_WIDTH 16
#define WHY_PIXELS 14
#include "nn/kernel/body.h"

WHY_BLOCKED_TABLE(wide_variant);
