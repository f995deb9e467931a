#include "nn/kernel/kernel.h"
#include "nn/kernel/loops.h"

WHY_KERNEL_TABLE(why_kernels_reference, );
