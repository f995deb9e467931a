/* Errors: one X-macro makes the codes, their names and their plain meaning.
 *
 * Every call that can fail returns a why_status. The text is set where the
 * error arises and names the object, the value got and the value wanted:
 *
 *     return why_fail(WHY_EFORMAT, "Conv '%s': input has %d channels, weight wants %d", name, got, want);
 *
 * Callers that know more add it in front with why_fail_in():
 *
 *     if (st) return why_fail_in(st, "model '%s'", path);      ->  "model 'a.onnx': Conv 'c1': input has ..."
 *
 * The text is kept per thread, so that it needs no lock and no allocation. */
#ifndef WHYPIX_STATUS_H
#define WHYPIX_STATUS_H

#include <stdarg.h>

#define WHY_STATUSES(X)                                                                      \
    X(WHY_OK, "ok")                                                                          \
    X(WHY_EARG, "bad argument")           /* an option, parameter or name given by the user */ \
    X(WHY_EJOB, "bad job file")           /* job file, manifest or label file */              \
    X(WHY_EFILE, "cannot use file")       /* missing, unreadable, not writable */              \
    X(WHY_EFORMAT, "malformed input")     /* bytes that are not what they should be */         \
    X(WHY_EUNSUPPORTED, "not supported")  /* well-formed, but beyond what is built */          \
    X(WHY_ELIMIT, "over a limit")         /* a size limit, checked before memory is taken */   \
    X(WHY_EUNDEFINED, "undefined value")  /* a metric or map that has no value; becomes NULL */ \
    X(WHY_ENOMEM, "out of memory")                                                           \
    X(WHY_ESTORE, "database error")                                                          \
    X(WHY_EPEER, "a peer is lost")                                                           \
    X(WHY_ECRASH, "a process died")       /* the compute process of a worker, at an image */    \
    X(WHY_EINTERRUPTED, "interrupted")                                                       \
    X(WHY_EBUG, "internal error")

typedef enum why_status {
#define WHY_STATUS_CODE(code, text) code,
    WHY_STATUSES(WHY_STATUS_CODE)
#undef WHY_STATUS_CODE
        WHY_STATUS_COUNT
} why_status;

#if defined(__GNUC__)
#define WHY_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define WHY_MUST_USE          __attribute__((warn_unused_result))
#else
#define WHY_PRINTF(fmt, args)
#define WHY_MUST_USE
#endif

/* Set this thread's error text and return `code`. Texts longer than 2047 bytes are cut. */
why_status why_fail(why_status code, const char *fmt, ...) WHY_PRINTF(2, 3);

/* Put "<formatted>: " before this thread's error text and return `code` unchanged. */
why_status why_fail_in(why_status code, const char *fmt, ...) WHY_PRINTF(2, 3);

/* This thread's last error text; "" before the first error. A view, valid until the thread's next error. */
const char *why_error_text(void);

/* The code's name ("WHY_EFILE") and its plain meaning ("cannot use file"). Static strings. */
const char *why_status_name(why_status code);
const char *why_status_text(why_status code);

/* Return from the calling function when `call` fails. */
#define WHY_TRY(call)                            \
    do {                                         \
        why_status why_try_status_ = (call);     \
        if (why_try_status_ != WHY_OK) return why_try_status_; \
    } while (0)

#endif
