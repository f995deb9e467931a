/* 8 lanes, 16 registers. */
#if defined(__x86_64__)
#define WHY_WIDTH 8
#define WHY_PIXELS 6
#include "nn/kernel/body.h"

WHY_BLOCKED_TABLE(why_blocked_avx2);
#endif
