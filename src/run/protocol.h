/* What the coordinator and a worker say to each other.
 *
 *   worker                             coordinator (rank 0)
 *   HELLO pid threads host   ------>
 *                            <------   WORK parts            images of a shard, with their cells
 *   RESULT parts             ------>                         one image's record
 *                            <------   ACK shard image       its rows are committed: the worker may forget them
 *   ERROR image text         ------>                         this worker can compute no more
 *                            <------   FORGET shard          another worker has it now
 *   BEAT                     <----->   BEAT                  I am alive
 *                            <------   STOP                  finish the running image; begin no other
 *   BYE                      ------>                         nothing of mine is unacknowledged
 *                            <------   CLOSE                 the run is over; is everyone there for the last reduction?
 *
 * Every message ends with a CRC-32 of what precedes it and is at most WHY_MESSAGE_MAX bytes; WORK and RESULT bodies are
 * cut into numbered parts. All numbers little-endian. A receiver drops what does not check: the sender keeps a result
 * until it is acknowledged and sends it again, the coordinator hands a silent worker's images to others. */
#ifndef WHYPIX_RUN_PROTOCOL_H
#define WHYPIX_RUN_PROTOCOL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "run/transport.h"

typedef enum why_message_type {
    WHY_MSG_HELLO = 1,
    WHY_MSG_WORK,
    WHY_MSG_RESULT,
    WHY_MSG_ACK,
    WHY_MSG_ERROR,
    WHY_MSG_CRASH,
    WHY_MSG_FORGET,
    WHY_MSG_BEAT,
    WHY_MSG_STOP,
    WHY_MSG_BYE,
    WHY_MSG_CLOSE,
    WHY_MSG_TYPES /* one more than the last */
} why_message_type;

/* One message; which fields travel depends on the type (protocol.c has the table), the others are 0. */
typedef struct why_message {
    why_message_type type;
    int64_t shard;
    int32_t image;          /* position in the run's list of images to do */
    int32_t attempt;
    double wall;            /* RESULT: seconds that the image took */
    uint32_t part, parts;   /* WORK, RESULT: this part of so many */
    uint32_t total;         /* ... bytes of the whole body */
    int64_t pid;
    int32_t threads;
    uint8_t flag;           /* ACK: the rows are those of this result; STOP: do not wait for acknowledgements; FORGET: break
                             * off the running image; CLOSE: everyone is there */
    const uint8_t *data;    /* body part, host name or error text; a view when decoded */
    uint32_t size;          /* ... its bytes */
} why_message;

const char *why_message_name(why_message_type type);

/* Encode into out; returns the bytes written. Text longer than a message is cut; the data of a part must fit
 * (WHY_PART_MAX). */
enum { WHY_PART_MAX = 3400 };
size_t why_message_encode(const why_message *m, uint8_t out[WHY_MESSAGE_MAX]);
/* WHY_EFORMAT for anything that no encoder wrote. m->data is a view into bytes. */
why_status why_message_decode(const uint8_t *bytes, size_t n, why_message *m) WHY_MUST_USE;
why_status why_message_send(why_transport *t, int to, const why_message *m) WHY_MUST_USE;

/* Send a body in parts, each with the key fields of `head` (type, shard, image, attempt, wall). */
why_status why_body_send(why_transport *t, int to, const why_message *head, const uint8_t *body, size_t n) WHY_MUST_USE;

/* The body being received from one peer. A part of another body begins anew: the transport keeps order, so what is
 * missing of the former is lost and will be sent again. */
enum { WHY_BODY_MAX = 64 << 20 };
typedef struct why_assembly {
    why_message head;       /* of the body under way; head.parts = 0: none */
    uint8_t *bytes, *seen;  /* total bytes; one flag per part */
    uint32_t left;          /* parts missing */
} why_assembly;
void why_assembly_clear(why_assembly *a);
/* Add a part. *complete: a->bytes holds a->head.total bytes; clear when done with them. */
why_status why_assembly_add(why_assembly *a, const why_message *part, bool *complete) WHY_MUST_USE;

/* ---------------------------------------------------------------- body of WORK */
typedef struct why_task {
    int32_t image;          /* position in the run's list */
    int32_t index;          /* into plan->images */
    char sha256[65];        /* what the picture's file must hash to, because results rest on it; "": nothing does yet */
    uint32_t n_words;
    uint64_t *cells;        /* bit c = cell id c is wanted; owned by the holder of the task */
} why_task;
void why_task_put(why_buf *b, const why_task *task);
/* Reads the task at *at and moves on; task->cells is allocated. *more = false at the end of the body. */
why_status why_task_next(const uint8_t *body, size_t n, size_t *at, why_task *task, bool *more) WHY_MUST_USE;

#endif
