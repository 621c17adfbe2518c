/* Writes into files below a folder fail after a number of bytes: a quota, or a disk that gives up.
   For LD_PRELOAD; REFUSE_UNDER is the folder, REFUSE_AFTER the bytes, REFUSE_WITH the errno. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_long written;

static int refused(int fd, size_t count) {
    const char *under = getenv("REFUSE_UNDER"), *after = getenv("REFUSE_AFTER");
    const char *with = getenv("REFUSE_WITH");
    char link[64], name[PATH_MAX];
    if (!under || !after || !with) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, name, sizeof name - 1);
    if (n < 0) return 0;
    name[n] = 0;
    if (strncmp(name, under, strlen(under))) return 0;
    if (atomic_fetch_add(&written, (long)count) + (long)count <= atol(after)) return 0;
    errno = atoi(with);
    return 1;
}

ssize_t write(int fd, const void *buf, size_t count) {
    static ssize_t (*next)(int, const void *, size_t);
    if (!next) next = dlsym(RTLD_NEXT, "write");
    return refused(fd, count) ? -1 : next(fd, buf, count);
}

ssize_t pwrite(int fd, const void *buf, size_t count, off_t offset) {
    static ssize_t (*next)(int, const void *, size_t, off_t);
    if (!next) next = dlsym(RTLD_NEXT, "pwrite");
    return refused(fd, count) ? -1 : next(fd, buf, count, offset);
}

ssize_t pwrite64(int fd, const void *buf, size_t count, off64_t offset) {
    static ssize_t (*next)(int, const void *, size_t, off64_t);
    if (!next) next = dlsym(RTLD_NEXT, "pwrite64");
    return refused(fd, count) ? -1 : next(fd, buf, count, offset);
}

ssize_t writev(int fd, const struct iovec *parts, int n) {
    static ssize_t (*next)(int, const struct iovec *, int);
    size_t count = 0;
    if (!next) next = dlsym(RTLD_NEXT, "writev");
    for (int i = 0; i < n; i++) count += parts[i].iov_len;
    return refused(fd, count) ? -1 : next(fd, parts, n);
}
