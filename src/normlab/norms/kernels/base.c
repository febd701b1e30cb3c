/* The kernels for any processor. */

#define PROCESSOR base
#include "body.h"

/* Running statistics += share * (those of the sets, averaged, the variance unbiased - running).
   statistics: means and biased variances (2, sets, channels) of `count` values each. */
int normlab_running(const double *statistics, float *mean, float *variance, long sets,
                    long channels, long count, double share)
{
    const double *variances = statistics + sets * channels;
    for (long c = 0; c < channels; c++) {
        double a = 0, b = 0;
        for (long k = 0; k < sets; k++) {
            a += statistics[k * channels + c];
            b += variances[k * channels + c];
        }
        b *= (double)count / (count - 1);
        mean[c] += (float)(share * (a / sets - mean[c]));
        variance[c] += (float)(share * (b / sets - variance[c]));
    }
    return 1;
}

/* What the sources were that this was built from: see library.py. */
unsigned normlab_sources(void)
{
    return SOURCES;
}
