#!/usr/bin/env bash
# Sets a fresh Debian 12 up and does one job: `setup.sh packages|build|up|test|test-vm|bench|soak`. Idempotent: what is there is not
# installed or built again. Needs git, Node 20 with npm, gcc, make, python3 and root; says what is missing otherwise.
set -euo pipefail
cd "$(dirname "$0")/.."
export DEBIAN_FRONTEND=noninteractive

# Debian packages and what each is for.
BUILD_PACKAGES=(
  libc6-dev binutils  # C headers, strip
  libjson-c-dev       # JSON in the C helper
  libseccomp-dev      # seccomp filters in the C helper
  libzstd-dev         # the launcher unpacks its payload with it
  patchelf            # lets the program find the libatomic beside it
  libatomic1          # carried, and Node needs it: a minimal Debian lacks it
)
TEST_PACKAGES=(
  busybox-static iproute2 util-linux procps curl     # test images and hosts
  docker-registry openssl                             # pull tests
  nftables                                            # to look at what mini's own nft wrote
  python3-kubernetes                                  # a client library as it comes
  debootstrap qemu-user-static                        # minimal root file system, arm64
  gcc-aarch64-linux-gnu libc6-dev-arm64-cross         # arm64 build
  libjson-c-dev:arm64 libseccomp-dev:arm64 libzstd-dev:arm64 libstdc++6:arm64  # arm64 under qemu with the C library of one release
)
ENGINE_PACKAGES=(
  podman conmon catatonit docker.io containerd tini   # engines that drive the helper
  runc crun                                           # runtimes to compare it with, and for pods that name them
  valgrind                                            # a run of the helper under it
)
VM_PACKAGES=(
  qemu-system-x86 busybox-static   # a machine with cgroup v2
)

say() { printf '==> %s\n' "$*" >&2; }
die() { printf 'mini: %s\n' "$*" >&2; exit 1; }

missing_packages() {
  local package
  for package in "$@"; do
    dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^ii' || printf '%s\n' "$package"
  done
}

install_packages() {
  command -v dpkg-query >/dev/null || die "this sets Debian 12 up; on another system install the likes of: $*"
  local missing log
  mapfile -t missing < <(missing_packages "$@")
  [ ${#missing[@]} -eq 0 ] && return
  [ "$(id -u)" = 0 ] || die "these Debian packages are missing: run this as root, or install them: ${missing[*]}"
  say "installing Debian packages: ${missing[*]}"
  if [[ " ${missing[*]} " == *:arm64* ]]; then dpkg --add-architecture arm64; fi
  log=$(mktemp)
  if ! { apt-get update && apt-get install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    rm -f "$log"
    die 'Debian packages could not be installed: see above; check /etc/apt/sources.list and the network'
  fi
  rm -f "$log"
}

check_tools() {
  local tool missing=() major
  for tool in git node npm gcc make python3; do
    command -v "$tool" >/dev/null || missing+=("$tool")
  done
  [ ${#missing[@]} -eq 0 ] || die "these programs are missing: ${missing[*]} (Node: 20 or newer, with npm)"
  major=$(node -p 'process.versions.node.split(".")[0]')
  [ "$major" -ge 20 ] || die "Node $major is too old to install the dependencies: 20 or newer is needed"
}

install_dependencies() {
  # npm writes this file when an installation has finished.
  if [ node_modules/.package-lock.json -nt package-lock.json ]; then return; fi
  say 'installing npm packages'
  # Some packages want the newer Node that mini carries, and run under that: warnings about the installing one mislead.
  npm ci --no-audit --no-fund --loglevel=error || die 'npm ci failed: check the network and the npm registry settings'
  touch node_modules/.package-lock.json
}

newest_source() {
  find cmd pkg runtime embedded build.mjs package-lock.json -type f -not -path 'pkg/api/generated/*' -newer "$1" -print -quit
}

build() {
  local out=$1 arch=$2
  if [ -x "$out" ] && [ -z "$(newest_source "$out")" ]; then return; fi
  say "building $out"
  node build.mjs --arch "$arch"
}

prepare() {
  check_tools
  install_packages "${BUILD_PACKAGES[@]}" "$@"
  install_dependencies
}

run_tests() {
  [ "$(id -u)" = 0 ] || die 'the tests make namespaces and mounts: run them as root'
  prepare "${TEST_PACKAGES[@]}" "${ENGINE_PACKAGES[@]}" "${VM_PACKAGES[@]}"
  say 'checking sources'
  node build.mjs check
  build dist/mini amd64
  build dist/mini-arm64 arm64
  say 'testing'
  exec node_modules/.bin/node test/run.ts test/unit test/contract test/integration test/runtime test/e2e test/vm
}

case "${1:-}" in
  packages) check_tools; install_packages "${BUILD_PACKAGES[@]}" "${TEST_PACKAGES[@]}" "${ENGINE_PACKAGES[@]}" "${VM_PACKAGES[@]}" ;;
  build) prepare; build dist/mini amd64 ;;
  up)
    [ "$(id -u)" = 0 ] || die 'mini runs containers: run this as root'
    prepare
    build dist/mini amd64
    exec dist/mini up
    ;;
  test) run_tests ;;
  test-vm)
    [ "$(id -u)" = 0 ] || die 'the machine is made as root: run this as root'
    prepare "${VM_PACKAGES[@]}"
    build dist/mini amd64
    exec node_modules/.bin/node test/run.ts test/vm
    ;;
  bench) prepare "${TEST_PACKAGES[@]}" "${ENGINE_PACKAGES[@]}"; build dist/mini amd64; exec node_modules/.bin/node test/bench/run.ts ;;
  soak) shift; prepare "${TEST_PACKAGES[@]}"; build dist/mini amd64; exec node_modules/.bin/node test/soak/run.ts "$@" ;;
  *) die 'usage: setup.sh packages|build|up|test|test-vm|bench|soak' ;;
esac
