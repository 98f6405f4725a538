# What the scripts here are called with. A part of them: $here is the folder of the script.

# Says what is wrong, or else how the script is called: the comment that it begins with.
usage() {
    if [ $# -gt 0 ]; then echo "$0: $1" >&2; else sed -n '2,/^set/p' "$here/$(basename "$0")" | grep '^#' >&2; fi
    exit 2
}

# The first word is a number of seconds, or of what its second word names.
number() {
    [ -n "${1:-}" ] || usage
    [[ ${1:-} =~ ^[1-9][0-9]{0,8}$ ]] || usage "${2:-SECONDS} is a number from 1 on, and not \"$1\""
}

# Each word names a target.
targets() {
    local target
    for target in "$@"; do
        [ -e "fuzz/targets/$target.rs" ] ||
            usage "no target is called \"$target\"; there are $(basename -s .rs -a fuzz/targets/*.rs | xargs)"
    done
}
