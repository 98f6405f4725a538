# llvm-profdata and llvm-cov of rustc's LLVM, or of a newer one: those of a distribution are too old for its
# profiles. Sourced.

# Sets `tools` to the folder of rustup's component llvm-tools where it is installed, else to the same from PyPI,
# which is installed into FOLDER: llvm_tools FOLDER
llvm_tools() {
    local folder=$1 wanted
    wanted=$(dirname "$(realpath "${BASH_SOURCE[0]}")")/requirements.txt
    tools=$(rustc --print target-libdir)/../bin
    [ ! -x "$tools/llvm-cov" ] || return 0
    if ! cmp -s "$wanted" "$folder/.complete"; then
        echo "coverage: installing llvm-cov into $folder" >&2
        rm -rf "$folder"
        PIP_ROOT_USER_ACTION=ignore python3 -m pip --disable-pip-version-check install --quiet --no-deps \
            --target "$folder" --requirement "$wanted" || return
        cp "$wanted" "$folder/.complete"
    fi
    tools=$folder/llvm/bin
}
