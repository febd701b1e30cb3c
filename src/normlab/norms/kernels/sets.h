/* One norm for all sets: of a batch, of ghost batches, of groups of channels, of samples. */

/* The sums of channels [first, last) of one set, or of its first rows, into set->a and set->b. */
INLINE void NAME(channel_sums)(const Set *set, const T *x, const T *dy, long first, long last,
                               int what, int guess)
{
    if (set->by_runs) {
        long channels = set->channels, pixels = set->pixels;
        for (long c = first; c < last; c++) {
            long at = c * pixels;
            double sums[2];
            NAME(sum_of_runs)(x + at, dy ? dy + at : dy, set->m[c], pixels,
                              guess ? 1 : set->samples, channels * pixels, what, sums);
            set->a[c] = sums[0];
            set->b[c] = sums[1];
        }
        return;
    }
    long rows = guess && set->rows > ROWS_OF_GUESS ? ROWS_OF_GUESS : set->rows;
    long at = rows * set->width, rest = rows == set->rows ? set->rest : 0;
    memset(set->wide_a, 0, set->width * sizeof(double));
    memset(set->wide_b, 0, set->width * sizeof(double));
    spread(set, set->m, set->wide[0]);
    NAME(column_sums)(x, dy, set->wide[0], rows, set->width, what, set->wide_a, set->wide_b);
    NAME(column_sums)(x + at, dy ? dy + at : dy, set->wide[0], rest > 0, rest, what, set->wide_a,
                      set->wide_b);
    gather(set, set->wide_a, set->a);
    gather(set, set->wide_b, set->b);
}

/* out = (x - m) scale + shift, and with dy: + gain dy, of channels [first, last) of one set. */
INLINE void NAME(channel_affine)(const Set *set, const T *x, const T *dy, T *out, long first,
                                 long last)
{
    if (set->by_runs) {
        for (long s = 0; s < set->samples; s++)
            for (long c = first; c < last; c++) {
                long at = (s * set->channels + c) * set->pixels;
                NAME(affine)(x + at, dy ? dy + at : dy, set->m + c, set->scale + c,
                             set->shift + c, set->gain + c, out + at, set->pixels, 1);
            }
        return;
    }
    spread(set, set->m, set->wide[0]);
    spread(set, set->scale, set->wide[1]);
    spread(set, set->shift, set->wide[2]);
    if (dy)
        spread(set, set->gain, set->wide[3]);
    for (long at = 0; at < set->values; at += set->width) {
        long n = set->values - at < set->width ? set->values - at : set->width;
        NAME(affine)(x + at, dy ? dy + at : dy, set->wide[0], set->wide[1], set->wide[2],
                     set->wide[3], out + at, n, 0);
    }
}

/* A mean of the first rows for the groups of [first, last): near enough to be centred by. */
INLINE void NAME(guess)(Set *set, const T *x, long first, long last)
{
    double seen = set->count / set->samples;
    if (!set->by_runs)
        seen = set->rows > ROWS_OF_GUESS
                   ? (double)ROWS_OF_GUESS * set->width / set->channels * set->group
                   : set->count;
    NAME(channel_sums)(set, x, NULL, first, last, SUM, 1);
    pool(set, set->a, first, last);
    for (long c = first; c < last; c++)
        set->m[c] = (float)(set->a[c] / seen);
}

/* Mean (0 where the norm does not centre) and variance of the groups of [first, last). Sums of
   squares about a guess more than 4 deviations away are taken again about what they found. */
INLINE void NAME(statistics)(Set *set, const T *x, long first, long last, double *mean,
                             double *variance)
{
    memset(set->m + first, 0, (last - first) * sizeof(float));
    if (set->centred)
        NAME(guess)(set, x, first, last);
    for (int far = 1, tries = 0; far && tries < TRIES; tries++) {
        NAME(channel_sums)(set, x, NULL, first, last, set->centred ? CENTRED : SQUARES, 0);
        pool(set, set->a, first, last);
        pool(set, set->b, first, last);
        far = 0;
        for (long c = first; c < last; c += set->group) {
            double off = set->a[c] / set->count, square = set->b[c] / set->count;
            mean[c / set->group] = set->centred ? set->m[c] + off : 0;
            variance[c / set->group] = set->centred ? square - off * off : off;
            far |= set->centred && off * off > FAR * (square - off * off);
        }
        for (long c = first; far && c < last; c++)
            set->m[c] = (float)(set->m[c] + set->a[c] / set->count);
    }
}

INLINE void NAME(write_set)(Set *set, const T *x, T *y, double *mean, double *variance)
{
    for (long first = 0; first < set->channels; first += set->step) {
        long last = first + set->step;
        NAME(statistics)(set, x, first, last, mean, variance);
        standards(set, mean, variance, first, last);
        for (long c = first; c < last; c++) {
            double scale = set->r[c] * (set->weight ? set->weight[c] : 1);
            set->scale[c] = (float)scale;
            set->shift[c] = (float)(set->off[c] * scale + (set->bias ? set->bias[c] : 0));
        }
        NAME(channel_affine)(set, x, NULL, y, first, last);
    }
}

/* dx = r (w dy - mean(w dy) - xhat mean(w dy xhat)), xhat = (x - mean) r. */
INLINE void NAME(write_set_gradient)(Set *set, const T *x, const T *dy, T *dx, const double *mean,
                                     const double *variance)
{
    double *a = set->a, *b = set->b, *r = set->r, *off = set->off;
    for (long first = 0; first < set->channels; first += set->step) {
        long last = first + set->step;
        standards(set, mean, variance, first, last);
        NAME(channel_sums)(set, x, dy, first, last, PRODUCTS, 0);
        for (long c = first; c < last; c++) {
            double w = set->weight ? set->weight[c] : 1;
            b[c] = (b[c] + off[c] * a[c]) * r[c];
            set->dweight[c] += b[c];
            set->dbias[c] += a[c];
            set->gain[c] = (float)(r[c] * w);
            a[c] *= w / set->count;
            b[c] *= w / set->count;
        }
        pool(set, a, first, last);
        pool(set, b, first, last);
        for (long c = first; c < last; c++) {
            double mean_g = set->centred ? a[c] : 0;
            set->scale[c] = (float)(-r[c] * r[c] * b[c]);
            set->shift[c] = (float)(-r[c] * (mean_g + off[c] * r[c] * b[c]));
        }
        NAME(channel_affine)(set, x, dy, dx, first, last);
    }
}

#define GEOMETRY                                                                                   \
    long sets, samples, channels, pixels, group, last, centred;                                    \
    double eps;
#define OPEN(biases)                                                                               \
    Set set = {.samples = to->samples, .channels = to->channels, .pixels = to->pixels,             \
               .group = to->group, .last = to->last, .centred = to->centred, .eps = to->eps,       \
               .weight = to->w, .bias = biases};                                                   \
    long sets = to->sets, channels = to->channels, groups = channels / to->group;                  \
    if (!open_set(&set))                                                                           \
        return 0;

typedef struct {
    const T *x;
    const float *w, *b;
    T *y;
    double *statistics;
    GEOMETRY
} NAME(SetForward);

typedef struct {
    const T *x, *dy;
    const float *w;
    const double *statistics;
    T *dx;
    float *dw, *db;
    GEOMETRY
} NAME(SetBackward);

/* Writes y, and means and variances (2, sets, channels / group). w and b may be left out. */
int EXPORT(set_forward)(const NAME(SetForward) *to)
{
    OPEN(to->b)
    double *means = to->statistics, *variances = means + sets * groups;
    for (long k = 0; k < sets; k++)
        NAME(write_set)(&set, to->x + k * set.values, to->y + k * set.values, means + k * groups,
                        variances + k * groups);
    free(set.memory);
    return 1;
}

int EXPORT(set_backward)(const NAME(SetBackward) *to)
{
    OPEN(NULL)
    const double *means = to->statistics, *variances = means + sets * groups;
    for (long k = 0; k < sets; k++) {
        long at = k * set.values;
        NAME(write_set_gradient)(&set, to->x + at, to->dy + at, to->dx + at, means + k * groups,
                                 variances + k * groups);
    }
    for (long c = 0; to->dw && c < channels; c++)
        to->dw[c] = (float)set.dweight[c];
    for (long c = 0; to->db && c < channels; c++)
        to->db[c] = (float)set.dbias[c];
    free(set.memory);
    return 1;
}
#undef GEOMETRY
#undef OPEN
