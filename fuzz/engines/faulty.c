// A target for fuzz/engines/check: it fails at a byte.
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

// AFL++'s map, where that is the engine: without an edge it does not begin.
extern uint8_t *__afl_area_ptr __attribute__((weak));

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t bytes) {
    uint8_t first = bytes > 0 ? input[0] : 0;
    if (&__afl_area_ptr) __afl_area_ptr[first]++;
    if (first == 'C') abort();
    for (volatile int is_over = first != 'H'; !is_over;) {}
    return 0;
}
