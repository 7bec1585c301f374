/* A disk that keeps only what was synced.
 *
 * Preloaded into a process, it watches the files under DROPSYNC_ROOT and keeps, under DROPSYNC_IMAGE,
 * what a power failure would leave of them, by the letter of POSIX and not by what one file system does:
 *   - content: fsync or fdatasync of a file keeps its content of that moment; a write through a
 *     descriptor opened with O_DSYNC or O_SYNC keeps that range; anything else is lost;
 *   - names: fsync or fdatasync of a directory keeps its entries of that moment; a file that was
 *     created, renamed or removed since is found under its old name, or not at all.
 * files/KEY holds contents, dirs/KEY (dirs/root for the root) lines of "kind KEY name". A KEY is
 * inode and birth time, so that names do not matter to contents and inode numbers may be reused.
 * At the sync numbered DROPSYNC_DEATH, from 1, the process dies before anything of it is kept; a
 * process that ends by itself leaves the number of its syncs in the image's file "syncs".
 * Where DROPSYNC_FULL names a file that exists, writes under the root find the disk full.
 * Nothing reaches the real disk's sync. msync, sync and syncfs are not modelled: they abort.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define KEY_SIZE 64

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *root, *image, *full;
static long syncs, death;

__attribute__((constructor)) static void start(void) {
    root = getenv("DROPSYNC_ROOT");
    image = getenv("DROPSYNC_IMAGE");
    full = getenv("DROPSYNC_FULL");
    const char *number = getenv("DROPSYNC_DEATH");
    death = number ? atol(number) : 0;
}

__attribute__((destructor)) static void end(void) {
    char path[PATH_MAX];
    if (!image) return;
    snprintf(path, sizeof path, "%s/syncs", image);
    FILE *out = fopen(path, "we");
    if (out) {
        fprintf(out, "%ld", syncs);
        fclose(out);
    }
}

/* Called under the lock, before anything is kept. */
static void count_sync(void) {
    if (++syncs == death) kill(getpid(), SIGKILL);
}

static void give_up(const char *what) {
    fprintf(stderr, "dropsync: %s: %s\n", what, strerror(errno));
    abort();
}

/* Whether the file of fd is under the root: 1 below it, 2 the root itself. */
static int is_watched(int fd) {
    char link[64], path[PATH_MAX];
    if (!root) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    size_t prefix = strlen(root);
    if (strncmp(path, root, prefix) != 0) return 0;
    return path[prefix] == '/' ? 1 : path[prefix] == 0 ? 2 : 0;
}

static int key_at(int fd, const char *name, char *key, mode_t *mode) {
    struct statx s;
    int flags = AT_SYMLINK_NOFOLLOW | (*name ? 0 : AT_EMPTY_PATH);
    if (statx(fd, name, flags, STATX_INO | STATX_MODE | STATX_BTIME, &s) != 0) return -1;
    long long born = s.stx_mask & STATX_BTIME ? s.stx_btime.tv_sec * 1000000000LL + s.stx_btime.tv_nsec : 0;
    snprintf(key, KEY_SIZE, "%llu-%lld", (unsigned long long)s.stx_ino, born);
    if (mode) *mode = s.stx_mode;
    return 0;
}

static void image_path(char *path, const char *part, const char *name) {
    snprintf(path, PATH_MAX, "%s/%s/%s", image, part, name);
}

static void keep_file(int fd, const char *key) {
    char link[64], target[PATH_MAX], draft[PATH_MAX], block[1 << 16];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    image_path(target, "files", key);
    image_path(draft, "files", "draft");
    int from = open(link, O_RDONLY | O_CLOEXEC), to = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (from < 0 || to < 0) give_up("cannot copy a synced file");
    ssize_t got;
    while ((got = syscall(SYS_read, from, block, sizeof block)) > 0)
        if (syscall(SYS_write, to, block, got) != got) give_up("cannot keep a synced file");
    close(from);
    close(to);
    if (got < 0 || rename(draft, target) != 0) give_up("cannot keep a synced file");
}

static void keep_directory(int fd, const char *key) {
    char target[PATH_MAX], draft[PATH_MAX], entry_key[KEY_SIZE];
    mode_t mode;
    image_path(target, "dirs", key);
    image_path(draft, "dirs", "draft");
    FILE *out = fopen(draft, "we");
    DIR *entries = fdopendir(openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!out || !entries) give_up("cannot read a synced directory");
    for (struct dirent *entry; (entry = readdir(entries));) {
        const char *name = entry->d_name;
        if (!strcmp(name, ".") || !strcmp(name, "..")) continue;
        if (key_at(fd, name, entry_key, &mode) == 0)
            fprintf(out, "%c %s %s\n", S_ISDIR(mode) ? 'd' : 'f', entry_key, name);
    }
    closedir(entries);
    if (fclose(out) != 0 || rename(draft, target) != 0) give_up("cannot keep a synced directory");
}

static int sync_fd(int fd) {
    char key[KEY_SIZE];
    mode_t mode;
    int watched = is_watched(fd);
    if (!watched) return 0;
    pthread_mutex_lock(&lock);
    count_sync();
    if (key_at(fd, "", key, &mode) != 0) give_up("cannot look at a synced file");
    if (S_ISDIR(mode))
        keep_directory(fd, watched == 2 ? "root" : key);
    else
        keep_file(fd, key);
    pthread_mutex_unlock(&lock);
    return 0;
}

int fsync(int fd) { return sync_fd(fd); }
int fdatasync(int fd) { return sync_fd(fd); }

/* Keeps what was just written through a synchronous descriptor. */
static void keep_range(int fd, const struct iovec *parts, ssize_t written, off_t offset) {
    char key[KEY_SIZE], target[PATH_MAX];
    if (written <= 0 || !(fcntl(fd, F_GETFL) & O_DSYNC) || !is_watched(fd)) return;
    pthread_mutex_lock(&lock);
    count_sync();
    if (key_at(fd, "", key, NULL) != 0) give_up("cannot look at a file");
    image_path(target, "files", key);
    int to = open(target, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (to < 0) give_up("cannot keep a write");
    for (; written > 0; parts++) {
        size_t length = (size_t)written < parts->iov_len ? (size_t)written : parts->iov_len;
        if (syscall(SYS_pwrite64, to, parts->iov_base, length, offset) != (ssize_t)length) give_up("cannot keep a write");
        written -= length;
        offset += length;
    }
    close(to);
    pthread_mutex_unlock(&lock);
}

static int is_full(int fd) {
    if (!full || access(full, F_OK) != 0 || !is_watched(fd)) return 0;
    errno = ENOSPC;
    return 1;
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    if (is_full(fd)) return -1;
    ssize_t written = syscall(SYS_writev, fd, parts, count);
    int error = errno;
    keep_range(fd, parts, written, lseek(fd, 0, SEEK_CUR) - written);
    errno = error;
    return written;
}

ssize_t write(int fd, const void *bytes, size_t length) {
    struct iovec part = {(void *)bytes, length};
    return writev(fd, &part, 1);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
    if (is_full(fd)) return -1;
    ssize_t written = syscall(SYS_pwritev, fd, parts, count, offset, 0);
    int error = errno;
    keep_range(fd, parts, written, offset);
    errno = error;
    return written;
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) {
    struct iovec part = {(void *)bytes, length};
    return pwritev(fd, &part, 1, offset);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off_t offset) { return pwritev(fd, parts, count, offset); }
ssize_t pwrite64(int fd, const void *bytes, size_t length, off_t offset) { return pwrite(fd, bytes, length, offset); }

static int not_modelled(const char *call) {
    errno = ENOSYS;
    give_up(call);
    return -1;
}

int msync(void *start_of, size_t length, int flags) { (void)start_of; (void)length; (void)flags; return not_modelled("msync"); }
int syncfs(int fd) { (void)fd; return not_modelled("syncfs"); }
void sync(void) { not_modelled("sync"); }
