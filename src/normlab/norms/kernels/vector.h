/* Blocks of 8 floats, read from and written to float32 and bfloat16.

   Every sum in these files is taken in an order that the source fixes: 8 lanes, a tree over them,
   no fused multiply-add. So the same input gives the same bits on every processor and from every
   compiler (-ffp-contract=off), whatever registers it has. */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define LANES 8
/* Values that float32 sums take in at most before they go on in double. */
#define CHUNK 4096
/* Squared distance of a guess from the mean, in variances, from which on sums about it are taken
   again, and how often at most. */
#define FAR 16
#define TRIES 3

/* What is summed over values x with gradients dy and weights w, a and b at once:
     SUM       a: x
     SQUARES   a: x^2
     CENTRED   a: x - m     b: (x - m)^2
     PRODUCTS  a: w dy      b: w dy (x - m)
     RMS       a: x^2       b: w dy x */
enum { SUM, SQUARES, CENTRED, PRODUCTS, RMS };

#define INLINE static inline __attribute__((always_inline, unused))

typedef float quad __attribute__((vector_size(16)));
#ifdef WIDE_REGISTERS
typedef float floats __attribute__((vector_size(32)));
typedef uint32_t words __attribute__((vector_size(32)));
typedef uint16_t halves __attribute__((vector_size(16)));
#define PARTS 1
typedef struct {
    floats low;
} block;
#define EACH(operation) operation(low)
#else
typedef float floats __attribute__((vector_size(16)));
typedef uint32_t words __attribute__((vector_size(16)));
typedef uint16_t halves __attribute__((vector_size(8)));
#define PARTS 2
typedef struct {
    floats low, high;
} block;
#define EACH(operation) operation(low) operation(high)
#endif

INLINE block all(float value)
{
    block out;
#define FILL(part) out.part = value - (floats){0};
    EACH(FILL)
    return out;
}

#define OPERATION(name, sign)                                                                      \
    INLINE block name(block a, block b)                                                            \
    {                                                                                              \
        EACH(sign)                                                                                 \
        return a;                                                                                  \
    }
#define PLUS(part) a.part += b.part;
#define MINUS(part) a.part -= b.part;
#define TIMES(part) a.part *= b.part;
OPERATION(add, PLUS)
OPERATION(sub, MINUS)
OPERATION(mul, TIMES)

/* 1 / sqrt(value) of four at once: as many divisions one by one take longer than the rest of a norm
   over a narrow row. */
INLINE void reciprocal_roots(const double values[4], double roots[4])
{
#ifdef WIDE_REGISTERS
    __m256d root = _mm256_sqrt_pd(_mm256_loadu_pd(values));
    _mm256_storeu_pd(roots, _mm256_div_pd(_mm256_set1_pd(1), root));
#else
    for (int k = 0; k < 4; k++)
        roots[k] = 1 / sqrt(values[k]);
#endif
}

INLINE void divide_four(double values[4], double by)
{
#ifdef WIDE_REGISTERS
    _mm256_storeu_pd(values, _mm256_div_pd(_mm256_loadu_pd(values), _mm256_set1_pd(by)));
#else
    for (int k = 0; k < 4; k++)
        values[k] /= by;
#endif
}

/* The sum of 8 lanes: each with the fourth after it, then with the second, then with the next. */
INLINE float total(block a)
{
    quad half[2], sum;
    memcpy(half, &a, sizeof half);
    sum = half[0] + half[1];
    return (sum[0] + sum[2]) + (sum[1] + sum[3]);
}

/* The same of each of four blocks, and 0 added. */
INLINE void totals_of_four(const block a[4], double totals[4])
{
#ifdef WIDE_REGISTERS
    __m128 half[4];
    for (int k = 0; k < 4; k++)
        half[k] = _mm_add_ps(_mm256_castps256_ps128((__m256)a[k].low),
                             _mm256_extractf128_ps((__m256)a[k].low, 1));
    _MM_TRANSPOSE4_PS(half[0], half[1], half[2], half[3]);
    __m128 sum = _mm_add_ps(_mm_add_ps(half[0], half[2]), _mm_add_ps(half[1], half[3]));
    _mm256_storeu_pd(totals, _mm256_add_pd(_mm256_setzero_pd(), _mm256_cvtps_pd(sum)));
#else
    for (int k = 0; k < 4; k++)
        totals[k] = 0.0 + (double)total(a[k]);
#endif
}

INLINE block load_float32(const float *from)
{
    block out;
    memcpy(&out, from, sizeof out);
    return out;
}

INLINE void store_float32(float *to, block value)
{
    memcpy(to, &value, sizeof value);
}

/* Rounded to the nearest, ties to even, in the lower half of each word. What is not a number gives
   one: the carry of its last bits would turn it into -0. */
INLINE words rounded(floats real)
{
    words bits = (words)real, is_nan = (words)(real != real);
    words up = bits + 0x7fff + ((bits >> 16) & 1);
    return (up | (is_nan & 0x7fc00000)) >> 16;
}

#ifdef WIDE_REGISTERS
/* Written by hand: GCC makes six instructions of a conversion for which there is one. */
INLINE floats widen(const uint16_t *from)
{
    __m128i half = _mm_loadu_si128((const __m128i *)from);
    return (floats)_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16);
}

INLINE void narrow(uint16_t *to, floats real)
{
    __m256i word = (__m256i)rounded(real);
    __m256i half = _mm256_permute4x64_epi64(_mm256_packus_epi32(word, word), 0x08);
    _mm_storeu_si128((__m128i *)to, _mm256_castsi256_si128(half));
}

/* Both at once: half the packing. */
INLINE void narrow_two(uint16_t *to, floats first, floats second)
{
    __m256i half = _mm256_packus_epi32((__m256i)rounded(first), (__m256i)rounded(second));
    _mm256_storeu_si256((__m256i *)to, _mm256_permute4x64_epi64(half, 0xd8));
}
#else
INLINE floats widen(const uint16_t *from)
{
    halves half;
    memcpy(&half, from, sizeof half);
    return (floats)(__builtin_convertvector(half, words) << 16);
}

INLINE void narrow(uint16_t *to, floats real)
{
    halves half = __builtin_convertvector(rounded(real), halves);
    memcpy(to, &half, sizeof half);
}
#endif

INLINE block load_bfloat16(const uint16_t *from)
{
    block out;
    out.low = widen(from);
#if PARTS == 2
    out.high = widen(from + LANES / 2);
#endif
    return out;
}

INLINE void store_bfloat16(uint16_t *to, block value)
{
    narrow(to, value.low);
#if PARTS == 2
    narrow(to + LANES / 2, value.high);
#endif
}

/* Two blocks side by side. */
INLINE void store_two_float32(float *to, block first, block second)
{
    store_float32(to, first);
    store_float32(to + LANES, second);
}

INLINE void store_two_bfloat16(uint16_t *to, block first, block second)
{
#if PARTS == 1
    narrow_two(to, first.low, second.low);
#else
    store_bfloat16(to, first);
    store_bfloat16(to + LANES, second);
#endif
}

/* Adds float32 sums to double ones, and begins them again. */
INLINE void flush(float *sums, double *totals, long n)
{
    for (long i = 0; i < n; i++) {
        totals[i] += sums[i];
        sums[i] = 0;
    }
}

INLINE float real_of_bfloat16(uint16_t value)
{
    uint32_t bits = (uint32_t)value << 16;
    float real;
    memcpy(&real, &bits, sizeof real);
    return real;
}
