/* Counter-based random streams (Philox 4x32-10 of Random123; Salmon et al. 2011).
 *
 * A draw is a pure function of (stream, sample, index): no state travels between samples, so any thread or rank can
 * make sample 731 first. A stream is named by what it is for, never by when it is used. */
#ifndef WHYPIX_RNG_H
#define WHYPIX_RNG_H

#include <stdint.h>

/* What draws belong to: (job seed, image, use). `use` comes from the canonical text of the method and its repeat, so
 * that targets and budget prefixes of one method share their draws and a grown job keeps them. */
typedef struct why_stream {
    uint64_t key;     /* mixes the three */
} why_stream;

why_stream why_stream_of(uint64_t job_seed, uint64_t image_key, const char *use);

/* A generator over one sample of a stream. */
typedef struct why_rng {
    uint32_t key[2], ctr[4], out[4];
    int left;
} why_rng;

why_rng why_rng_at(why_stream s, uint64_t sample);
uint32_t why_rng_u32(why_rng *r);
double why_rng_uniform(why_rng *r);            /* [0, 1), 53 bits */
double why_rng_normal(why_rng *r);             /* N(0, 1), Box-Muller */
uint32_t why_rng_below(why_rng *r, uint32_t n); /* 0..n-1, without bias; n >= 1 */

/* numpy.random.RandomState's generator (MT19937 with init_genrand), for reference modes that replay a peer's seed. */
typedef struct why_mt19937 {
    uint32_t s[624];
    int i;
} why_mt19937;
void why_mt19937_seed(why_mt19937 *g, uint32_t seed);
uint32_t why_mt19937_u32(why_mt19937 *g);
double why_mt19937_uniform(why_mt19937 *g); /* RandomState.random_sample: [0, 1), 53 bits */
/* RandomState.randint(0, n) for 1 <= n < 2^32 as numpy draws it (masked rejection; nothing is drawn for n = 1). */
uint32_t why_mt19937_below(why_mt19937 *g, uint32_t n);

#endif
