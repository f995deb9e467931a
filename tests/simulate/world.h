/* An invented cluster around the product's own desk, coordinator, protocol, relays and workers: virtual time, a network
 * that can do everything a network does, processes that crash and hang, and a database that keeps what was committed.
 * Everything follows from the seed. */
#ifndef WHYPIX_SIMULATE_WORLD_H
#define WHYPIX_SIMULATE_WORLD_H

#include "base/buf.h"
#include "fiber.h"
#include "run/desk.h"
#include "whypix/rng.h"

enum { MAX_IMAGES = 40, FAULTY_LAUNCHES = 3, MAX_FAULTS = 6, CELLS = 3, METRIC = 1 };

/* Seconds of the virtual clock: the product's defaults, about sixty times faster. */
#define BEAT_EVERY  0.5
#define SILENCE     3.0
#define IMAGE_TIME  0.5 /* at most */
#define IMAGE_LIMIT 8.0
#define GOODBYE     2.0
#define PATIENCE    15.0 /* of a relay with rank 0 */

/* What can go wrong in a launch. */
#define FAULTS(X)                                              \
    X(CRASH, "process killed")                                 \
    X(CRASH_AT_SEND, "process killed between two messages")    \
    X(FREEZE, "process stopped for ever")                      \
    X(PAUSE, "process stopped, later continued")               \
    X(HANG, "image that never ends")                           \
    X(SLOW, "image that takes very long")                      \
    X(GIVE_UP, "worker that can go on no more")                \
    X(COMPUTE_DIES, "compute process that dies")               \
    X(CUT, "link cut for ever")                                \
    X(PARTITION, "link cut and healed, messages held")         \
    X(BLACKOUT, "link cut and healed, messages lost")          \
    X(LOSE, "message lost")                                    \
    X(CORRUPT, "message damaged")                              \
    X(SPIKE, "message held back for long")                     \
    X(UNREACHABLE, "send that fails")                          \
    X(STORE_FAILS, "database that fails")                      \
    X(KILL_RUN, "rank 0 killed")                               \
    X(KILL_AT_STORE, "rank 0 killed in a call of the database") \
    X(DRAIN, "drain")

typedef enum fault_kind {
#define FAULT_KIND(kind, text) FAULT_##kind,
    FAULTS(FAULT_KIND)
#undef FAULT_KIND
        FAULT_KINDS
} fault_kind;

typedef struct fault { fault_kind kind; double at; int rank; } fault;

struct world;
typedef struct mailbox { struct letter *first, *last; int owner; /* fiber */ } mailbox;

/* One end of a link, as the product sees it. */
typedef struct line {
    why_transport base; /* first: a why_transport * is a line * */
    struct world *w;
    int rank;           /* of the process that holds this end */
    mailbox *in;
    struct line *other; /* within a process: the other end, and no faults; NULL: to other ranks */
} line;

/* Rank 0 has the desk and a worker, any other a relay and a worker. */
typedef struct rank {
    process p;
    int index;
    struct world *w;
    line outer, queue[2];
    mailbox boxes[3];        /* outer's, the queue ends' */
    int fibers[2];           /* desk or relay; worker */
    why_totals sent;
    why_status worked, relayed;
    bool everyone;
    bool faulty;             /* some fault of this launch hit this process or its link */
    int dies_in;             /* sends until it is killed; 0: not armed */
    bool computing, broken_off; /* in an image; rank 0 wants it no more */
    bool hang_next, slow_next, give_up_next, compute_dies_next, lose_next, corrupt_next, spike_next, unreachable_next;
    double cut_until;        /* its link to rank 0 */
    bool cut_drops;
    double arrived[2];       /* last arrival at and from rank 0, to keep the order */
} rank;

typedef enum fate { OPEN, DONE, GIVEN_UP } fate;

/* The database as far as the run can tell, with what the open transaction would add. */
typedef struct ledger {
    bool in_transaction, spoilt;
    fate image[MAX_IMAGES], image_txn[MAX_IMAGES];
    int64_t shards, shards_txn;  /* rows; ids are 1, 2, ... in the order opened */
    int sent[MAX_IMAGES];        /* times that this launch gave the image to a worker */
    int fails_in, dies_in;       /* calls until one fails, or until rank 0 is killed; 0: not armed */
    why_store *real;             /* NULL: nothing but this ledger */
} ledger;

typedef struct world {
    uint64_t seed;
    why_rng rng;
    fibers *fibers;
    bool trace;
    const why_buf *records;       /* what image id i + 1 must give */
    int n_ranks, n_images, launch;
    int todo[MAX_IMAGES], n_todo; /* of this launch */
    int poison, poison_left;      /* an image that does so many times what `venom` says; -1: none */
    fault_kind venom;             /* CRASH, GIVE_UP or COMPUTE_DIES */
    bool apart;                   /* rank 0 has no worker */
    bool one_host;                /* rank 0 can see which processes are there */
    bool separate;                /* workers compute in a process that can be killed */
    bool quorum;
    double latency, twice;
    bool reorder;
    rank ranks[MAX_RANKS];
    fault faults[MAX_FAULTS];
    int n_faults, next_fault;
    int happened[FAULT_KINDS];
    int disturbed;                /* faults of this launch */
    bool lossy;                   /* a message of this launch was lost, doubled or damaged */
    bool drain_now, drained, store_failed, desk_ended;
    struct note *notes;           /* messages under way: a heap by arrival */
    size_t n_notes, notes_capacity;
    uint64_t order, messages;
    ledger db;
    why_plan plan;
    why_plan_image images[MAX_IMAGES];
    why_plan_cell cells[CELLS];
    why_desk_result result;
    why_status desk_status;
} world;

/* The world that the wrapped calls of the product (why_clock, why_pause, why_store_...) belong to. */
extern world *the_world;

#define EXPECT(w, condition, ...) ((condition) ? (void)0 : violated(w, #condition, __VA_ARGS__))
_Noreturn void violated(const world *w, const char *condition, const char *fmt, ...) WHY_PRINTF(3, 4);
void tell(const world *w, const char *fmt, ...) WHY_PRINTF(2, 3); /* a line of the trace */

static inline bool chance(world *w, double p) { return p > 0 && why_rng_uniform(&w->rng) < p; }
static inline int below(world *w, int n) { return (int)why_rng_below(&w->rng, (uint32_t)n); }
static inline double within(world *w, double lo, double hi) { return lo + (hi - lo) * why_rng_uniform(&w->rng); }

/* net.c */
void net_open(world *w);                   /* lines and mailboxes of all ranks */
void net_close(world *w);
double net_next(const world *w);           /* when the next message arrives; INFINITY: none is under way */
void net_deliver(world *w);
void kill_process(world *w, int rank, const char *how);

/* ledger.c */
void ledger_launch(world *w);              /* what rank 0 died with is rolled back; finds the images to do */
bool ledger_complete(const world *w);
void make_records(why_buf records[MAX_IMAGES]);
why_store *real_open(const char *path);    /* with its dictionaries; exits on failure */
char *real_dump(why_store *s, const fate given_up[MAX_IMAGES]); /* what may not depend on faults; owned */

/* launch.c */
void launch(world *w, bool faulty);

#endif
