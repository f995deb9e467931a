/* The peak of a core: chains of fused multiply-adds that never leave the registers, enough of them to hide the latency. */
#ifndef WHYPIX_NN_BODY_CHAINS_H
#define WHYPIX_NN_BODY_CHAINS_H

#include "nn/kernel/vec.h"

static float chains(int64_t steps) {
    vec sum[WHY_CHAINS], total = {0};
    const vec a = vec_all(0.5f), b = vec_all(1.0f);
    for (int k = 0; k < WHY_CHAINS; k++) sum[k] = vec_all((float)k); /* equal chains would be computed once */
    for (int64_t i = 0; i < steps; i++) {
        VEC_UNROLL for (int k = 0; k < WHY_CHAINS; k++) sum[k] = sum[k] * a + b;
    }
    for (int k = 0; k < WHY_CHAINS; k++) total += sum[k];
    return total[0];
}

#endif
