#define _GNU_SOURCE /* sched_getaffinity */
#include "run/transport_mpi.h"

#include <mpi.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { TAG = 77, TEXT = 2048 };

/* A message that MPI has not let go of yet. */
typedef struct outgoing {
    struct outgoing *next;
    MPI_Request request;
    uint8_t bytes[WHY_MESSAGE_MAX];
} outgoing;

struct why_world {
    why_transport transport; /* first: a why_transport * is a why_world * */
    bool mpi;
    int rank, size, sharers;
    bool beside_root;
    outgoing *under_way, *spare;
    uint8_t inbox[WHY_MESSAGE_MAX]; /* here, not on a stack: MPI may write into it after we have given up waiting */
};

static why_status mpi_fail(int code, const char *what) {
    char text[MPI_MAX_ERROR_STRING] = "";
    int n;
    MPI_Error_string(code, text, &n);
    return why_fail(WHY_EPEER, "MPI: cannot %s: %s", what, text);
}

#define MPI_TRY(call, what)                                   \
    do {                                                      \
        const int code_ = (call);                             \
        if (code_ != MPI_SUCCESS) return mpi_fail(code_, what); \
    } while (0)

/* ---------------------------------------------------------------- messages */
/* Buffers whose message has left go back to the spare ones. */
static why_status reap(why_world *w) {
    for (outgoing **link = &w->under_way; *link;) {
        outgoing *o = *link;
        int done = 0;
        MPI_TRY(MPI_Test(&o->request, &done, MPI_STATUS_IGNORE), "complete a send");
        if (!done) {
            link = &o->next;
            continue;
        }
        *link = o->next;
        o->next = w->spare;
        w->spare = o;
    }
    return WHY_OK;
}

static why_status mpi_send(why_transport *t, int to, const uint8_t *bytes, size_t n) {
    why_world *w = (why_world *)(void *)t;
    if (n > WHY_MESSAGE_MAX) return why_fail(WHY_EBUG, "MPI: a message of %zu bytes, at most %d", n, WHY_MESSAGE_MAX);
    WHY_TRY(reap(w));
    outgoing *o = w->spare;
    if (o) w->spare = o->next;
    else WHY_TRY(why_alloc(1, sizeof *o, "outgoing message", &o));
    memcpy(o->bytes, bytes, n);
    o->next = w->under_way;
    o->request = MPI_REQUEST_NULL;
    w->under_way = o;
    MPI_TRY(MPI_Isend(o->bytes, (int)n, MPI_BYTE, to, TAG, MPI_COMM_WORLD, &o->request), "send");
    return WHY_OK;
}

/* What Iprobe saw is here in full, being short of the eager limit; the loop is for the last steps of MPI's own. */
static why_status fetch(why_world *w, const MPI_Status *seen, uint8_t *bytes, size_t *n, int *from) {
    MPI_Request request;
    MPI_Status status;
    int count, done = 0;
    MPI_TRY(MPI_Get_count(seen, MPI_BYTE, &count), "receive");
    MPI_TRY(MPI_Irecv(w->inbox, WHY_MESSAGE_MAX, MPI_BYTE, seen->MPI_SOURCE, TAG, MPI_COMM_WORLD, &request), "receive");
    for (const double until = why_clock() + 10; !done;) {
        MPI_TRY(MPI_Test(&request, &done, &status), "receive");
        if (!done && why_clock() > until)
            return why_fail(WHY_EPEER, "MPI: rank %d died within a message of %d bytes", seen->MPI_SOURCE, count);
    }
    memcpy(bytes, w->inbox, (size_t)count);
    *n = (size_t)count;
    *from = seen->MPI_SOURCE;
    return WHY_OK;
}

static why_status mpi_receive(why_transport *t, double wait_s, uint8_t *bytes, size_t *n, int *from) {
    why_world *w = (why_world *)(void *)t;
    const double until = wait_s > 0 ? why_clock() + wait_s : 0;
    *n = 0;
    for (int idle = 0;; why_pause(why_backoff(&idle))) {
        int there;
        MPI_Status seen;
        MPI_TRY(MPI_Iprobe(MPI_ANY_SOURCE, TAG, MPI_COMM_WORLD, &there, &seen), "look for messages");
        if (there) return fetch(w, &seen, bytes, n, from);
        if (wait_s <= 0 || why_clock() >= until) return reap(w);
    }
}

/* ---------------------------------------------------------------- beginning and end */
bool why_world_launched(void) { return getenv("OMPI_COMM_WORLD_SIZE") || getenv("PMIX_RANK") || getenv("PMI_RANK"); }

/* mpirun may bind ranks to cores of their own; if it did not, they all have the same and must share. */
static why_status count_sharers(why_world *w) {
    cpu_set_t mine, all;
    MPI_Comm node;
    CPU_ZERO(&mine);
    w->sharers = 1;
    if (sched_getaffinity(0, sizeof mine, &mine) != 0) return WHY_OK;
    MPI_TRY(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node), "find the ranks of this node");
    int ranks, first = w->rank, code = MPI_Comm_size(node, &ranks);
    if (code == MPI_SUCCESS) code = MPI_Allreduce(&mine, &all, sizeof mine, MPI_BYTE, MPI_BOR, node);
    if (code == MPI_SUCCESS) code = MPI_Bcast(&first, 1, MPI_INT, 0, node); /* ranks keep their order */
    MPI_Comm_free(&node);
    if (code != MPI_SUCCESS) return mpi_fail(code, "find the cores of this node");
    if (CPU_EQUAL(&mine, &all)) w->sharers = ranks;
    w->beside_root = CPU_EQUAL(&mine, &all) && first == 0;
    return WHY_OK;
}

static why_status enter_mpi(why_world *w) {
    int level;
    MPI_TRY(MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &level), "start");
    w->mpi = true;
    MPI_TRY(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN), "start");
    MPI_TRY(MPI_Comm_rank(MPI_COMM_WORLD, &w->rank), "start");
    MPI_TRY(MPI_Comm_size(MPI_COMM_WORLD, &w->size), "start");
    if (level < MPI_THREAD_FUNNELED) return why_fail(WHY_EUNSUPPORTED, "MPI: has no support for threads (MPI_THREAD_FUNNELED)");
    w->transport = (why_transport){.rank = w->rank, .size = w->size, .send = mpi_send, .receive = mpi_receive};
    return count_sharers(w);
}

/* srun without a PMI that Open MPI speaks starts N processes that each think to be alone, on one database. */
static why_status check_srun(const why_world *w) {
    const char *tasks = getenv("SLURM_STEP_NUM_TASKS");
    if (w->size > 1 || getenv("OMPI_COMM_WORLD_SIZE") || !tasks || strtol(tasks, NULL, 10) <= 1) return WHY_OK;
    return why_fail(WHY_EARG, "srun started %s tasks that do not know of each other: use srun --mpi=pmix, or mpirun", tasks);
}

why_status why_world_create(why_world **out) {
    *out = NULL;
    why_world *w;
    WHY_TRY(why_alloc(1, sizeof *w, "world", &w));
    w->size = w->sharers = 1;
    why_status st = why_world_launched() ? enter_mpi(w) : WHY_OK;
    if (!st) st = check_srun(w);
    if (st) why_world_destroy(&w, true);
    *out = w;
    return st;
}

static void free_all(outgoing *o) {
    for (outgoing *next; o; o = next) {
        next = o->next;
        free(o);
    }
}

void why_world_destroy(why_world **world, bool everyone) {
    why_world *w = *world;
    *world = NULL;
    if (!w || (w->mpi && !everyone)) return; /* MPI still owns the buffers of what it could not send */
    if (w->mpi) {
        for (int idle = 0; w->under_way && reap(w) == WHY_OK && w->under_way;) why_pause(why_backoff(&idle));
        MPI_Finalize();
    }
    free_all(w->under_way);
    free_all(w->spare);
    free(w);
}

int why_world_rank(const why_world *w) { return w->rank; }
int why_world_size(const why_world *w) { return w->size; }
int why_world_sharers(const why_world *w) { return w->sharers; }
bool why_world_beside_root(const why_world *w) { return w->beside_root; }
why_transport *why_world_transport(why_world *w) { return w->size > 1 ? &w->transport : NULL; }

/* ---------------------------------------------------------------- collectives */
why_status why_world_agree(why_world *w, why_status mine) {
    if (w->size == 1) return mine;
    struct { int failed, rank; } in = {mine != WHY_OK, w->rank}, out;
    MPI_TRY(MPI_Allreduce(&in, &out, 1, MPI_2INT, MPI_MAXLOC, MPI_COMM_WORLD), "agree");
    if (!out.failed) return WHY_OK;
    char text[TEXT] = "";
    int code = (int)mine;
    if (out.rank == w->rank) strncpy(text, why_error_text(), sizeof text - 1);
    MPI_TRY(MPI_Bcast(&code, 1, MPI_INT, out.rank, MPI_COMM_WORLD), "agree");
    MPI_TRY(MPI_Bcast(text, TEXT, MPI_CHAR, out.rank, MPI_COMM_WORLD), "agree");
    return out.rank == 0 ? why_fail((why_status)code, "%s", text) : why_fail((why_status)code, "rank %d: %s", out.rank, text);
}

why_status why_world_broadcast(why_world *w, why_buf *b) {
    if (w->size == 1) return WHY_OK;
    uint64_t n = b->size;
    MPI_TRY(MPI_Bcast(&n, 1, MPI_UINT64_T, 0, MPI_COMM_WORLD), "broadcast");
    if (n > INT32_MAX) return why_fail(WHY_ELIMIT, "MPI: a broadcast of %llu bytes, at most %d", (unsigned long long)n, INT32_MAX);
    why_status st = WHY_OK;
    uint8_t *bytes = b->data;
    if (w->rank != 0) st = why_alloc(n, 1, "broadcast", &bytes);
    WHY_TRY(why_world_agree(w, st));
    const int code = MPI_Bcast(bytes, (int)n, MPI_BYTE, 0, MPI_COMM_WORLD);
    if (w->rank != 0) {
        b->size = 0;
        if (code == MPI_SUCCESS) why_buf_put(b, bytes, n);
        free(bytes);
    }
    return code == MPI_SUCCESS ? why_buf_status(b) : mpi_fail(code, "broadcast");
}

/* inout[i] = merge of in[i] and inout[i]; both are the moments' portable bytes. */
static void merge_bytes(void *in, void *inout, int *n, MPI_Datatype *type) {
    (void)type;
    for (int i = 0; i < *n; i++) {
        uint8_t *to = (uint8_t *)inout + (size_t)i * WHY_MOMENTS_BYTES;
        why_moments a, b;
        const why_status st = why_moments_read((const uint8_t *)in + (size_t)i * WHY_MOMENTS_BYTES, WHY_MOMENTS_BYTES, &a);
        if (st || why_moments_read(to, WHY_MOMENTS_BYTES, &b)) continue; /* the sums will not agree, which is reported */
        why_moments_merge(&b, &a);
        why_moments_write(&b, to);
    }
}

static int reduce(uint8_t *bytes, int n, int rank) {
    MPI_Datatype type;
    MPI_Op op;
    int code = MPI_Type_contiguous(WHY_MOMENTS_BYTES, MPI_BYTE, &type);
    if (code != MPI_SUCCESS) return code;
    code = MPI_Type_commit(&type);
    if (code == MPI_SUCCESS) code = MPI_Op_create(merge_bytes, 1, &op);
    if (code == MPI_SUCCESS) {
        code = MPI_Reduce(rank == 0 ? MPI_IN_PLACE : bytes, rank == 0 ? bytes : NULL, n, type, op, 0, MPI_COMM_WORLD);
        MPI_Op_free(&op);
    }
    MPI_Type_free(&type);
    return code;
}

why_status why_world_merge(why_world *w, why_moments *parts, int n) {
    if (w->size == 1) return WHY_OK;
    uint8_t *bytes;
    WHY_TRY(why_world_agree(w, why_alloc((size_t)n, WHY_MOMENTS_BYTES, "reduction", &bytes)));
    for (int i = 0; i < n; i++) why_moments_write(&parts[i], bytes + (size_t)i * WHY_MOMENTS_BYTES);
    const int code = reduce(bytes, n, w->rank);
    why_status st = code == MPI_SUCCESS ? WHY_OK : mpi_fail(code, "reduce");
    for (int i = 0; !st && w->rank == 0 && i < n; i++)
        st = why_moments_read(bytes + (size_t)i * WHY_MOMENTS_BYTES, WHY_MOMENTS_BYTES, &parts[i]);
    free(bytes);
    return st;
}
