#include "run/marker.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

enum { BYTES = 256 /* more than the longest text */ };

static void host_name(char out[64]) {
    memset(out, 0, 64);
    if (gethostname(out, 63) != 0 || !*out) memcpy(out, "?", 2);
}

void why_marker_sign(why_marker *m) {
    host_name(m->host);
    m->pid = getpid();
}

bool why_marker_dead(const why_marker *m) {
    char host[64];
    host_name(host);
    return m->pid > 0 && strcmp(host, m->host) == 0 && kill((pid_t)m->pid, 0) != 0 && errno == ESRCH;
}

why_status why_marker_write(const char *path, bool create, const why_marker *m) {
    char text[BYTES + 1];
    const int n = snprintf(text, sizeof text, "whypix-launch %" PRId64 " %d %" PRId64 " %" PRId64 " %s %d %d %d", m->token, (int)m->phase,
                           m->beat, m->pid, m->host, (int)m->status, m->code, m->again);
    memset(text + n, ' ', sizeof text - (size_t)n);
    text[BYTES - 1] = '\n';
    const int fd = open(path, O_WRONLY | O_CLOEXEC | (create ? O_CREAT : 0), 0666);
    if (fd < 0) return why_fail(WHY_EFILE, "%s: %s", path, strerror(errno));
    const bool written = pwrite(fd, text, BYTES, 0) == BYTES;
    const int error = errno;
    if (close(fd) == 0 && written) return WHY_OK;
    return why_fail(WHY_EFILE, "%s: cannot write: %s", path, strerror(written ? errno : error));
}

why_status why_marker_read(const char *path, why_marker *m) {
    uint8_t *text;
    size_t n;
    int phase = -1, status = -1, again = 0;
    *m = (why_marker){0};
    WHY_TRY(why_read_file(path, 4096, &text, &n));
    const int fields = sscanf((const char *)text, "whypix-launch %" SCNd64 " %d %" SCNd64 " %" SCNd64 " %63s %d %d %d", &m->token, &phase,
                              &m->beat, &m->pid, m->host, &status, &m->code, &again);
    free(text);
    if (fields != 8 || phase < 0 || phase > WHY_MARKER_ENDED || status < 0 || status >= WHY_STATUS_COUNT)
        return why_fail(WHY_EFORMAT, "%s: not written by whypix launch", path);
    m->phase = (why_marker_phase)phase;
    m->status = (why_status)status;
    m->again = again != 0;
    return WHY_OK;
}
