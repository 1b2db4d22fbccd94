#!/bin/sh
# planted.sh FOLDER: builds the store once with each deliberate fault, below FOLDER, and runs the
# crash and fault suites on it. A fault that leaves both green is not seen: exit status 1.
set -eu
cd "$(dirname "$0")/../.."
root=$1
missed=0
for fault in ack_before_sync no_dir_sync no_frame_crc fsync_retry recycle_early \
    no_reference_sync; do
    build=$root/$fault
    [ -f "$build/build.ninja" ] ||
        meson setup "$build" . -Dbuildtype=debugoptimized -Dfault="$fault" >/dev/null 2>&1
    ninja -C "$build" --quiet test/sim/test_store_crash test/sim/test_store_faults >/dev/null
    if "$build/test/sim/test_store_crash" >"$root/$fault.log" 2>&1 &&
        "$build/test/sim/test_store_faults" >>"$root/$fault.log" 2>&1; then
        echo "not ok - $fault: no suite saw it"
        missed=1
    else
        said=$(grep -m1 -v -e '^ok' -e '^#' -e '^1\.\.' -e ' ERROR ' "$root/$fault.log")
        echo "ok - $fault: $said"
    fi
done
exit $missed
