#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "base/buf.h"
#include "base/mem.h"

static why_status open_regular(const char *path, int *fd, size_t *size) {
    struct stat st;
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO without a writer must not block us */
    if (*fd < 0) return why_fail(WHY_EFILE, "%s: %s", path, strerror(errno));
    if (fstat(*fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        why_status s = why_fail(WHY_EFILE, "%s: %s, a file is wanted", path, S_ISDIR(st.st_mode) ? "is a folder" : "is not a regular file");
        close(*fd);
        return s;
    }
    *size = (size_t)st.st_size;
    return WHY_OK;
}

why_status why_map_open(const char *path, why_mapped *out) {
    int fd;
    *out = (why_mapped){0};
    WHY_TRY(open_regular(path, &fd, &out->size));
    why_status st = WHY_OK;
    if (out->size > 0) {
        void *p = mmap(NULL, out->size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED) st = why_fail(WHY_EFILE, "%s: cannot map %zu bytes: %s", path, out->size, strerror(errno));
        else out->data = p;
    }
    close(fd);
    return st;
}

void why_map_close(why_mapped *m) {
    if (m->data) munmap((void *)(uintptr_t)m->data, m->size);
    *m = (why_mapped){0};
}

why_status why_read_file(const char *path, size_t limit, uint8_t **data, size_t *size) {
    int fd;
    *data = NULL;
    WHY_TRY(open_regular(path, &fd, size));
    why_status st = WHY_OK;
    if (*size > limit) st = why_fail(WHY_ELIMIT, "%s: %zu bytes, at most %zu are read", path, *size, limit);
    if (!st) st = why_alloc(*size + 1, 1, path, data);
    size_t at = 0;
    while (!st && at < *size) {
        ssize_t n = read(fd, *data + at, *size - at);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) st = why_fail(WHY_EFILE, "%s: %s", path, strerror(errno));
        if (n == 0) *size = at; /* shrank while being read */
        if (n > 0) at += (size_t)n;
    }
    close(fd);
    if (st) {
        free(*data);
        *data = NULL;
    }
    return st;
}

static why_status write_all(int fd, const char *path, const void *data, size_t size) {
    const char *p = data;
    while (size > 0) {
        ssize_t n = write(fd, p, size);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return why_fail(WHY_EFILE, "%s: cannot write: %s", path, strerror(errno));
        p += n;
        size -= (size_t)n;
    }
    if (fsync(fd) != 0 && errno != EINVAL) return why_fail(WHY_EFILE, "%s: cannot write: %s", path, strerror(errno));
    return WHY_OK;
}

why_status why_write_file(const char *path, const void *data, size_t size) {
    why_buf name = {0};
    char *part;
    why_buf_printf(&name, "%s.part-%ld", path, (long)getpid());
    WHY_TRY(why_buf_take(&name, &part));
    why_status st = WHY_OK;
    int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) st = why_fail(WHY_EFILE, "%s: cannot create: %s", path, strerror(errno));
    if (!st) {
        st = write_all(fd, path, data, size);
        if (close(fd) != 0 && !st) st = why_fail(WHY_EFILE, "%s: cannot write: %s", path, strerror(errno));
        if (!st && rename(part, path) != 0) st = why_fail(WHY_EFILE, "%s: cannot rename into place: %s", path, strerror(errno));
        if (st) unlink(part);
    }
    free(part);
    return st;
}

why_status why_make_dirs(const char *path) {
    char *p;
    WHY_TRY(why_strdup(path, &p));
    why_status st = WHY_OK;
    for (char *c = p + 1; !st; c++) {
        bool end = *c == '\0';
        if (*c != '/' && !end) continue;
        *c = '\0';
        struct stat sb;
        if (mkdir(p, 0777) != 0 && !(errno == EEXIST && stat(p, &sb) == 0 && S_ISDIR(sb.st_mode)))
            st = why_fail(WHY_EFILE, "%s: cannot make this folder: %s", p, strerror(errno == EEXIST ? ENOTDIR : errno));
        if (end) break;
        *c = '/';
    }
    free(p);
    return st;
}

why_status why_make_dirs_for(const char *file) {
    const char *slash = strrchr(file, '/');
    if (!slash || slash == file) return WHY_OK;
    char *folder = strndup(file, (size_t)(slash - file));
    if (!folder) return why_fail(WHY_ENOMEM, "%s: cannot get memory for a path", file);
    why_status st = why_make_dirs(folder);
    free(folder);
    return st;
}

static void hex_of(const unsigned char *digest, char hex[65]) {
    for (int i = 0; i < 32; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

void why_sha256(const void *data, size_t size, char hex[65]) {
    unsigned char digest[EVP_MAX_MD_SIZE] = {0};
    EVP_Digest(data ? data : "", size, digest, NULL, EVP_sha256(), NULL);
    hex_of(digest, hex);
}

why_status why_sha256_file(const char *path, char hex[65]) {
    why_mapped m;
    WHY_TRY(why_map_open(path, &m));
    why_sha256(m.data, m.size, hex);
    why_map_close(&m);
    return WHY_OK;
}

uint64_t why_sha256_key(const char hex[65]) {
    char head[17];
    memcpy(head, hex, 16);
    head[16] = '\0';
    return strtoull(head, NULL, 16);
}

why_status why_path_beside(const char *base_file, const char *path, char **out) {
    const char *slash = strrchr(base_file, '/');
    if (path[0] == '/' || !slash) return why_strdup(path, out);
    why_buf b = {0};
    why_buf_put(&b, base_file, (size_t)(slash - base_file) + 1);
    why_buf_text(&b, path);
    return why_buf_take(&b, out);
}
