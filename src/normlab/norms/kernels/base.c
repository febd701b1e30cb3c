/* The kernels for any processor. */

#define PROCESSOR base
#include "body.h"

typedef struct {
    const double *statistics;
    float *mean, *variance;
    long sets, channels, count;
    double share;
} Running;

/* Running statistics += share * (those of the sets, averaged, the variance unbiased - running).
   statistics: means and biased variances (2, sets, channels) of `count` values each. */
int normlab_running(const Running *to)
{
    long sets = to->sets, channels = to->channels;
    const double *means = to->statistics, *variances = means + sets * channels;
    for (long c = 0; c < channels; c++) {
        double a = 0, b = 0;
        for (long k = 0; k < sets; k++) {
            a += means[k * channels + c];
            b += variances[k * channels + c];
        }
        b *= (double)to->count / (to->count - 1);
        to->mean[c] += (float)(to->share * (a / sets - to->mean[c]));
        to->variance[c] += (float)(to->share * (b / sets - to->variance[c]));
    }
    return 1;
}

/* What the sources were that this was built from: see library.py. */
unsigned normlab_sources(void)
{
    return SOURCES;
}
