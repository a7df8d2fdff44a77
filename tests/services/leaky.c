/* An extension of CPython's that forgets a DECREF.  Its stable ABI, declared here, so that it is built for guests of
 * other CPUs without Python's headers for them. */
#include <stddef.h>

typedef struct object PyObject;
PyObject *PyBytes_FromStringAndSize(const char *bytes, ptrdiff_t len);
PyObject *PyLong_FromLong(long value);
PyObject *PyModule_Create2(void *module, int version);

static PyObject *serve(PyObject *self, PyObject *argument)
{
	static const char zeros[5000]; /* (of what was freed nothing stays in it) */
	PyObject *made = PyBytes_FromStringAndSize(zeros, sizeof(zeros)); /* the leak: no DECREF */

	(void)self;
	(void)argument;
	return PyLong_FromLong(made != NULL);
}

static struct {
	const char *name;
	PyObject *(*call)(PyObject *self, PyObject *argument);
	int flags;
	const char *doc;
} methods[] = {{"serve", serve, 8 /* METH_O */, ""}, {NULL, NULL, 0, NULL}};

static struct {
	ptrdiff_t references;
	void *type, *init;
	ptrdiff_t index;
	void *copy;
	const char *name, *doc;
	ptrdiff_t size;
	void *methods, *slots, *traverse, *clear, *free;
} module = {.references = 1, .name = "leaky", .doc = "", .size = -1, .methods = methods};

PyObject *PyInit_leaky(void)
{
	return PyModule_Create2(&module, 3 /* PYTHON_ABI_VERSION */);
}
