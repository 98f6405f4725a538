// honggfuzz ends what runs for too long by SIGVTALRM, and made for any POSIX it does not take that for a
// crash: the input would be lost. So the program aborts.
#include <signal.h>
#include <stdlib.h>

static void run_for_too_long(int number) {
    (void)number;
    abort();
}

__attribute__((constructor)) static void watch(void) { signal(SIGVTALRM, run_for_too_long); }
