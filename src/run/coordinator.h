/* The coordinator: who computes what, what is stored, when to commit, whom to give up on, when to end.
 *
 * A pure state machine: events in, actions out; no MPI, no clock, no database (time is a number that events carry). The
 * run drives it with real messages, the simulator with invented ones. The rules that make a run lose nothing:
 *
 *  - an image is closed once, by the first record that arrives for it or by a failure written in its place; every later
 *    record of the same image is ignored (all are equal: results do not depend on who computes them);
 *  - a result is acknowledged after the commit that holds it, and a worker keeps it until then;
 *  - the row of a shard is committed before the shard is sent, so that a re-launch knows what was being tried;
 *  - at the end, when others are idle, they help a worker that has missed three beats: its open images go to them, too;
 *  - a worker that is silent, or makes no progress for long, is taken for lost: its open images go to others. The one it
 *    was at goes alone, and is given up after it has cost `max_losses` workers (or compute processes of workers that have
 *    such; the worker itself stays);
 *  - a worker taken for lost that delivers after all is welcome again.
 *
 * Images are positions 0 .. images - 1 in the run's list of images to do. */
#ifndef WHYPIX_RUN_COORDINATOR_H
#define WHYPIX_RUN_COORDINATOR_H

#include <stdbool.h>
#include <stdint.h>

#include "whypix/status.h"

typedef struct why_coordinator_options {
    int workers, images;
    int shard;                /* images per shard; 0: guided, large ones first and single images at the end */
    int64_t first_shard;      /* id of the first shard, above all that are in the database */
    bool stop_on_failure;     /* on_bad_image: stop */
    int max_losses;           /* workers that one image may cost */
    bool supervised;          /* workers compute in processes of their own, so a lost one counts half against its image; and
                               * more than half of them lost end the run early (code 3): someone will launch again */
    double commit_every;      /* seconds that a stored row waits for its commit at most */
    double beat_every;        /* seconds between two beats to a worker */
    double silence;           /* seconds without any message after which a worker is lost */
    double first_image;       /* seconds that an image may take while none was measured */
    double least;             /* seconds that an image may always take ... */
    double slack;             /* ... or this many times the slowest image so far, if more */
    double goodbye;           /* seconds that a worker without images may take to leave */
} why_coordinator_options;

/* Everything but the numbers of workers and images. */
why_coordinator_options why_coordinator_defaults(int workers, int images);

typedef enum why_event_type {
    WHY_EVENT_HELLO,          /* worker can take images */
    WHY_EVENT_RESULT,         /* worker, shard, image, wall, failed: a complete, checked record is at hand */
    WHY_EVENT_BEAT,           /* worker is alive */
    WHY_EVENT_ERROR,          /* worker, image (or -1), text: it can compute no more */
    WHY_EVENT_CRASH,          /* worker, shard, image, text: the image killed the process that computed it; the worker goes on */
    WHY_EVENT_LOST,           /* worker, text: it cannot be reached */
    WHY_EVENT_DEATH,          /* worker, text: seen to be dead. Messages of it may still come, but no longer prove life */
    WHY_EVENT_BYE,            /* worker left, as it was told to */
    WHY_EVENT_DRAIN,          /* end early: finish running images, begin no others */
    WHY_EVENT_TICK            /* time passes; all dispatching, committing and ending happens here */
} why_event_type;

typedef struct why_event {
    why_event_type type;
    double now;               /* seconds; never decreases */
    int worker;
    int64_t shard;
    int image;
    double wall;              /* seconds that the image took */
    bool failed;              /* the record says that the image (or a cell of it) failed */
    const char *text;
} why_event;

typedef enum why_action_type {
    WHY_ACTION_STORE,         /* apply the record of the event just handled: shard, image */
    WHY_ACTION_FAIL_IMAGE,    /* write image as failed, with text as the reason (shard, attempt) */
    WHY_ACTION_OPEN_SHARD,    /* write the shard's row: shard, worker, first, n, attempt */
    WHY_ACTION_CLOSE_SHARD,   /* write it again with its end state in text: done, lost, left */
    WHY_ACTION_COMMIT,
    WHY_ACTION_SEND_SHARD,    /* to worker: images first .. first + n - 1 */
    WHY_ACTION_ACK,           /* to worker: image of shard is committed; flag: by this record of its */
    WHY_ACTION_FORGET,        /* to worker: begin no more images of shard; flag: and break off the one that is running */
    WHY_ACTION_BEAT,          /* to worker */
    WHY_ACTION_STOP,          /* to worker */
    WHY_ACTION_FINISH         /* over; code = exit code of the run */
} why_action_type;

typedef struct why_action {
    why_action_type type;
    int worker;
    int64_t shard;
    int first, n, attempt, image;
    bool flag;
    int code;
    char text[192];
} why_action;

typedef struct why_coordinator why_coordinator;

why_status why_coordinator_create(const why_coordinator_options *options, why_coordinator **out) WHY_MUST_USE;
void why_coordinator_destroy(why_coordinator **c);

/* Take one event. Then perform its actions, in order, before the next event. An action that fails (the store) ends the
 * run: the coordinator takes it that actions succeed. Only WHY_ENOMEM and WHY_EBUG (a worker that does not exist). */
why_status why_coordinator_handle(why_coordinator *c, const why_event *e) WHY_MUST_USE;
bool why_coordinator_next(why_coordinator *c, why_action *out); /* false: none left */

typedef struct why_coordinator_view {
    int images, closed, failed, running, pending; /* closed includes failed */
    int workers, live, lost;
    double mean_wall;         /* seconds per image on one worker; 0: none measured */
    bool stopping, finished;
    const char *trouble;      /* the last thing that went wrong with a worker, or "" */
} why_coordinator_view;
why_coordinator_view why_coordinator_look(const why_coordinator *c);

#endif
