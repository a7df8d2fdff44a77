#!/bin/sh
# Installs what memtrace is built with, and with the argument `check` what its tests
# need besides, with `cross` what those of other CPUs do.  Debian and Ubuntu: by apt, only what is missing, with sudo where we
# are not root.  Elsewhere: says what to install.
set -eu

BUILD='gcc g++ make pkg-config libc6-dev libedit-dev libdw-dev libelf-dev'
CHECK='python3 python3-pytest python3-pexpect libcmocka-dev libunwind-dev libc6-dbg
	binutils elfutils gdb valgrind clang llvm rustc dwz xz-utils mandoc perl sqlite3
	redis-server dnsmasq-base nginx-light iproute2 openssh-server debuginfod
	git lld musl-tools libjemalloc2 libtcmalloc-minimal4 util-linux
	gcc-arm-linux-gnueabihf gcc-arm-linux-gnueabi gcc-aarch64-linux-gnu
	libc6-dev-armhf-cross libc6-dev-armel-cross libc6-dev-arm64-cross
	postgresql nodejs fzf'
# Under a name that changes with the release: where it is not known its tests are skipped.
CHECK_MAYBE='libmimalloc2.0 libmimalloc2.1'
CROSS='python3 python3-pytest qemu-system-arm gdb-multiarch binutils iproute2 util-linux
	gcc-aarch64-linux-gnu gcc-arm-linux-gnueabihf gcc-arm-linux-gnueabi
	libc6-dev-arm64-cross libc6-dev-armhf-cross libc6-dev-armel-cross'

wanted=$BUILD
MAYBE=
for argument; do
	case $argument in
	check) wanted="$wanted $CHECK" MAYBE=$CHECK_MAYBE ;;
	cross) wanted="$wanted $CROSS" ;;
	esac
done

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
	echo 'deps: this system has no apt; please install by its own package manager:' >&2
	echo '  a C and C++ compiler, make, pkg-config, and the development files of' >&2
	echo '  libedit, libdw and libelf (elfutils)' >&2
	[ "$wanted" = "$BUILD" ] || printf '  for the tests, what Debian calls: %s\n' "$(echo $wanted)" >&2
	exit 1
fi

missing_of() {
	for package in "$@"; do
		state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
		[ "$state" = installed ] || printf ' %s' "$package"
	done
}
maybe_missing() {
	for package in $MAYBE; do
		! apt-cache show "$package" >/dev/null 2>&1 || missing_of "$package"
	done
}
missing="$(missing_of $wanted)"
if [ -z "$missing$(maybe_missing)" ]; then
	echo 'deps: everything is there'
	exit 0
fi

as_root=
if [ "$(id -u)" != 0 ]; then
	command -v sudo >/dev/null || {
		echo "deps: not root, and there is no sudo; as root: apt-get install$missing" >&2
		exit 1
	}
	as_root=sudo
fi
# What is installed for tests is not to run as a service: RUNLEVEL tells it to
# invoke-rc.d where there is no systemd.
$as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq
missing="$missing$(maybe_missing)"
echo "deps: installing$missing"
$as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
	apt-get install -qq -y --no-install-recommends $missing
