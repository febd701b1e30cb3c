/* A set of values that share statistics: where they lie, and the memory to work in.

   A set is (samples, pixels, channels) where `last` is set, else (samples, channels, pixels). Each
   `group` neighbouring channels of a set have one mean and one variance.

   Values are summed column by column: a set is seen as `rows` of `width` positions, and a rest of
   less than a row. Where each channel's pixels lie side by side in long runs, or in few, they are
   summed run by run, one group of channels after the other. */

#ifndef SET_H
#define SET_H

/* Pixels side by side, and samples, from which on columns or runs are the faster way. */
#define SHORT_RUN 16
#define LONG_RUN 128
#define MANY_SAMPLES 8
/* Rows whose mean is a set's first guess. */
#define ROWS_OF_GUESS 8

typedef struct {
    long samples, channels, pixels, group;
    int last, centred;
    double eps;
    int by_runs;
    long values, rows, width, rest, step; /* of one set; channels that are worked on at once */
    double count;                         /* values that share a statistic */
    const float *weight, *bias;
    float *m, *scale, *shift, *gain; /* (channels,) */
    float *wide[4];                  /* the same at each position of a row */
    double *a, *b, *r, *off;         /* (channels,): sums, 1 / deviation, m - mean */
    double *dweight, *dbias;         /* (channels,) */
    double *wide_a, *wide_b;         /* sums (width,) */
    void *memory;
} Set;

static long greatest_divisor(long a, long b)
{
    while (b) {
        long rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static void shape_set(Set *set)
{
    long c = set->channels, pixels = set->pixels;
    set->values = set->samples * pixels * c;
    set->count = (double)set->samples * pixels * set->group;
    set->by_runs = !set->last && (pixels >= LONG_RUN ||
                                  (pixels >= SHORT_RUN && set->samples < MANY_SAMPLES));
    set->step = set->by_runs ? set->group : c;
    set->width = c * pixels;
    if (set->last) { /* rows of whole blocks, of 64 values at least */
        long repeats = LANES / greatest_divisor(c, LANES);
        repeats *= (64 + repeats * c - 1) / (repeats * c);
        set->width = c * repeats;
    }
    set->rows = set->values / set->width;
    set->rest = set->values % set->width;
}

/* 0 where there is no memory. */
static int open_set(Set *set)
{
    shape_set(set);
    long c = set->channels, width = set->by_runs || set->width == c ? 0 : set->width;
    set->memory = calloc(6 * c + 2 * width, sizeof(double) + 2 * sizeof(float));
    if (!set->memory)
        return 0;
    double **doubles[] = {&set->a, &set->b, &set->r, &set->off, &set->dweight, &set->dbias};
    float **numbers[] = {&set->m, &set->scale, &set->shift, &set->gain};
    double *next = set->memory;
    for (int i = 0; i < 6; i++, next += c)
        *doubles[i] = next;
    set->wide_a = width ? next : set->a;
    set->wide_b = width ? next + width : set->b;
    float *number = (float *)(next + 2 * width);
    for (int i = 0; i < 4; i++, number += c)
        *numbers[i] = number;
    for (int i = 0; i < 4; i++, number += width)
        set->wide[i] = width ? number : *numbers[i];
    return 1;
}

/* Numbers of channels, written out for each position of a row. */
static void spread(const Set *set, const float *channels, float *positions)
{
    if (channels == positions)
        return;
    if (set->last)
        for (long j = 0; j < set->width; j += set->channels)
            memcpy(positions + j, channels, set->channels * sizeof(float));
    else
        for (long c = 0, j = 0; c < set->channels; c++)
            for (long p = 0; p < set->pixels; p++)
                positions[j++] = channels[c];
}

/* Sums at positions, added up for each channel. */
static void gather(const Set *set, const double *positions, double *channels)
{
    if (channels == positions)
        return;
    memset(channels, 0, set->channels * sizeof(double));
    if (set->last)
        for (long j = 0; j < set->width; j += set->channels)
            for (long c = 0; c < set->channels; c++)
                channels[c] += positions[j + c];
    else
        for (long c = 0, j = 0; c < set->channels; c++)
            for (long p = 0; p < set->pixels; p++)
                channels[c] += positions[j++];
}

/* Replaces the numbers of channels [first, last) by the sums of their groups. */
static void pool(const Set *set, double *channels, long first, long last)
{
    if (set->group == 1)
        return;
    for (long begin = first; begin < last; begin += set->group) {
        double chain[4] = {0};
        long end = begin + set->group, c = begin;
        for (; c + 4 <= end; c += 4)
            for (int i = 0; i < 4; i++)
                chain[i] += channels[c + i];
        for (; c < end; c++)
            chain[0] += channels[c];
        double sum = (chain[0] + chain[1]) + (chain[2] + chain[3]);
        for (c = begin; c < end; c++)
            channels[c] = sum;
    }
}

/* m, m - mean and 1 / deviation of channels [first, last) from their groups' statistics. */
static void standards(const Set *set, const double *mean, const double *variance, long first,
                      long last)
{
    long g = first / set->group, end = last / set->group;
    double *r = set->b; /* of groups; free here */
    for (long i = g; i < end; i++)
        r[i] = 1 / sqrt(variance[i] + set->eps);
    for (long c = first; g < end; g++)
        for (long next = c + set->group; c < next; c++) {
            set->r[c] = r[g];
            set->m[c] = (float)mean[g];
            set->off[c] = set->m[c] - mean[g];
        }
}

#endif
