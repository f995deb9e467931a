/* Vectors of WHY_WIDTH floats in the compilers' own notation, for the bodies of the blocked kernels (blocked.h). A file that
 * makes a table of them sets WHY_WIDTH and WHY_PIXELS and is compiled for its instruction set, with contraction of a * b + c
 * to one fused operation, as a flag of that file alone (CMakeLists.txt). */
#ifndef WHYPIX_NN_VEC_H
#define WHYPIX_NN_VEC_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "nn/kernel/blocked.h"

/* A register tile is 2 vectors of outputs times WHY_PIXELS pixels: with two weights and a broadcast it fills 16 registers
 * (6 pixels, AVX2) or 32 (14 pixels, AVX-512). */
#ifndef WHY_WIDTH
#define WHY_WIDTH  8
#define WHY_PIXELS 6
#endif

/* Vectors never cross a call that is not inlined, so the calling convention does not matter. */
#pragma GCC diagnostic ignored "-Wpsabi"

#define VEC_INLINE static inline __attribute__((always_inline))
#if defined(__clang__)
#define VEC_UNROLL _Pragma("unroll")
#else
#define VEC_UNROLL _Pragma("GCC unroll 36")
#endif

typedef float vec __attribute__((vector_size(4 * WHY_WIDTH), may_alias));
typedef float vec_loose __attribute__((vector_size(4 * WHY_WIDTH), aligned(4), may_alias));
typedef int32_t vec_mask __attribute__((vector_size(4 * WHY_WIDTH), may_alias));

VEC_INLINE vec vec_load(const float *p) { return *(const vec *)p; }
VEC_INLINE vec vec_load_any(const float *p) { return *(const vec_loose *)p; }
VEC_INLINE void vec_store(float *p, vec v) { *(vec *)p = v; }
VEC_INLINE vec vec_all(float x) { return x - (vec){0}; }
VEC_INLINE vec vec_select(vec_mask m, vec yes, vec no) { return (vec)((m & (vec_mask)yes) | (~m & (vec_mask)no)); }
/* NaN stays NaN in both. */
VEC_INLINE vec vec_clamp(vec x, vec lo, vec hi) {
    x = vec_select(x < lo, lo, x);
    return vec_select(x > hi, hi, x);
}
VEC_INLINE vec vec_larger(vec a, vec b) { return vec_select((b > a) | (b != b), b, a); }

/* n split into equal parts of at most `most`: the next one. */
VEC_INLINE int next_part(int n, int most) {
    const int parts = (n + most - 1) / most;
    return (n + parts - 1) / parts;
}

/* ---------------------------------------------------------------- finishing sums */
struct finish {
    const float *bias, *add;
    bool clamps;
    vec lo, hi;
};

VEC_INLINE struct finish finish_begin(const why_finish *f) {
    return (struct finish){f->bias, f->add, f->clamp.on, vec_all(f->clamp.lo), vec_all(f->clamp.hi)};
}

/* `bias` of this block, and where the other map has this pixel (NULL: there is none). */
VEC_INLINE vec finish_one(const struct finish *f, vec v, vec bias, const float *add) {
    v += bias;
    if (add) v += vec_load(add);
    return f->clamps ? vec_clamp(v, f->lo, f->hi) : v;
}

VEC_INLINE vec finish_bias(const struct finish *f, int block) {
    return f->bias ? vec_load(f->bias + (ptrdiff_t)block * WHY_WIDTH) : (vec){0};
}

#endif
