#include "whypix/rng.h"

#include <math.h>
#include <stddef.h>

#include <Random123/philox.h>

#include "base/file.h"
#include "base/buf.h"

why_stream why_stream_of(uint64_t job_seed, uint64_t image_key, const char *use) {
    char hex[65];
    why_buf text = {0};
    why_buf_printf(&text, "%016llx %016llx ", (unsigned long long)job_seed, (unsigned long long)image_key);
    why_buf_text(&text, use);
    why_sha256(text.data, text.size, hex);
    why_buf_clear(&text);
    return (why_stream){why_sha256_key(hex)};
}

why_rng why_rng_at(why_stream s, uint64_t sample) {
    return (why_rng){.key = {(uint32_t)s.key, (uint32_t)(s.key >> 32)}, .ctr = {0, 0, (uint32_t)sample, (uint32_t)(sample >> 32)}};
}

uint32_t why_rng_u32(why_rng *r) {
    if (r->left == 0) {
        philox4x32_key_t key = {{r->key[0], r->key[1]}};
        philox4x32_ctr_t ctr = {{r->ctr[0], r->ctr[1], r->ctr[2], r->ctr[3]}};
        philox4x32_ctr_t out = philox4x32(ctr, key);
        for (int i = 0; i < 4; i++) r->out[i] = out.v[i];
        if (++r->ctr[0] == 0) r->ctr[1]++;
        r->left = 4;
    }
    return r->out[4 - r->left--];
}

double why_rng_uniform(why_rng *r) {
    uint64_t hi = why_rng_u32(r) >> 5, lo = why_rng_u32(r) >> 6; /* 27 + 26 bits */
    return (double)(hi << 26 | lo) / 9007199254740992.0;
}

double why_rng_normal(why_rng *r) {
    double u = 1.0 - why_rng_uniform(r), v = why_rng_uniform(r); /* u in (0, 1] */
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586476925 * v);
}

uint32_t why_rng_below(why_rng *r, uint32_t n) {
    uint32_t unfair = (uint32_t)(0x100000000ull % n); /* values that would favour small results */
    for (;;) {
        uint32_t v = why_rng_u32(r);
        if (v >= unfair) return (v - unfair) % n;
    }
}

/* ---------------------------------------------------------------- MT19937 (Matsumoto and Nishimura 1998) */
void why_mt19937_seed(why_mt19937 *g, uint32_t seed) {
    g->s[0] = seed;
    for (uint32_t i = 1; i < 624; i++) g->s[i] = 1812433253u * (g->s[i - 1] ^ g->s[i - 1] >> 30) + i;
    g->i = 624;
}

static void refill(why_mt19937 *g) {
    for (int i = 0; i < 624; i++) {
        uint32_t y = (g->s[i] & 0x80000000u) | (g->s[(i + 1) % 624] & 0x7fffffffu);
        g->s[i] = g->s[(i + 397) % 624] ^ y >> 1 ^ ((y & 1) ? 0x9908b0dfu : 0);
    }
    g->i = 0;
}

uint32_t why_mt19937_u32(why_mt19937 *g) {
    if (g->i == 624) refill(g);
    uint32_t y = g->s[g->i++];
    y ^= y >> 11;
    y ^= y << 7 & 0x9d2c5680u;
    y ^= y << 15 & 0xefc60000u;
    return y ^ y >> 18;
}

double why_mt19937_uniform(why_mt19937 *g) {
    uint64_t hi = why_mt19937_u32(g) >> 5, lo = why_mt19937_u32(g) >> 6;
    return (double)(hi << 26 | lo) / 9007199254740992.0;
}

uint32_t why_mt19937_below(why_mt19937 *g, uint32_t n) {
    if (n <= 1) return 0; /* numpy draws nothing when there is no choice */
    uint32_t mask = n - 1, v;
    for (int s = 1; s < 32; s *= 2) mask |= mask >> s;
    do v = why_mt19937_u32(g) & mask;
    while (v >= n);
    return v;
}
