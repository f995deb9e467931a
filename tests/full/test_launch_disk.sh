#!/bin/sh
# The disk of the database fills up in a commit: exit code 3, and once there is room the next launch completes it.
. "$WHYPIX_SOURCE/tests/mpi/lib.sh"
. "$WHYPIX_SOURCE/tests/mpi/launch.sh"
[ "$(id -u)" = 0 ] || skip "skipped: mounting a small disk needs root"
mkdir small
mount -t tmpfs -o size=4m tmpfs small 2>log || skip "skipped: mounting is not permitted here"
trap 'end_marked; umount -l "$work/small"; end_test' EXIT
make_job 40 40
run 2 1 whole.db || fail "undisturbed: exit code $?"
mount -o remount,size=$(($(wc -c <whole.db) * 3 / 4 / 1024))k small || fail "cannot make the disk small"

launch 2 small/full.db --beside full.db
wait_end 'full disk' 3
grep -q 'full.db.*full' log || fail "full disk: not said"
grep -q 'launching again' log && fail "full disk: launched again, to fill it again"
[ "$(query small/full.db 'PRAGMA integrity_check')" = ok ] || fail "full disk: the database is damaged"
left=$(missing small/full.db)
[ "$left" -gt 0 ] && [ "$left" -lt 40 ] || fail "full disk: $left images are missing; was it full?"
mount -o remount,size=64m small
launch 2 small/full.db --beside full.db
wait_end 'full disk, resumed' 0
grep -q " $left images to do" log || fail "full disk, resumed: not $left images were done"
cp small/full.db full.db
same whole.db full.db
