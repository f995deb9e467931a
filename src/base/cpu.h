/* What this CPU can do, and how to pretend it can do less. */
#ifndef WHYPIX_BASE_CPU_H
#define WHYPIX_BASE_CPU_H

#include "whypix/status.h"

/* Each class includes the ones before it. */
typedef enum why_isa { WHY_ISA_GENERIC, WHY_ISA_AVX2, WHY_ISA_AVX512, WHY_ISA_AMX, WHY_ISA_COUNT } why_isa;

why_isa why_cpu_isa(void);                /* the best this machine has */
/* That, or less where the environment's WHYPIX_CPU names a class. WHY_EARG: it is no class, or one that this machine lacks. */
why_status why_cpu_isa_wanted(why_isa *out) WHY_MUST_USE;
const char *why_isa_name(why_isa isa);    /* generic avx2 avx512 amx */
why_status why_isa_parse(const char *name, why_isa *out) WHY_MUST_USE;
void why_cpu_model(char out[64]);         /* "AMD EPYC", "unknown" */
int why_cpu_count(void);                  /* cores this process may use */

#endif
