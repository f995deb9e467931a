#define _GNU_SOURCE
#include "base/cpu.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const isa_names[] = {"generic", "avx2", "avx512", "amx"};
_Static_assert(sizeof isa_names / sizeof *isa_names == WHY_ISA_COUNT, "one name per class");

#if defined(__x86_64__)
#include <cpuid.h>
static int has_amx_bf16(void) {
    unsigned a, b, c, d;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return 0;
    return (d >> 22 & 1) && (d >> 24 & 1); /* AMX-BF16, AMX-TILE */
}
why_isa why_cpu_isa(void) {
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return WHY_ISA_GENERIC;
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") || !__builtin_cpu_supports("avx512vl") ||
        !__builtin_cpu_supports("avx512dq"))
        return WHY_ISA_AVX2;
    return has_amx_bf16() ? WHY_ISA_AMX : WHY_ISA_AVX512;
}
#else
why_isa why_cpu_isa(void) { return WHY_ISA_GENERIC; }
#endif

const char *why_isa_name(why_isa isa) { return isa_names[isa]; }

why_status why_isa_parse(const char *name, why_isa *out) {
    for (int i = 0; i < WHY_ISA_COUNT; i++)
        if (strcmp(name, isa_names[i]) == 0) {
            *out = (why_isa)i;
            return WHY_OK;
        }
    return why_fail(WHY_EARG, "CPU path '%s' is unknown: want generic, avx2, avx512 or amx", name);
}

why_status why_cpu_isa_wanted(why_isa *out) {
    const char *name = getenv("WHYPIX_CPU");
    const why_isa best = why_cpu_isa();
    *out = best;
    if (!name || !*name) return WHY_OK;
    why_status st = why_isa_parse(name, out);
    if (!st && *out > best) st = why_fail(WHY_EARG, "CPU path '%s' is not to be had on this machine, which has %s", name, why_isa_name(best));
    return st ? why_fail_in(st, "WHYPIX_CPU") : WHY_OK;
}

void why_cpu_model(char out[64]) {
    snprintf(out, 64, "unknown");
    FILE *f = fopen("/proc/cpuinfo", "r");
    char line[256], model[64];
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "model name : %63[^\n]", model) == 1) {
            memcpy(out, model, sizeof model);
            break;
        }
    if (f) fclose(f);
}

int why_cpu_count(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (int)n : 1;
}
