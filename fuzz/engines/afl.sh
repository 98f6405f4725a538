# AFL++. A part of fuzz/run.

dictionary=-x
# Nobody is at the terminal, and this is no machine set up for it. The first crash is the last, as with
# libFuzzer.
export AFL_NO_UI=1 AFL_SKIP_CPUFREQ=1 AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES=1 AFL_TRY_AFFINITY=1 \
    AFL_CRASHING_SEEDS_AS_NEW_CRASH=1 AFL_BENCH_UNTIL_CRASH=1

# The fuzzer; and what counts edges, with a `main` that calls a target over and over.
make_engine() {
    source_of cargo-afl-common AFLplusplus
    make -C "$source" NO_PYTHON=1 AFL_NO_X86=1 afl-fuzz afl-showmap || return
    cp "$source/afl-fuzz" "$source/afl-showmap" "$made"
    cc -O3 -fPIC -w -I"$source/include" -c -o "$made/runtime.o" "$source/instrumentation/afl-compiler-rt.o.c" &&
        cc -O3 -fPIC -w -I"$source/include" -DLLVMFuzzerTestOneInput=framegate_test_one_input \
            -c -o "$made/driver.o" "$source/utils/aflpp_driver/aflpp_driver.c" &&
        cc -O3 -fPIC -c -o "$made/states.o" fuzz/engines/states.c &&
        ar rcs "$made/libengine.a" "$made/runtime.o" "$made/driver.o" "$made/states.o" || return
    # Loaded by the fuzzer, which counts no edges of its own.
    cargo build --quiet --release --package framegate-afl-mutator --target-dir "$work/mutator"
}

fuzz() {
    local target=$1 failing status=0
    begin "$target" || return
    # Where the inputs themselves are findings, AFL++ would abort, or go on for ever.
    seeds_hold "$target" || return
    # What is compared is of use but for server_ops, whose bytes are choices and compared with nothing.
    if [ "$target" = server_ops ]; then options+=(-G 256); else options+=(-G 10000 -c 0); fi
    # Scripts are changed so that their signatures are right again, too. FrameShift would write past the end
    # of what a mutator has made (AFL++ 4.40c), and lengths are the mutator's work here.
    unset AFL_CUSTOM_MUTATOR_LIBRARY AFL_FRAMESHIFT_DISABLE
    if [ "$name" = exchange ]; then
        export AFL_CUSTOM_MUTATOR_LIBRARY=$work/mutator/release/libframegate_afl_mutator.so
        export AFL_FRAMESHIFT_DISABLE=1
    fi
    "$made/afl-fuzz" -V "$seconds" -t 5000 "${options[@]}" -i "$out/inputs" -o "$out" -- \
        "$(program "$target")" || status=$?
    shopt -s nullglob
    keep "$found/corpus/$name" '' "$out"/default/queue/id:*src:* || return
    failing=("$out"/default/crashes/id:*)
    keep "$found/artifacts/$name" crash- "${failing[@]}" || return
    keep "$found/artifacts/$name" timeout- "$out"/default/hangs/id:* || return
    failing+=("$out"/default/hangs/id:*)
    [ "$status" -eq 0 ] && [ ${#failing[@]} -eq 0 ]
}

# Fails when one of the inputs makes the target fail, which is then a finding: all of them in one process, and
# where that fails, one by one.
seeds_hold() {
    local target=$1 input
    [ "$target" = fuzz-stdin ] ||
        ! find "$out/inputs" -type f -print0 | timeout 20 xargs -0 "$(program "$target")" || return 0
    for input in "$out"/inputs/*; do
        run_once "$target" "$input" && continue
        keep "$found/artifacts/$name" crash- "$input"
        return 1
    done
}

# Of a run that did not begin there is none.
stat() {
    local stats=$made/out/$1/default/fuzzer_stats
    [ -e "$stats" ] || stats=/dev/null
    awk -v name="$2" '$1 == name { number = $3 } END { print number + 0 }' "$stats"
}
executions() { stat "$1" execs_done; }
# A run of less than a second has no time.
speed() {
    local seconds
    seconds=$(stat "$1" run_time)
    echo $(($(executions "$1") / (seconds > 0 ? seconds : 1)))
}
