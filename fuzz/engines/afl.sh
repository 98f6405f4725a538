# AFL++. A part of fuzz/run.

dictionary=-x
# Nobody is at the terminal, and this is no machine set up for it. The first crash is the last, as with
# libFuzzer.
export AFL_NO_UI=1 AFL_SKIP_CPUFREQ=1 AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES=1 AFL_TRY_AFFINITY=1 \
    AFL_CRASHING_SEEDS_AS_NEW_CRASH=1 AFL_BENCH_UNTIL_CRASH=1

# The fuzzer; and what counts edges, with a `main` that calls a target over and over.
make_engine() {
    source_of cargo-afl-common AFLplusplus
    local source=$made/source
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
    local target=$1 found
    begin "$target"
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
        "$(program "$target")" || return
    shopt -s nullglob
    keep "fuzz/corpus/$name" '' "$out"/default/queue/id:*src:*
    found=("$out"/default/crashes/id:*)
    keep "fuzz/artifacts/$name" crash- "${found[@]}"
    keep "fuzz/artifacts/$name" timeout- "$out"/default/hangs/id:*
    found+=("$out"/default/hangs/id:*)
    [ ${#found[@]} -eq 0 ]
}

stat() { awk -v name="$2" '$1 == name { print $3 }' "$made/out/$1/default/fuzzer_stats"; }
executions() { stat "$1" execs_done; }
# A run of less than a second has no time.
speed() { echo $(($(stat "$1" execs_done) / ($(stat "$1" run_time) + ($(stat "$1" run_time) == 0)))); }
