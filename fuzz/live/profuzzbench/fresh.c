/* Each start of the program finds the database as it was prepared: what an input leaves in it, a logout say,
 * would decide what those after it find. Linked in, since AFLNet's script (-c) runs beside a server that has
 * begun already. PREPARED_DATABASE names the database that is copied over framegate.db; without it nothing is. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void must(int holds, const char *what) {
    if (!holds) {
        perror(what);
        _exit(2);
    }
}

/* After the fork server's, which has a priority: in each process that it makes. */
__attribute__((constructor)) static void fresh(void) {
    static const char *const old[] = {"framegate.db", "framegate.db-wal", "framegate.db-shm",
                                     "framegate.db-journal"};
    const char *prepared = getenv("PREPARED_DATABASE");
    static char bytes[1 << 16];
    ssize_t got;

    if (prepared == NULL)
        return;
    for (size_t i = 0; i < sizeof old / sizeof *old; i++)
        unlink(old[i]);
    int from = open(prepared, O_RDONLY | O_CLOEXEC);
    must(from >= 0, prepared);
    int to = open(old[0], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    must(to >= 0, old[0]);
    while ((got = read(from, bytes, sizeof bytes)) > 0)
        must(write(to, bytes, (size_t)got) == got, old[0]);
    must(got == 0, prepared);
    close(from);
    close(to);
}
