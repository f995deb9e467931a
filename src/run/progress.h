/* A run in words: the lines that `whypix run` prints. */
#ifndef WHYPIX_RUN_PROGRESS_H
#define WHYPIX_RUN_PROGRESS_H

#include "base/buf.h"
#include "run/run.h"

/* Append one or more lines, without a newline at the end: at the beginning (ranks, threads, images to do, database), on
 * the way (images done, rate, time left, what went wrong), at the end (summary, where the results are). */
void why_progress_begin(why_buf *b, const why_run_report *r);
void why_progress_line(why_buf *b, const why_run_report *r);
void why_progress_end(why_buf *b, const why_run_report *r);

/* "8 s", "2 min 05 s", "3 h 20 min", "2 d 4 h" */
void why_progress_duration(why_buf *b, double seconds);

#endif
