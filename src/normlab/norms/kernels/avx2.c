/* The kernels for x86 processors with AVX2. Elsewhere this file is empty. */

#if defined(__x86_64__)
#include <immintrin.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#else
#pragma GCC target("avx2")
#endif
#define PROCESSOR avx2
#define WIDE_REGISTERS
#include "body.h"
#ifdef __clang__
#pragma clang attribute pop
#endif
#endif
