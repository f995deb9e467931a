/* Kernels by instruction set: the reference, overlaid by what this CPU can do better. */
#include "base/cpu.h"
#include "nn/kernel/blocked.h"
#include "nn/kernel/kernel.h"
#include "nn/kernel/loops.h"

#if defined(__x86_64__)
WHY_KERNEL_TABLE(why_kernels_avx2, __attribute__((target("avx2"))));
#endif

why_status why_blocked_of_cpu(const why_blocked **out) {
    why_isa isa;
    *out = NULL;
    WHY_TRY(why_cpu_isa_wanted(&isa));
#if defined(__x86_64__)
    if (isa >= WHY_ISA_AVX2) *out = &why_blocked_avx2;
    if (isa >= WHY_ISA_AVX512) *out = &why_blocked_avx512;
#endif
    return WHY_OK;
}

const why_kernels *why_kernels_of_cpu(void) {
#if defined(__x86_64__)
    if (why_cpu_isa() >= WHY_ISA_AVX2) return &why_kernels_avx2;
#endif
    return &why_kernels_reference;
}
