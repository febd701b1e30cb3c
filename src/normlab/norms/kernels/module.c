/* The way from Python to a kernel: a function of Python for each, of numbers alone.

   ctypes takes longer than the norm of a row. Where Python's header is not there, this file is
   empty, and library.py goes by ctypes. */

#ifdef __has_include
#if __has_include(<Python.h>)
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>

/* Every field of the structs that kernels take has 8 bytes; the last one is real. */
typedef union {
    int64_t whole;
    double real;
} Slot;
#define MOST 16

_Static_assert(sizeof(long) == 8 && sizeof(void *) == 8 && sizeof(double) == 8, "64 bits");

/* What is called has the kernel's address in `self`. */
static PyObject *call(PyObject *self, PyObject *const *arguments, Py_ssize_t count)
{
    int (*kernel)(const Slot *) = (int (*)(const Slot *))PyLong_AsVoidPtr(self);
    Slot slots[MOST];
    int done;
    if (count < 1 || count > MOST) {
        PyErr_SetString(PyExc_TypeError, "too few or too many arguments for a kernel");
        return NULL;
    }
    for (Py_ssize_t i = 0; i < count - 1; i++)
        slots[i].whole = PyLong_AsLongLong(arguments[i]);
    slots[count - 1].real = PyFloat_AsDouble(arguments[count - 1]);
    if (PyErr_Occurred())
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    done = kernel(slots);
    Py_END_ALLOW_THREADS
    return PyLong_FromLong(done);
}

static PyMethodDef call_method = {"kernel", (PyCFunction)(void (*)(void))call, METH_FASTCALL, NULL};

static PyObject *bind(PyObject *self, PyObject *address)
{
    (void)self;
    if (!PyLong_Check(address)) {
        PyErr_SetString(PyExc_TypeError, "an address is a whole number");
        return NULL;
    }
    return PyCFunction_NewEx(&call_method, address, NULL);
}

static PyMethodDef methods[] = {
    {"bind", bind, METH_O, "The kernel at an address, as a function of numbers."},
    {NULL, NULL, 0, NULL},
};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, .m_name = "_norms", .m_size = 0,
                                    .m_methods = methods};

PyMODINIT_FUNC PyInit__norms(void)
{
    return PyModule_Create(&module);
}
#endif
#endif
