/* All kernels of one processor, for float32 and for bfloat16. */

#include "vector.h"
#include "set.h"

#define JOIN_(a, b, c) normlab_##a##_##b##_##c
#define JOIN(a, b, c) JOIN_(a, b, c)
#define EXPORT(name) JOIN(PROCESSOR, DTYPE, name)
#define NAME(name) JOIN(PROCESSOR, DTYPE, name)

#define T float
#define DTYPE float32
#define LOAD load_float32
#define STORE store_float32
#define STORE_TWO store_two_float32
#define REAL(value) (value)
#include "reduce.h"
#include "rows.h"
#include "columns.h"
#include "sets.h"
#undef T
#undef DTYPE
#undef LOAD
#undef STORE
#undef STORE_TWO
#undef REAL

#define T uint16_t
#define DTYPE bfloat16
#define LOAD load_bfloat16
#define STORE store_bfloat16
#define STORE_TWO store_two_bfloat16
#define REAL(value) real_of_bfloat16(value)
#include "reduce.h"
#include "rows.h"
#include "columns.h"
#include "sets.h"
