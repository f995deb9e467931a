#!/bin/sh
# Pictures that crash or hang whoever reads them, and a disk that fills up, under `whypix launch`.
. "$WHYPIX_SOURCE/tests/mpi/lib.sh"
. "$WHYPIX_SOURCE/tests/mpi/launch.sh"
make_job 16 100
run 2 1 whole.db || fail "undisturbed: exit code $?"

# The fault lies in a library, as a decoder's would: reading one picture ends in SIGSEGV, another one never ends.
preload poison <<'END'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int open(const char *path, int flags, ...) {
    int (*next)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open");
    va_list ap;
    va_start(ap, flags);
    int mode = flags & O_CREAT ? va_arg(ap, int) : 0;
    va_end(ap);
    const char *crash = getenv("POISON_CRASH"), *hang = getenv("POISON_HANG");
    if (crash && strstr(path, crash)) raise(SIGSEGV);
    while (hang && strstr(path, hang)) pause();
    return next(path, flags, mode);
}
END

reason() { query "$1" "SELECT group_concat(DISTINCT path || ': ' || reason) FROM failure JOIN image i ON i.id = image_id"; }

# the others are complete; without the poison the image is done again as if nothing had been
healed() { # NAME
    [ "$(query "$db" "SELECT count(DISTINCT image_id) FROM explanation WHERE status = 'done'")" = 15 ] || fail "$1: not all other images are done"
    [ "$(missing "$db")" = 0 ] || fail "$1: images are missing"
    [ "$(query "$db" 'SELECT count(*) FROM run')" = 1 ] || fail "$1: was launched again"
    [ "$(query "$db" 'PRAGMA integrity_check')" = ok ] || fail "$1: the database is damaged"
    "$WHYPIX" rerun "$db" --failed --threads 1 >log 2>&1 || fail "$1: re-run: exit code $?"
    same whole.db "$db"
}

LD_PRELOAD=$work/poison.so POISON_CRASH=00005.png launch 2 crash.db
wait_end 'poison image' 1
[ "$(reason crash.db)" = 'images/00005.png: killed its worker twice: SIGSEGV' ] || fail "poison image: reason '$(reason crash.db)'"
grep -q 'lost' log && fail "poison image: a rank was lost"
healed 'poison image'

patience=beat=0.5,silence=8,image=3,goodbye=10,rank0=20,start=40
LD_PRELOAD=$work/poison.so POISON_HANG=00007.png launch 2 hang.db
wait_end 'picture that hangs' 1
reason hang.db | grep -q '^images/00007.png: cost 2 workers, the last: .* made no progress for' || fail "picture that hangs: reason '$(reason hang.db)'"
healed 'picture that hangs'

# kill -9 of a compute process: the rank goes on with a new one.
patience=beat=0.5,silence=8,image=30,goodbye=10,rank0=20,start=40
launch 2 compute.db
wait_for_images compute.db 2
strike 'kill -9 of a compute process' "$(pgrep -P "$(worker_pid 1)")"
recovered 'kill -9 of a compute process'
