/* The kernels for any processor. */

#define PROCESSOR base
#include "body.h"

/* What the sources were that this was built from: see library.py. */
unsigned normlab_sources(void)
{
    return SOURCES;
}
