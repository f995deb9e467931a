#include "run/progress.h"

void why_progress_duration(why_buf *b, double seconds) {
    const long long s = seconds < 0 ? 0 : seconds > 1e15 ? (long long)1e15 : (long long)(seconds + 0.5);
    if (s < 60) why_buf_printf(b, "%lld s", s);
    else if (s < 3600) why_buf_printf(b, "%lld min %02lld s", s / 60, s % 60);
    else if (s < 86400) why_buf_printf(b, "%lld h %02lld min", s / 3600, s % 3600 / 60);
    else why_buf_printf(b, "%lld d %lld h", s / 86400, s % 86400 / 3600);
}

static const char *plural(long long n) { return n == 1 ? "" : "s"; }

static void put_rate(why_buf *b, double rate) {
    if (rate <= 0) return;
    if (rate >= 1) why_buf_printf(b, ", %.1f images/s", rate);
    else why_buf_printf(b, ", %.1f s/image", 1 / rate);
}

static void put_trouble(why_buf *b, const why_run_report *r) {
    if (r->failed > 0) why_buf_printf(b, ", %d failed", r->failed);
    if (r->lost > 0) why_buf_printf(b, ", %d of %d workers lost", r->lost, r->ranks);
}

void why_progress_begin(why_buf *b, const why_run_report *r) {
    why_buf_printf(b, "%s: %d image%s x %d cell%s, %d image%s to do\n", r->job, r->images, plural(r->images), r->cells, plural(r->cells),
                   r->todo, plural(r->todo));
    why_buf_printf(b, "%d rank%s x %d thread%s (%s), database %s", r->ranks, plural(r->ranks), r->threads, plural(r->threads),
                   r->threads_from, r->database);
}

void why_progress_line(why_buf *b, const why_run_report *r) {
    why_buf_printf(b, "%d of %d images", r->closed, r->todo);
    put_rate(b, r->rate);
    if (r->stopping && r->closed < r->todo) why_buf_text(b, ", stopping");
    else if (r->left >= 0 && r->closed < r->todo) {
        why_buf_text(b, ", ");
        why_progress_duration(b, r->left);
        why_buf_text(b, " left");
    }
    put_trouble(b, r);
}

static void put_outcome(why_buf *b, const why_run_report *r) {
    const char *word = r->closed == r->todo ? "done" : r->exit_code == 75 ? "interrupted" : "stopped";
    why_buf_printf(b, "%s: %d of %d image%s in ", word, r->closed, r->todo, plural(r->todo));
    why_progress_duration(b, r->seconds);
    put_rate(b, r->closed > 0 ? r->rate : 0);
    put_trouble(b, r);
    if (r->closed < r->todo) why_buf_text(b, "; run the same command again to go on");
    if (r->trouble && *r->trouble) why_buf_printf(b, "\ntrouble: %s", r->trouble);
    if (r->all_failed > 0)
        why_buf_printf(b, "\n%d image%s failed, in whole or in part: whypix table %s failures", r->all_failed, plural(r->all_failed),
                       r->database);
}

void why_progress_end(why_buf *b, const why_run_report *r) {
    put_outcome(b, r);
    why_buf_printf(b, "\nresults: %s", r->database);
    if (r->maps_dir) why_buf_printf(b, ", maps in %s", r->maps_dir);
    if (r->overlays_dir) why_buf_printf(b, ", overlays in %s", r->overlays_dir);
    why_buf_printf(b, "\ntables: whypix table %s", r->database);
}
