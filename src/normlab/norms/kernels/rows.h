/* RMSNorm and LayerNorm of rows that lie side by side. */

/* Values of a row whose mean is the first guess. */
#define VALUES_OF_GUESS 64

/* Mean (0 where `centred` is not set) and 1 / sqrt(variance + eps) of one row. */
INLINE void NAME(row_statistics)(const T *x, long n, double eps, int centred, double statistics[2])
{
    double sums[2], mean = 0, variance = 0;
    if (!centred) {
        NAME(sum)(x, NULL, NULL, 0, n, SQUARES, sums);
        variance = sums[0] / n;
    } else {
        /* About the mean of the first values; again, where that lies far from the row's. */
        long seen = n < VALUES_OF_GUESS ? n : VALUES_OF_GUESS;
        NAME(sum)(x, NULL, NULL, 0, seen, SUM, sums);
        mean = sums[0] / seen;
        for (int far = 1, tries = 0; far && tries < TRIES; tries++) {
            float near = (float)mean;
            NAME(sum)(x, NULL, NULL, near, n, CENTRED, sums);
            double off = sums[0] / n;
            mean = near + off;
            variance = sums[1] / n - off * off;
            far = off * off > FAR * variance;
        }
    }
    statistics[0] = mean;
    statistics[1] = 1 / sqrt(variance + eps);
}

/* xhat = (x - m) r + c, with the digits of the mean that float32 leaves out in c. */
INLINE block NAME(standard)(block x, block m, block r, block c, int centred)
{
    return centred ? add(mul(sub(x, m), r), c) : mul(x, r);
}

/* 8 values of a row of the output. */
INLINE block NAME(row_block)(const T *x, const float *w, const float *b, long i, block m, block r,
                             block c, int centred)
{
    block out = mul(NAME(standard)(LOAD(x + i), m, r, c, centred), load_float32(w + i));
    return centred ? add(out, load_float32(b + i)) : out;
}

INLINE void NAME(write_row)(const T *x, const float *w, const float *b, T *y, long n,
                            const double statistics[2], int centred)
{
    float mean = (float)statistics[0], scale = (float)statistics[1];
    block m = all(mean), r = all(scale), c = all((float)((mean - statistics[0]) * statistics[1]));
    long i = 0;
    for (; i + 2 * LANES <= n; i += 2 * LANES)
        STORE_TWO(y + i, NAME(row_block)(x, w, b, i, m, r, c, centred),
                  NAME(row_block)(x, w, b, i + LANES, m, r, c, centred));
    for (; i + LANES <= n; i += LANES)
        STORE(y + i, NAME(row_block)(x, w, b, i, m, r, c, centred));
    if (i < n) {
        float weight[LANES] = {0}, bias[LANES] = {0};
        memcpy(weight, w + i, (n - i) * sizeof(float));
        if (centred)
            memcpy(bias, b + i, (n - i) * sizeof(float));
        block out = mul(NAME(standard)(NAME(load_rest)(x + i, n - i, 0), m, r, c, centred),
                        load_float32(weight));
        NAME(store_rest)(y + i, n - i, add(out, load_float32(bias)));
    }
}

/* Rows that are worked on together: while one waits for a division, the next is summed up. */
#define ROWS_AT_ONCE 4
/* Values of them that stay near the processor from one pass to the next. */
#define NEAR 4096
/* Width up to which the guesses of four rows are made before the first row is read through. */
#define NARROW 256

/* row_statistics of four rows, of CHUNK values at most: the same bits. */
INLINE void NAME(statistics_of_four)(const T *x, long n, double eps, int centred,
                                     double statistics[4][2])
{
    double sums[2][4], mean[4] = {0}, variance[4], r[4];
    float near[4] = {0};
    int far = 0;
    if (!centred) {
        NAME(sums_of_four)(x, NULL, NULL, near, n, n, SQUARES, sums);
        divide_four(sums[0], n);
        for (int k = 0; k < 4; k++)
            variance[k] = sums[0][k] + eps;
    } else {
        long seen = n < VALUES_OF_GUESS ? n : VALUES_OF_GUESS;
        NAME(sums_of_four)(x, NULL, NULL, near, seen, n, SUM, sums);
        divide_four(sums[0], seen);
        for (int k = 0; k < 4; k++)
            near[k] = (float)sums[0][k];
        NAME(sums_of_four)(x, NULL, NULL, near, n, n, CENTRED, sums);
        divide_four(sums[0], n);
        divide_four(sums[1], n);
        for (int k = 0; k < 4; k++) {
            double off = sums[0][k];
            mean[k] = near[k] + off;
            variance[k] = sums[1][k] - off * off;
            far |= off * off > FAR * variance[k];
            variance[k] += eps;
        }
    }
    reciprocal_roots(variance, r);
    for (int k = 0; k < 4; k++) {
        statistics[k][0] = mean[k];
        statistics[k][1] = r[k];
    }
    for (int k = 0; far && k < 4; k++)
        NAME(row_statistics)(x + k * n, n, eps, centred, statistics[k]);
}

INLINE void NAME(write_rows)(const T *x, const float *w, const float *b, T *y, double *statistics,
                             long rows, long width, double eps, int centred)
{
    int together = ROWS_AT_ONCE * width > NEAR ? 1 : ROWS_AT_ONCE;
    for (long first = 0; first < rows; first += together) {
        double own[ROWS_AT_ONCE][2];
        long at = first * width;
        int count = rows - first < together ? (int)(rows - first) : together;
        if (count == ROWS_AT_ONCE && (!centred || width <= NARROW))
            NAME(statistics_of_four)(x + at, width, eps, centred, own);
        else
            for (int k = 0; k < count; k++)
                NAME(row_statistics)(x + at + k * width, width, eps, centred, own[k]);
        for (int k = 0; k < count; k++)
            NAME(write_row)(x + at + k * width, w, b, y + at + k * width, width, own[k], centred);
        if (statistics)
            memcpy(statistics + 2 * first, own, count * sizeof *own);
    }
}

#include "rows_gradient.h"

/* Arguments come packed, as library.py has them: handing over one is the faster way. */
typedef struct {
    const T *x;
    const float *w, *b;
    T *y;
    double *statistics;
    long rows, width;
    double eps;
} NAME(RowsForward);

typedef struct {
    const T *x, *dy;
    const float *w;
    const double *statistics;
    T *dx;
    float *dw, *db;
    long rows, width;
    double eps;
} NAME(RowsBackward);

int EXPORT(rms_forward)(const NAME(RowsForward) *to)
{
    NAME(write_rows)(to->x, to->w, NULL, to->y, NULL, to->rows, to->width, to->eps, 0);
    return 1;
}

int EXPORT(rms_backward)(const NAME(RowsBackward) *to)
{
    return NAME(write_gradients)(to->x, to->dy, to->w, NULL, to->dx, to->dw, NULL, to->rows,
                                 to->width, to->eps, 0);
}

/* Writes y, and where they are asked for mean and 1 / deviation of each row, (rows, 2). */
int EXPORT(layer_forward)(const NAME(RowsForward) *to)
{
    NAME(write_rows)(to->x, to->w, to->b, to->y, to->statistics, to->rows, to->width, to->eps, 1);
    return 1;
}

int EXPORT(layer_backward)(const NAME(RowsBackward) *to)
{
    return NAME(write_gradients)(to->x, to->dy, to->w, to->statistics, to->dx, to->dw, to->db,
                                 to->rows, to->width, to->eps, 1);
}
