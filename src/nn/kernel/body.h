/* All bodies and the table of them: WHY_BLOCKED_TABLE(name). */
#ifndef WHYPIX_NN_BODY_H
#define WHYPIX_NN_BODY_H

#include "nn/kernel/body_chains.h"
#include "nn/kernel/body_dense.h"
#include "nn/kernel/body_planes.h"
#include "nn/kernel/body_product.h"
#include "nn/kernel/body_winograd.h"

#define WHY_BLOCKED_TABLE(name)                                                                                                            \
    const why_blocked name = {WHY_WIDTH,    WHY_PIXELS, multiply, gather,   winograd,  stem,  depthwise, max_pool,                         \
                              average_pool, mean,       scale,    to_block, to_planes, dense, chains}

#endif
