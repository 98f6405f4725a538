# honggfuzz. A part of fuzz/run.

dictionary=--dict

# Made as for any POSIX: its way of Linux takes a crash apart with libbfd and libunwind, and we ask only
# whether there was one.
make_engine() {
    source_of honggfuzz honggfuzz
    local into=$made/build
    make -C "$made/source" OS=POSIX REALOS=POSIX BUILD_DIR="$into" \
        "$into/honggfuzz" "$into/libhfuzz/libhfuzz.a" "$into/libhfcommon/libhfcommon.a" || return
    cp "$into/honggfuzz" "$made"
    ar rcs "$made/libengine.a" "$into"/libhfuzz/*.o "$into"/libhfcommon/*.o
}

fuzz() {
    local target=$1 found
    begin "$target"
    mkdir -p "$out/all" "$out/new" "$out/found"
    if [ "$target" = server_ops ]; then options+=(-F 256); else options+=(-F 10000); fi
    if [ "$target" = fuzz-stdin ]; then options+=(--stdin_input); else options+=(--persistent); fi
    "$made/honggfuzz" --verbose --threads 1 --run_time "$seconds" --timeout 5 --tmout_sigvtalrm \
        --exit_upon_crash "${options[@]}" --input "$out/inputs" --output "$out/all" \
        --covdir_new "$out/new" --workspace "$out/found" -- "$(program "$target")" || return
    shopt -s nullglob
    keep "fuzz/corpus/$name" '' "$out"/new/*
    found=("$out"/found/*.fuzz)
    keep "fuzz/artifacts/$name" crash- "${found[@]}"
    [ ${#found[@]} -eq 0 ]
}

# "Summary iterations:4763 time:11 speed:433 crashes_count:0 ...".
stat() { grep -a -o "^Summary .*" "$log" | grep -o " $1:[0-9]*" | cut -d : -f 2; }
executions() { stat iterations; }
speed() { stat speed; }
