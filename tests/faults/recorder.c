/* What a process does to its files and says on its sockets, in order; and faults at a chosen call.

   cc -shared -fPIC -O1 -o recorder.so recorder.c -lpthread
   LD_PRELOAD=recorder.so RECORD_FILES=/data RECORD_TO=/tmp/record  ...

   RECORD_FILES   the folder whose files are followed (real path)
   RECORD_TO      where the record is appended; a process that is started again goes on with it
   RECORD_STDOUT  set: what is written to descriptor 1 counts as said, as on a socket
   FAULT          KIND:NTH:WHAT[:TIMES] - at the NTH call of KIND (sync, write) on a followed file whose name contains
                  FAULT_FILE: WHAT = an errno, so many TIMES (0: for good), or "kill": the process is killed before it

   A record: op (1 byte), length of the path (2), offset (8), length of the data (4), the path, the data; all little
   endian.  The order of the records is the order of the calls: a write and its record are one step under a lock, a sync
   has a record at its beginning and one at its end, and what is said is recorded before it is said.  */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DESCRIPTORS 4096
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char *names[DESCRIPTORS];
static char folder[PATH_MAX];
static size_t folder_length;
static int out = -1;
static int follows_stdout;

static char fault_kind[16];
static const char *fault_file = "";
static long fault_nth, fault_times, fault_seen;
static int fault_errno, fault_kills;

static void put(char op, const char *path, int64_t offset, const void *data, uint32_t length) {
    if (out < 0) return;
    uint16_t path_length = (uint16_t)strlen(path);
    size_t size = 15 + path_length + (size_t)length, done = 0;
    char *record = malloc(size);
    record[0] = op;
    memcpy(record + 1, &path_length, 2);
    memcpy(record + 3, &offset, 8);
    memcpy(record + 11, &length, 4);
    memcpy(record + 15, path, path_length);
    if (length) memcpy(record + 15 + path_length, data, length);
    while (done < size) {
        long wrote = syscall(SYS_write, out, record + done, size - done);
        if (wrote <= 0) abort();
        done += (size_t)wrote;
    }
    free(record);
}

__attribute__((constructor)) static void begin(void) {
    const char *files = getenv("RECORD_FILES"), *to = getenv("RECORD_TO"), *fault = getenv("FAULT");
    if (!files) return;
    if (!realpath(files, folder)) snprintf(folder, sizeof folder, "%s", files);
    folder_length = strlen(folder);
    follows_stdout = getenv("RECORD_STDOUT") != NULL;
    if (to) {
        int low = (int)syscall(SYS_openat, AT_FDCWD, to, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        out = fcntl(low, F_DUPFD_CLOEXEC, 3000);
        if (out < 0) out = low; else syscall(SYS_close, low);
    }
    if (fault) {
        char what[16] = "";
        if (getenv("FAULT_FILE")) fault_file = getenv("FAULT_FILE");
        sscanf(fault, "%15[^:]:%ld:%15[^:]:%ld", fault_kind, &fault_nth, what, &fault_times);
        fault_kills = strcmp(what, "kill") == 0;
        fault_errno = atoi(what);
    }
    put('P', "", getpid(), NULL, 0);
}

/* The path inside the followed folder, or NULL. */
static const char *inside(const char *path) {
    if (!folder_length || strncmp(path, folder, folder_length)) return NULL;
    if (path[folder_length] == '\0') return ".";
    return path[folder_length] == '/' ? path + folder_length + 1 : NULL;
}

static const char *name_of(int fd) { return fd >= 0 && fd < DESCRIPTORS ? names[fd] : NULL; }

static void forget(int fd) {
    if (fd >= 0 && fd < DESCRIPTORS && names[fd]) { free(names[fd]); names[fd] = NULL; }
}

/* The whole path, its folder resolved.  full: PATH_MAX bytes. */
static void absolute(const char *path, char *full) {
    char parent[PATH_MAX], resolved[PATH_MAX];
    const char *slash = strrchr(path, '/');
    if (slash && slash != path) snprintf(parent, sizeof parent, "%.*s", (int)(slash - path), path);
    else strcpy(parent, slash ? "/" : ".");
    if (!realpath(parent, resolved)) strcpy(resolved, parent);
    size_t length = strlen(resolved);
    memcpy(full, resolved, length + 1);
    snprintf(full + length, PATH_MAX - length, "/%s", slash ? slash + 1 : path);
}

/* Whether this call is to fail: errno is set; or to be the last. */
static int fails(const char *kind, const char *path) {
    if (!fault_nth || strcmp(kind, fault_kind) || !strstr(path, fault_file)) return 0;
    fault_seen++;
    if (fault_seen < fault_nth) return 0;
    if (fault_kills) { kill(getpid(), SIGKILL); for (;;) pause(); }
    if (fault_times && fault_seen >= fault_nth + fault_times) return 0;
    put('F', path, fault_seen, NULL, 0);
    errno = fault_errno;
    return 1;
}

static int opened(int fd, const char *path, int flags, int existed) {
    const char *name;
    if (fd < 0 || fd >= DESCRIPTORS || !(name = inside(path))) return fd;
    forget(fd);
    names[fd] = strdup(name);
    if (!existed && (flags & O_CREAT)) put('C', name, 0, NULL, 0);
    if (existed && (flags & O_TRUNC)) put('T', name, 0, NULL, 0);
    return fd;
}

static int open_and_follow(int directory, const char *path, int flags, mode_t mode) {
    char full[PATH_MAX];
    struct stat status;
    if (directory != AT_FDCWD && path[0] != '/') return (int)syscall(SYS_openat, directory, path, flags, mode);
    absolute(path, full);
    pthread_mutex_lock(&lock);
    int existed = syscall(SYS_newfstatat, AT_FDCWD, full, &status, 0) == 0;
    int fd = opened((int)syscall(SYS_openat, AT_FDCWD, path, flags, mode), full, flags, existed);
    int error = errno;
    pthread_mutex_unlock(&lock);
    errno = error;
    return fd;
}

#define OPEN(name)                                                          \
    int name(const char *path, int flags, ...) {                            \
        va_list rest; va_start(rest, flags);                                \
        mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
        va_end(rest);                                                       \
        return open_and_follow(AT_FDCWD, path, flags, mode);                \
    }
#define OPENAT(name)                                                        \
    int name(int directory, const char *path, int flags, ...) {             \
        va_list rest; va_start(rest, flags);                                \
        mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
        va_end(rest);                                                       \
        return open_and_follow(directory, path, flags, mode);               \
    }
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

int close(int fd) {
    pthread_mutex_lock(&lock);
    forget(fd);
    pthread_mutex_unlock(&lock);
    return (int)syscall(SYS_close, fd);
}

static ssize_t write_at(int fd, const void *data, size_t length, off64_t offset, int moves) {
    const char *name = name_of(fd);
    if (!name && !(follows_stdout && fd == 1))
        return moves ? syscall(SYS_write, fd, data, length) : syscall(SYS_pwrite64, fd, data, length, offset);
    pthread_mutex_lock(&lock);
    ssize_t wrote;
    if (!name) {
        put('A', "", fd, data, (uint32_t)length);
        wrote = syscall(SYS_write, fd, data, length);
    } else if (fails("write", name)) {
        wrote = -1;
    } else {
        if (moves) offset = fcntl(fd, F_GETFL) & O_APPEND ? lseek64(fd, 0, SEEK_END) : lseek64(fd, 0, SEEK_CUR);
        wrote = moves ? syscall(SYS_write, fd, data, length) : syscall(SYS_pwrite64, fd, data, length, offset);
        if (wrote > 0) put('W', name, offset, data, (uint32_t)wrote);
    }
    int error = errno;
    pthread_mutex_unlock(&lock);
    errno = error;
    return wrote;
}

ssize_t write(int fd, const void *data, size_t length) { return write_at(fd, data, length, 0, 1); }
ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) { return write_at(fd, data, length, offset, 0); }
ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset) { return write_at(fd, data, length, offset, 0); }

static int truncate_to(int fd, off64_t size) {
    const char *name = name_of(fd);
    pthread_mutex_lock(&lock);
    int done = (int)syscall(SYS_ftruncate, fd, size), error = errno;
    if (name && !done) put('T', name, size, NULL, 0);
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}
int ftruncate(int fd, off_t size) { return truncate_to(fd, size); }
int ftruncate64(int fd, off64_t size) { return truncate_to(fd, size); }

int unlink(const char *path) {
    char full[PATH_MAX];
    absolute(path, full);
    pthread_mutex_lock(&lock);
    int done = (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0), error = errno;
    if (!done && inside(full)) put('U', inside(full), 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}

int rename(const char *from, const char *to) {
    char old[PATH_MAX], new[PATH_MAX];
    absolute(from, old);
    absolute(to, new);
    pthread_mutex_lock(&lock);
    int done = (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0), error = errno;
    if (!done && inside(old) && inside(new)) put('R', inside(old), 0, inside(new), (uint32_t)strlen(inside(new)));
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}

static int sync_with(int fd, long call) {
    const char *name = name_of(fd);
    if (!name) return (int)syscall(call, fd);
    pthread_mutex_lock(&lock);
    int failed = fails("sync", name), error = errno;
    if (!failed) put('B', name, fd, NULL, 0);
    pthread_mutex_unlock(&lock);
    errno = error;
    if (failed) return -1;
    int done = (int)syscall(call, fd);
    error = errno;
    pthread_mutex_lock(&lock);
    if (!done) put('S', name, fd, NULL, 0);
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}
int fsync(int fd) { return sync_with(fd, SYS_fsync); }
int fdatasync(int fd) { return sync_with(fd, SYS_fdatasync); }

static void said(int fd, const void *data, size_t length) {
    if (!folder_length) return;
    pthread_mutex_lock(&lock);
    put('A', "", fd, data, (uint32_t)length);
    pthread_mutex_unlock(&lock);
}

ssize_t send(int fd, const void *data, size_t length, int flags) {
    said(fd, data, length);
    return syscall(SYS_sendto, fd, data, length, flags, NULL, 0);
}
ssize_t sendto(int fd, const void *data, size_t length, int flags, const struct sockaddr *to, socklen_t size) {
    said(fd, data, length);
    return syscall(SYS_sendto, fd, data, length, flags, to, size);
}
ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    for (size_t part = 0; part < message->msg_iovlen; part++)
        said(fd, message->msg_iov[part].iov_base, message->msg_iov[part].iov_len);
    return syscall(SYS_sendmsg, fd, message, flags);
}

/* For a process that forks others and gives each a fault of its own: as FAULT and FAULT_FILE, but now. */
void recorder_fault(const char *kind, long nth, int error, long times, const char *file) {
    pthread_mutex_lock(&lock);
    snprintf(fault_kind, sizeof fault_kind, "%s", kind);
    fault_nth = nth;
    fault_times = times;
    fault_seen = 0;
    fault_kills = error == 0;
    fault_errno = error;
    fault_file = strdup(file);
    pthread_mutex_unlock(&lock);
}

/* How many calls the fault has counted. */
long recorder_seen(void) { return fault_seen; }
