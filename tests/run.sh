#!/usr/bin/env bash
# Build whypix and run its tests: tests/run.sh [--full]
#
# Without --full: everything that needs neither PyTorch, Slurm nor Chromium, in at most eight minutes.
# --full: all tests, the sanitizer builds and the comparisons with the Python peers too, in at most an hour.
# Tests that compare with real models and pictures use $WHYPIX_DATA where it exists and say so where they skip.
set -eu
cd "$(dirname "$0")/.."

full=0
case "${1:-}" in
"") ;;
--full) full=1 ;;
*) echo "usage: tests/run.sh [--full]" >&2; exit 2 ;;
esac

jobs/install.sh "$([ $full = 1 ] && echo full || echo tests)"
# Root may start Open MPI; ranks share cores without burning them.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
export OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_btl_vader_single_copy_mechanism=none

# Scripts find the optional data as the test programs do.
[ -n "${WHYPIX_DATA:-}" ] || [ ! -d ../shared/data ] || export WHYPIX_DATA=$PWD/../shared/data
cores=$(nproc)
logs=build/test-logs
passed=0 failed=0 skipped=0 broken="" reasons=""

# build DIR [cmake options]
build() {
    dir=$1; shift
    mkdir -p "$logs"
    log=$logs/build-$(basename "$dir").log
    echo "== building in $dir"
    if ! { cmake -S . -B "$dir" -DWHYPIX_WERROR="${CI:+ON}" "$@" && cmake --build "$dir" -j "$cores"; } >"$log" 2>&1; then
        grep -E -m 20 "error|Error|undefined reference" "$log" >&2 || tail -n 20 "$log" >&2
        echo "tests/run.sh: the build failed; the whole log is $log" >&2
        exit 1
    fi
}

# suite DIR NAME [ctest options]: run and count
suite() {
    dir=$1 name=$2; shift 2
    out=$logs/$name.log
    echo "== testing in $dir ($name)"
    ctest --test-dir "$dir" -j "$cores" --verbose "$@" >"$out" 2>&1 || true
    grep -E "^ *[0-9]+/[0-9]+ Test" "$out" | sed 's/^ *//' || true
    p=$(grep -cE "^ *[0-9]+/[0-9]+ Test .* Passed" "$out" || true)
    s=$(grep -cE "^ *[0-9]+/[0-9]+ Test .*\*\*\*Skipped" "$out" || true)
    total=$(grep -cE "^ *[0-9]+/[0-9]+ Test " "$out" || true)
    if [ "$total" = 0 ]; then
        tail -n 5 "$out" >&2
        echo "tests/run.sh: no test ran in $dir; the log is $out" >&2
        exit 1
    fi
    passed=$((passed + p)) skipped=$((skipped + s)) failed=$((failed + total - p - s))
    bad=$(grep -E "^ *[0-9]+/[0-9]+ Test" "$out" | grep -vE " Passed|\*\*\*Skipped" | sed -E 's/.*Test +#[0-9]+: ([^ ]+).*/\1/' || true)
    for t in $bad; do broken="$broken
  $t (see $out)"; done
    # A test program may skip some of its cases, and a script may skip wholly; both say why in a line "skipped: ...".
    said=$(grep -E "^[0-9]+: *(skipped|skip): " "$out" | sed -E 's/^[0-9]+: *(skipped|skip): //' | sort | uniq -c | sed 's/^ */  /' || true)
    [ -z "$said" ] || reasons="$reasons
$said"
}

start=$(date +%s)
build build
suite build quick -LE full
if [ $full = 1 ]; then
    suite build full -L full
    build build-clang -DCMAKE_C_COMPILER=clang
    suite build-clang clang -LE full -R "^unit/"
    build build-asan --preset asan-ubsan
    suite build-asan asan -LE full -R "^unit/"
    build build-tsan --preset tsan
    suite build-tsan tsan -LE full -R "pool|coordinator|transport|session"
fi

echo
echo "== summary after $(($(date +%s) - start)) s"
[ -z "$reasons" ] || printf 'skipped cases, with their reasons:%s\n' "$reasons"
[ -z "$broken" ] || printf 'failed:%s\n' "$broken"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
