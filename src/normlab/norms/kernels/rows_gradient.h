/* The gradients of RMSNorm and LayerNorm of rows, for the functions of rows.h. */

/* What a row's gradient needs: mean, 1 / deviation, and the means of w dy and of w dy xhat. */
typedef struct {
    float mean, scale, rest, mean_g, mean_gx;
} NAME(Row);

INLINE NAME(Row) NAME(row_means)(const T *x, const T *dy, const float *w, const double *statistics,
                                 long n, double eps, int centred)
{
    double sums[2], own[2];
    NAME(Row) row = {0};
    if (centred) {
        memcpy(own, statistics, sizeof own);
        row.mean = (float)own[0];
        row.rest = (float)((row.mean - own[0]) * own[1]);
        NAME(sum)(x, dy, w, row.mean, n, PRODUCTS, sums);
        row.mean_g = (float)(sums[0] / n);
        row.mean_gx = (float)((sums[1] + (row.mean - own[0]) * sums[0]) * own[1] / n);
    } else {
        NAME(sum)(x, dy, w, 0, n, RMS, sums);
        own[1] = 1 / sqrt(sums[0] / n + eps);
        row.mean_gx = (float)(sums[1] * own[1] / n);
    }
    row.scale = (float)own[1];
    return row;
}

/* row_means of four rows, of CHUNK values at most: the same bits. */
INLINE void NAME(means_of_four)(const T *x, const T *dy, const float *w, const double *statistics,
                                long n, double eps, int centred, NAME(Row) row[4])
{
    double sums[2][4], r[4], off[4] = {0}, products[4];
    float mean[4] = {0};
    for (int k = 0; centred && k < 4; k++) {
        mean[k] = (float)statistics[2 * k];
        off[k] = mean[k] - statistics[2 * k];
        r[k] = statistics[2 * k + 1];
    }
    NAME(sums_of_four)(x, dy, w, mean, n, n, centred ? PRODUCTS : RMS, sums);
    if (!centred) {
        divide_four(sums[0], n);
        for (int k = 0; k < 4; k++)
            sums[0][k] += eps;
        reciprocal_roots(sums[0], r);
    }
    for (int k = 0; k < 4; k++) {
        double product = centred ? sums[1][k] + off[k] * sums[0][k] : sums[1][k];
        products[k] = product * r[k] / n;
        sums[0][k] /= n;
    }
    for (int k = 0; k < 4; k++) {
        row[k].mean = mean[k];
        row[k].scale = (float)r[k];
        row[k].rest = (float)(off[k] * r[k]);
        row[k].mean_g = centred ? (float)sums[0][k] : 0;
        row[k].mean_gx = (float)products[k];
    }
}

/* The gradients of 8 values of one row; dw and db get its terms. */
INLINE block NAME(row_gradient)(block x, block dy, block w, const NAME(Row) *row, int centred,
                                block *dw, block *db)
{
    block r = all(row->scale);
    block xhat = NAME(standard)(x, all(row->mean), r, all(row->rest), centred);
    block dx = sub(mul(w, dy), mul(xhat, all(row->mean_gx)));
    *dw = add(*dw, mul(dy, xhat));
    if (centred) {
        dx = sub(dx, all(row->mean_g));
        *db = add(*db, dy);
    }
    return mul(dx, r);
}

/* dx of `rows` rows at once, so that the gradient of the weight is read once for all of them. */
INLINE void NAME(rows_gradient)(const T *x, const T *dy, const float *w, T *dx, float *dw,
                                float *db, const NAME(Row) *row, int rows, long n, int centred)
{
    long i = 0;
#define GRADIENT(i, sums)                                                                          \
    NAME(row_gradient)(LOAD(x + at + (i)), LOAD(dy + at + (i)), load_float32(w + (i)), row + k,    \
                       centred, &sum_w##sums, &sum_b##sums)
#define ADD(i, sums)                                                                               \
    store_float32(dw + (i), add(load_float32(dw + (i)), sum_w##sums));                             \
    if (centred)                                                                                   \
        store_float32(db + (i), add(load_float32(db + (i)), sum_b##sums));
    for (; i + 2 * LANES <= n; i += 2 * LANES) {
        block sum_w0 = all(0), sum_w1 = all(0), sum_b0 = all(0), sum_b1 = all(0);
        for (int k = 0; k < rows; k++) {
            long at = k * n;
            block first = GRADIENT(i, 0);
            STORE_TWO(dx + at + i, first, GRADIENT(i + LANES, 1));
        }
        ADD(i, 0)
        ADD(i + LANES, 1)
    }
#undef GRADIENT
#undef ADD
    for (; i + LANES <= n; i += LANES) {
        block weight = load_float32(w + i), sum_w = all(0), sum_b = all(0);
        for (int k = 0; k < rows; k++) {
            long at = k * n + i;
            STORE(dx + at, NAME(row_gradient)(LOAD(x + at), LOAD(dy + at), weight, row + k,
                                              centred, &sum_w, &sum_b));
        }
        store_float32(dw + i, add(load_float32(dw + i), sum_w));
        if (centred)
            store_float32(db + i, add(load_float32(db + i), sum_b));
    }
    if (i == n)
        return;
    float weight[LANES] = {0}, lane[LANES];
    memcpy(weight, w + i, (n - i) * sizeof(float));
    block sum_w = all(0), sum_b = all(0);
    for (int k = 0; k < rows; k++) {
        long at = k * n + i;
        block out = NAME(row_gradient)(NAME(load_rest)(x + at, n - i, 0),
                                       NAME(load_rest)(dy + at, n - i, 0), load_float32(weight),
                                       row + k, centred, &sum_w, &sum_b);
        NAME(store_rest)(dx + at, n - i, out);
    }
    store_float32(lane, sum_w);
    for (long j = i; j < n; j++)
        dw[j] += lane[j - i];
    store_float32(lane, sum_b);
    for (long j = i; centred && j < n; j++)
        db[j] += lane[j - i];
}

/* Groups of rows that float32 sums take in before they go on in double. */
#define GROUPS_IN_FLOAT32 64

/* 0 where there is no memory. */
INLINE int NAME(write_gradients)(const T *x, const T *dy, const float *w,
                                 const double *statistics, T *dx, float *dw, float *db, long rows,
                                 long width, double eps, int centred)
{
    long values = (1 + centred) * width, group = 0;
    double *totals = calloc(values, sizeof(double) + sizeof(float));
    if (!totals)
        return 0;
    float *sums = (float *)(totals + values);
    for (long first = 0; first < rows; first += ROWS_AT_ONCE, group++) {
        NAME(Row) row[ROWS_AT_ONCE];
        long at = first * width;
        int count = rows - first < ROWS_AT_ONCE ? (int)(rows - first) : ROWS_AT_ONCE;
        const double *own = centred ? statistics + 2 * first : NULL;
        if (count == ROWS_AT_ONCE && width <= CHUNK)
            NAME(means_of_four)(x + at, dy + at, w, own, width, eps, centred, row);
        else
            for (int k = 0; k < count; k++)
                row[k] = NAME(row_means)(x + at + k * width, dy + at + k * width, w,
                                         own ? own + 2 * k : own, width, eps, centred);
        if (count == ROWS_AT_ONCE)
            NAME(rows_gradient)(x + at, dy + at, w, dx + at, sums, sums + width, row,
                                ROWS_AT_ONCE, width, centred);
        else
            NAME(rows_gradient)(x + at, dy + at, w, dx + at, sums, sums + width, row, count,
                                width, centred);
        if (group % GROUPS_IN_FLOAT32 == GROUPS_IN_FLOAT32 - 1)
            flush(sums, totals, values);
    }
    flush(sums, totals, values);
    for (long i = 0; i < width; i++) {
        dw[i] = (float)totals[i];
        if (centred)
            db[i] = (float)totals[width + i];
    }
    free(totals);
    return 1;
}
