# honggfuzz. A part of fuzz/run.

dictionary=--dict

# Made as for any POSIX: its way of Linux takes a crash apart with libbfd and libunwind, and we ask only
# whether there was one.
make_engine() {
    source_of honggfuzz honggfuzz
    local into=${source%/source}/build
    make -C "$source" OS=POSIX REALOS=POSIX BUILD_DIR="$into" \
        "$into"/{honggfuzz,libhfuzz/libhfuzz.a,libhfcommon/libhfcommon.a} || return
    cp "$into/honggfuzz" "$made"
    # In one with what counts edges, which every program takes.
    cc -O3 -fPIC -c -o "$made/time_out.o" fuzz/engines/time_out.c &&
        ld -r -o "$made/instrument.o" "$into/libhfuzz/instrument.o" "$made/time_out.o" &&
        mv "$made/instrument.o" "$into/libhfuzz" || return
    ar rcs "$made/libengine.a" "$into"/libhfuzz/*.o "$into"/libhfcommon/*.o
}

fuzz() {
    local target=$1 failing status=0
    begin "$target" || return
    mkdir -p "$out/all" "$out/new" "$out/found"
    if [ "$target" = server_ops ]; then options+=(-F 256); else options+=(-F 10000); fi
    if [ "$target" = fuzz-stdin ]; then options+=(--stdin_input); else options+=(--persistent); fi
    "$made/honggfuzz" --verbose --threads 1 --run_time "$seconds" --timeout 5 --tmout_sigvtalrm \
        --exit_upon_crash "${options[@]}" --input "$out/inputs" --output "$out/all" \
        --covdir_new "$out/new" --workspace "$out/found" -- "$(program "$target")" || status=$?
    shopt -s nullglob
    keep "$found/corpus/$name" '' "$out"/new/* || return
    failing=("$out"/found/*.fuzz)
    keep "$found/artifacts/$name" crash- "${failing[@]}" || return
    [ "$status" -eq 0 ] && [ ${#failing[@]} -eq 0 ]
}

# "Summary iterations:4763 time:11 speed:433 crashes_count:0 ...".
stat() { grep -a -o "^Summary .*" "$log" | grep -o " $1:[0-9]*" | cut -d : -f 2; }
executions() { stat iterations; }
speed() { stat speed; }
