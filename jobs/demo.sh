#!/usr/bin/env bash
# The demo: install what is missing, build, draw a picture set, explain it under MPI, show the result.
# Everything lands in demo-out/. Run it again and only what is missing is computed.
set -eu
cd "$(dirname "$0")/.."

step() { printf '\n== %s\n' "$*"; }
fail() { echo "demo.sh: $*" >&2; exit 1; }

step "1/5 Debian packages"
jobs/install.sh build || exit $?
echo "all there"

step "2/5 build (build/whypix)"
mkdir -p demo-out
if ! { cmake -S . -B build && cmake --build build -j "$(nproc)" --target whypix; } >demo-out/build.log 2>&1; then
    tail -n 20 demo-out/build.log >&2
    fail "the build failed; the whole log is demo-out/build.log"
fi
build/whypix --version

step "3/5 draw 40 labelled pictures with their ground-truth masks (demo-out/pictures)"
build/whypix synth demo-out/pictures --count 40 --seed 2026 --split test --shortcut 1 || fail "drawing the pictures failed"

step "4/5 explain them on two MPI ranks (jobs/demo/demo.yaml -> demo-out/demo.db)"
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_mpi_yield_when_idle=1
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_btl_vader_single_copy_mechanism=none
status=0
mpirun -n 2 --bind-to none build/whypix run jobs/demo/demo.yaml || status=$?
[ $status -le 1 ] || fail "the run ended with code $status; run jobs/demo.sh again: what was computed is kept"

step "5/5 what it says"
db=demo-out/demo.db
build/whypix table $db predictions
echo
echo "Do the methods agree?  (Pearson correlation of the maps; 'mask' is the true object, 'random' knows nothing)"
build/whypix table $db agreement --where metric=pearson --where policy=positive --where grid=pixel
echo "Do they find the object?  Both networks name it; only the first one looks at it"
build/whypix table $db localisation
cat <<'END'

look at     demo-out/demo-overlays/*.png    picture, then one heat-map per method
query       sqlite3 demo-out/demo.db < analysis/queries.sql
more        build/whypix table demo-out/demo.db         (names every table)
            build/whypix status demo-out/demo.db
your own    README.md, "From laptop to cluster"
END
exit $status
