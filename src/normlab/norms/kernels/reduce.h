/* Sums over values, of which body.h says whether they are float32 or bfloat16 (T, LOAD, STORE). */

/* A block of the last n < 8 values, filled up with a number that adds nothing to a sum. */
INLINE block NAME(load_rest)(const T *from, long n, float fill)
{
    T values[LANES] = {0};
    float lane[LANES];
    memcpy(values, from, n * sizeof(T));
    store_float32(lane, LOAD(values));
    for (long i = n; i < LANES; i++)
        lane[i] = fill;
    return load_float32(lane);
}

INLINE void NAME(store_rest)(T *to, long n, block value)
{
    T values[LANES];
    STORE(values, value);
    memcpy(to, values, n * sizeof(T));
}

/* The terms of 8 values, added to a and b. */
INLINE void NAME(term)(block x, block g, block m, int what, block *a, block *b)
{
    if (what == SUM)
        *a = add(*a, x);
    if (what == SQUARES || what == RMS)
        *a = add(*a, mul(x, x));
    if (what == RMS)
        *b = add(*b, mul(g, x));
    if (what == CENTRED || what == PRODUCTS)
        x = sub(x, m);
    if (what == CENTRED) {
        *a = add(*a, x);
        *b = add(*b, mul(x, x));
    }
    if (what == PRODUCTS) {
        *a = add(*a, g);
        *b = add(*b, mul(g, x));
    }
}

/* The gradient dy, or w dy where there is a weight. */
INLINE block NAME(gradient)(const T *dy, const float *w, long i, int what)
{
    if (what != PRODUCTS && what != RMS)
        return all(0);
    block g = LOAD(dy + i);
    return w ? mul(load_float32(w + i), g) : g;
}

INLINE block NAME(gradient_rest)(const T *dy, const float *w, long i, long n, int what)
{
    if (what != PRODUCTS && what != RMS)
        return all(0);
    block g = NAME(load_rest)(dy + i, n, 0);
    float weight[LANES] = {0};
    if (w)
        memcpy(weight, w + i, n * sizeof(float));
    return w ? mul(load_float32(weight), g) : g;
}

/* Both sums over `runs` times n values side by side, `stride` apart, CHUNK at most together, by four
   chains of 8 lanes; lane by lane. */
INLINE void NAME(sum_lanes)(const T *x, const T *dy, const float *w, float mean, long n, long runs,
                            long stride, int what, block *a, block *b)
{
    block m = all(mean), zero = all(0);
    block a0 = zero, a1 = zero, a2 = zero, a3 = zero, b0 = zero, b1 = zero, b2 = zero, b3 = zero;
    for (long run = 0; run < runs; run++) {
        long i = 0;
#define TERM(chain, at)                                                                            \
    NAME(term)(LOAD(x + (at)), NAME(gradient)(dy, w, at, what), m, what, &a##chain, &b##chain)
        for (; i + 4 * LANES <= n; i += 4 * LANES) {
            TERM(0, i);
            TERM(1, i + LANES);
            TERM(2, i + 2 * LANES);
            TERM(3, i + 3 * LANES);
        }
        for (; i + LANES <= n; i += LANES)
            TERM(0, i);
#undef TERM
        if (i < n)
            NAME(term)(NAME(load_rest)(x + i, n - i, what == CENTRED ? mean : 0),
                       NAME(gradient_rest)(dy, w, i, n - i, what), m, what, &a1, &b1);
        x += stride;
        dy = dy ? dy + stride : dy;
    }
    *a = add(add(a0, a1), add(a2, a3));
    *b = add(add(b0, b1), add(b2, b3));
}

/* Adds both sums. */
INLINE void NAME(sum_chunk)(const T *x, const T *dy, const float *w, float mean, long n, long runs,
                            long stride, int what, double sums[2])
{
    block a, b;
    NAME(sum_lanes)(x, dy, w, mean, n, runs, stride, what, &a, &b);
    sums[0] += total(a);
    if (what != SUM && what != SQUARES)
        sums[1] += total(b);
}

/* The same in double, for values whose squares or sums are beyond float32. */
static void NAME(sum_in_double)(const T *x, const T *dy, const float *w, double mean, long n,
                                int what, double sums[2])
{
    sums[0] = sums[1] = 0;
    for (long i = 0; i < n; i++) {
        double value = REAL(x[i]), g = dy ? REAL(dy[i]) * (w ? (double)w[i] : 1.0) : 0;
        double d = value - mean;
        sums[0] += what == SUM ? value : what == CENTRED ? d : what == PRODUCTS ? g : value * value;
        sums[1] += what == CENTRED ? d * d : g * d;
    }
}

/* The same over any number of values: float32 within a chunk, double from chunk to chunk. */
INLINE void NAME(sum)(const T *x, const T *dy, const float *w, float mean, long n, int what,
                      double sums[2])
{
    sums[0] = sums[1] = 0;
    for (long i = 0; i < n; i += CHUNK) {
        long part = n - i < CHUNK ? n - i : CHUNK;
        NAME(sum_chunk)(x + i, dy ? dy + i : dy, w ? w + i : w, mean, part, 1, 0, what, sums);
    }
    if (!isfinite(sums[0]) || !isfinite(sums[1]))
        NAME(sum_in_double)(x, dy, w, mean, n, what, sums);
}

/* The same over n values, CHUNK at most, of each of four rows that lie `width` apart. */
INLINE void NAME(sums_of_four)(const T *x, const T *dy, const float *w, const float mean[4], long n,
                               long width, int what, double sums[2][4])
{
    block a[4], b[4];
    int finite = 1;
    for (int k = 0; k < 4; k++)
        NAME(sum_lanes)(x + k * width, dy ? dy + k * width : dy, w, mean[k], n, 1, 0, what, a + k,
                        b + k);
    totals_of_four(a, sums[0]);
    if (what != SUM && what != SQUARES)
        totals_of_four(b, sums[1]);
    else
        memset(sums[1], 0, sizeof sums[1]);
    for (int k = 0; k < 4; k++)
        finite &= isfinite(sums[0][k]) && isfinite(sums[1][k]);
    if (finite)
        return;
    for (int k = 0; k < 4; k++) {
        double own[2];
        NAME(sum)(x + k * width, dy ? dy + k * width : dy, w, mean[k], n, what, own);
        sums[0][k] = own[0];
        sums[1][k] = own[1];
    }
}

/* The same over `runs` runs of n values, `stride` apart. */
INLINE void NAME(sum_of_runs)(const T *x, const T *dy, float mean, long n, long runs, long stride,
                              int what, double sums[2])
{
    long at_once = n < CHUNK ? CHUNK / n : 0;
    sums[0] = sums[1] = 0;
    for (long run = 0; at_once && run < runs; run += at_once) {
        long count = runs - run < at_once ? runs - run : at_once;
        NAME(sum_chunk)(x + run * stride, dy ? dy + run * stride : dy, NULL, mean, n, count, stride,
                        what, sums);
    }
    if (at_once && isfinite(sums[0]) && isfinite(sums[1]))
        return;
    sums[0] = sums[1] = 0;
    for (long run = 0; run < runs; run++) {
        double own[2];
        NAME(sum)(x + run * stride, dy ? dy + run * stride : dy, NULL, mean, n, what, own);
        sums[0] += own[0];
        sums[1] += own[1];
    }
}
