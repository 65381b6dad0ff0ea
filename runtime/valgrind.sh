#!/usr/bin/env bash
# valgrind.sh HELPER: the verbs that make no process, on a container that runs and on one that is gone. Fails at the first
# error, or memory that nothing points to any more. Needs root and Debian's valgrind and busybox-static.
set -euo pipefail
helper=$(realpath "$1")
dir=$(mktemp -d)
oci() { "$helper" --root "$dir/run" "$@"; }
trap 'oci delete --force watched; rm -rf "$dir"' EXIT

cd "$dir"
mkdir -p rootfs/bin
cp /bin/busybox rootfs/bin/sleep
oci spec
sed -i 's/"terminal": *true/"terminal":false/; s/"sh"/"sleep","1000"/' config.json
oci run --detach watched </dev/null >/dev/null 2>&1

watch() {
  echo "valgrind: $*"
  local status=0
  valgrind -q --error-exitcode=99 --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite \
    "$helper" --root "$dir/run" "$@" >/dev/null 2>"$dir/told" || status=$?
  [ "$status" -ne 99 ] || { cat "$dir/told"; exit 1; }
  [ "$status" -eq "$expected" ] || { echo "ended with $status, not $expected"; cat "$dir/told"; exit 1; }
}

expected=0
watch features
watch version
watch help
watch state watched
watch list
watch list --quiet
watch list --format json
watch ps watched
watch ps --format json watched
watch pause watched
watch resume watched
watch update --memory 50000000 watched
expected=1 # Debian 12's valgrind knows no pidfd_open, without which nothing is signalled.
watch events --stats watched
watch kill watched KILL
oci kill watched KILL
expected=0
until oci state watched | grep -q stopped; do sleep 0.1; done
watch state watched
watch delete watched
watch delete --force watched
expected=1
watch state watched
watch kill watched KILL
watch nonsense
watch --root
echo 'valgrind: nothing found'
