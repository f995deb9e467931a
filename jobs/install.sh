#!/usr/bin/env bash
# Install the Debian packages that a step needs, if they are missing: install.sh build | tests | full
# Does nothing (and needs no rights) when everything is there.
set -eu

build="cmake ninja-build gcc g++ pkg-config libopenmpi-dev openmpi-bin libopenblas-dev liblapacke-dev libpng-dev libjpeg62-turbo-dev
       libsqlite3-dev sqlite3 libyaml-dev libexpat1-dev libjansson-dev libssl-dev zlib1g-dev librandom123-dev git"
tests="$build libcmocka-dev"
full="$tests python3-torch python3-torchvision python3-onnx python3-skimage python3-sklearn python3-opencv python3-numpy python3-scipy
      python3-pandas python3-statsmodels python3-matplotlib python3-pil libonnx-testdata clang libclang-rt-14-dev valgrind
      slurmctld slurmd slurm-client munge iproute2 procps"

case "${1:-}" in
build) want=$build ;;
tests) want=$tests ;;
full) want=$full ;;
*) echo "usage: install.sh build | tests | full" >&2; exit 2 ;;
esac

missing=""
for package in $want; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q "install ok installed" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

as_root=""
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "install.sh: these packages are missing and need root to install:$missing" >&2; exit 3; }
    as_root=sudo
fi
echo "== installing:$missing"
log=$(mktemp)
export DEBIAN_FRONTEND=noninteractive
if ! { $as_root apt-get update -qq && $as_root apt-get install -y -qq --no-install-recommends $missing; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    echo "install.sh: apt-get could not install the packages above; the whole log is in $log" >&2
    exit 3
fi
rm -f "$log"
