// Between AFL++'s driver and a target: what the target has told as libFuzzer's extra counters, the states of
// connections, AFL++ is told as IJON has it.
#include <stddef.h>
#include <stdint.h>

// The counters, where a target has any.
extern uint8_t __start___libfuzzer_extra_counters[] __attribute__((weak));
extern uint8_t __stop___libfuzzer_extra_counters[] __attribute__((weak));

extern void ijon_set(uint32_t where, uint32_t what);
extern int LLVMFuzzerTestOneInput(const uint8_t *input, size_t bytes);

// AFL++'s runtime looks at it before it begins.
uint32_t __afl_ijon_enabled;
__attribute__((constructor(101))) static void enable(void) {
    __afl_ijon_enabled = __start___libfuzzer_extra_counters != __stop___libfuzzer_extra_counters;
}

// What the driver calls in the target's stead.
int framegate_test_one_input(const uint8_t *input, size_t bytes) {
    int result = LLVMFuzzerTestOneInput(input, bytes);
    uint32_t number = 0;
    for (uint8_t *reached = __start___libfuzzer_extra_counters; reached < __stop___libfuzzer_extra_counters;
         reached++, number++) {
        if (*reached) {
            ijon_set(number, 0);
            *reached = 0;
        }
    }
    return result;
}
