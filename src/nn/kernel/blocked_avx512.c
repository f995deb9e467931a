/* 16 lanes, 32 registers. */
#if defined(__x86_64__)
#define WHY_WIDTH 16
#define WHY_PIXELS 14
#include "nn/kernel/body.h"

WHY_BLOCKED_TABLE(why_blocked_avx512);
#endif
