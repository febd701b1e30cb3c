/* Sums over rows for each of `width` positions that lie side by side, and affine maps of values. */

/* Rows that float32 sums take in before they go on in double. */
#define ROWS_IN_FLOAT32 128

/* The sums of `rows` rows at 8 * `blocks` positions, blocks being 1 or 4. */
INLINE void NAME(tile)(const T *x, const T *dy, const float *m, long rows, long width, int what,
                       int blocks, float *a, float *b)
{
    block zero = all(0), m0 = load_float32(m), m1 = zero, m2 = zero, m3 = zero;
    block a0 = zero, a1 = zero, a2 = zero, a3 = zero, b0 = zero, b1 = zero, b2 = zero, b3 = zero;
    if (blocks == 4) {
        m1 = load_float32(m + LANES);
        m2 = load_float32(m + 2 * LANES);
        m3 = load_float32(m + 3 * LANES);
    }
#define TERM(i)                                                                                    \
    NAME(term)(LOAD(x + at + (i) * LANES), NAME(gradient)(dy, NULL, at + (i) * LANES, what), m##i, \
               what, &a##i, &b##i)
    for (long row = 0, at = 0; row < rows; row++, at += width) {
        TERM(0);
        if (blocks == 4) {
            TERM(1);
            TERM(2);
            TERM(3);
        }
    }
#undef TERM
    store_float32(a, a0);
    store_float32(b, b0);
    if (blocks == 4) {
        store_float32(a + LANES, a1);
        store_float32(a + 2 * LANES, a2);
        store_float32(a + 3 * LANES, a3);
        store_float32(b + LANES, b1);
        store_float32(b + 2 * LANES, b2);
        store_float32(b + 3 * LANES, b3);
    }
}

/* The same at the last n < 8 positions. */
INLINE void NAME(tile_rest)(const T *x, const T *dy, const float *m, long n, long rows, long width,
                            int what, float *a, float *b)
{
    block sum_a = all(0), sum_b = all(0);
    float means[LANES] = {0};
    memcpy(means, m, n * sizeof(float));
    for (long row = 0; row < rows; row++)
        NAME(term)(NAME(load_rest)(x + row * width, n, 0),
                   NAME(gradient_rest)(dy, NULL, row * width, n, what), load_float32(means), what,
                   &sum_a, &sum_b);
    store_float32(a, sum_a);
    store_float32(b, sum_b);
}

/* Adds to a and b (width,) the sums over the rows of x (rows, width), with m (width,). */
INLINE void NAME(column_sums)(const T *x, const T *dy, const float *m, long rows, long width,
                              int what, double *a, double *b)
{
    for (long first = 0; first < rows; first += ROWS_IN_FLOAT32) {
        long count = rows - first < ROWS_IN_FLOAT32 ? rows - first : ROWS_IN_FLOAT32;
        const T *chunk = x + first * width, *dy_chunk = dy ? dy + first * width : dy;
        for (long j = 0; j < width;) {
            float sum_a[4 * LANES], sum_b[4 * LANES];
            const T *dy_tile = dy ? dy_chunk + j : dy;
            long n = width - j < LANES ? width - j : LANES;
            if (j + 4 * LANES <= width) {
                n = 4 * LANES;
                NAME(tile)(chunk + j, dy_tile, m + j, count, width, what, 4, sum_a, sum_b);
            } else if (n == LANES)
                NAME(tile)(chunk + j, dy_tile, m + j, count, width, what, 1, sum_a, sum_b);
            else
                NAME(tile_rest)(chunk + j, dy_tile, m + j, n, count, width, what, sum_a, sum_b);
            for (long i = 0; i < n; i++) {
                a[j + i] += sum_a[i];
                b[j + i] += sum_b[i];
            }
            j += n;
        }
    }
}

/* 8 values of the affine map below. */
INLINE block NAME(affine_block)(const T *x, const T *dy, const float *m, const float *scale,
                                const float *shift, const float *gain, long i, int one)
{
#define OF(array) (one ? all(*array) : load_float32(array + i))
    block y = add(mul(sub(LOAD(x + i), OF(m)), OF(scale)), OF(shift));
    return dy ? add(y, mul(LOAD(dy + i), OF(gain))) : y;
#undef OF
}

/* out = (x - m) scale + shift, and with dy: + gain dy, over n values side by side. m, scale, shift
   and gain are one number each where `one` is set, else n numbers. */
INLINE void NAME(affine)(const T *x, const T *dy, const float *m, const float *scale,
                         const float *shift, const float *gain, T *out, long n, int one)
{
#define BLOCK(i) NAME(affine_block)(x, dy, m, scale, shift, gain, i, one)
    long i = 0;
    for (; i + 2 * LANES <= n; i += 2 * LANES)
        STORE_TWO(out + i, BLOCK(i), BLOCK(i + LANES));
    for (; i + LANES <= n; i += LANES)
        STORE(out + i, BLOCK(i));
#undef BLOCK
    if (i == n)
        return;
    float rest[4][LANES] = {{0}};
    const float *arrays[4] = {m, scale, shift, gain};
    for (int array = 0; array < (dy ? 4 : 3); array++)
        for (long j = i; j < n; j++)
            rest[array][j - i] = arrays[array][one ? 0 : j];
    block y = sub(NAME(load_rest)(x + i, n - i, 0), load_float32(rest[0]));
    y = add(mul(y, load_float32(rest[1])), load_float32(rest[2]));
    if (dy)
        y = add(y, mul(NAME(load_rest)(dy + i, n - i, 0), load_float32(rest[3])));
    NAME(store_rest)(out + i, n - i, y);
}
