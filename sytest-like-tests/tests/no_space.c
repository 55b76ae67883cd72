/* A full disk for one process: writes to regular files fail with ENOSPC while the file named by NO_SPACE_WHEN
 * exists. Loaded with LD_PRELOAD, so it needs no rights and no file system of its own. Logs, sockets and pipes are
 * let through: descriptors are asked what they are. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static int full(int descriptor) {
    const char *when = getenv("NO_SPACE_WHEN");
    struct stat found;
    char link[64], path[4096];
    if (!when || access(when, F_OK) != 0 || fstat(descriptor, &found) != 0 || !S_ISREG(found.st_mode)) return 0;
    /* Only what lies in the data folder. */
    strcpy(link, "/proc/self/fd/");
    char digits[16];
    int length = 0, number = descriptor;
    do { digits[length++] = (char)('0' + number % 10); number /= 10; } while (number);
    size_t end = strlen(link);
    while (length) link[end++] = digits[--length];
    link[end] = 0;
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (size < 0) return 0;
    path[size] = 0;
    return strstr(path, "/data/") != NULL;
}

#define GUARD(type, name, parameters, descriptor, ...)              \
    type name parameters {                                          \
        static type(*next) parameters;                              \
        if (!next) next = (type(*) parameters)dlsym(RTLD_NEXT, #name); \
        if (full(descriptor)) { errno = ENOSPC; return -1; }        \
        return next(__VA_ARGS__);                                   \
    }

GUARD(ssize_t, write, (int fd, const void *bytes, size_t size), fd, fd, bytes, size)
GUARD(ssize_t, pwrite, (int fd, const void *bytes, size_t size, off_t at), fd, fd, bytes, size, at)
GUARD(ssize_t, pwrite64, (int fd, const void *bytes, size_t size, off64_t at), fd, fd, bytes, size, at)
GUARD(int, fallocate, (int fd, int mode, off_t at, off_t size), fd, fd, mode, at, size)
