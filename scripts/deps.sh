#!/bin/sh
# Installs what memtrace is built with, and with the argument `check` what its tests
# need besides, with `cross` what those of other CPUs do.  Debian and Ubuntu: by apt, only
# what is missing, with sudo where we are not root.  What a release does not have is left
# out, and said: its tests are skipped there.  Elsewhere: says what to install.
set -eu

BUILD='gcc g++ make pkg-config libc6-dev libedit-dev libdw-dev libelf-dev'
CHECK='python3 python3-pytest python3-pytest-xdist python3-pexpect python3-jsonschema libcmocka-dev libunwind-dev libc6-dbg
	binutils elfutils gdb valgrind clang llvm rustc dwz xz-utils mandoc perl sqlite3
	redis-server dnsmasq-base nginx-light iproute2 openssh-server debuginfod
	git lld musl-tools libjemalloc2 libtcmalloc-minimal4 util-linux
	gcc-arm-linux-gnueabihf gcc-arm-linux-gnueabi gcc-aarch64-linux-gnu
	libc6-dev-armhf-cross libc6-dev-armel-cross libc6-dev-arm64-cross
	postgresql nodejs chromium fzf heaptrack google-perftools golang-go libdevel-nytprof-perl'
# Under a name that changes with the release: whichever there is.
MIMALLOC='libmimalloc3 libmimalloc2.1 libmimalloc2.0'
CROSS='python3 python3-pytest qemu-system-arm gdb-multiarch binutils iproute2 util-linux
	gcc-aarch64-linux-gnu gcc-arm-linux-gnueabihf gcc-arm-linux-gnueabi
	g++-aarch64-linux-gnu g++-arm-linux-gnueabihf
	libc6-dev-arm64-cross libc6-dev-armhf-cross libc6-dev-armel-cross'

# .. where they are asked for (tests/cross/guest.py has them, the default list does not)
case " ${CROSS_CPUS:-} " in
*" mipsel "*) CROSS="$CROSS qemu-system-mips gcc-mipsel-linux-gnu libc6-dev-mipsel-cross" ;;
esac
case " ${CROSS_CPUS:-} " in
*" riscv64 "*) CROSS="$CROSS qemu-system-misc gcc-riscv64-linux-gnu libc6-dev-riscv64-cross" ;;
esac

optional=
any=
for argument; do
	case $argument in
	check) optional="$optional $CHECK" any=$MIMALLOC ;;
	cross) optional="$optional $CROSS" ;;
	esac
done

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
	echo 'deps: this system has no apt; please install by its own package manager:' >&2
	echo '  a C and C++ compiler, make, pkg-config, and the development files of' >&2
	echo '  libedit, libdw and libelf (elfutils)' >&2
	[ -z "$optional" ] || printf '  for the tests, what Debian calls: %s\n' "$(echo $optional)" >&2
	exit 1
fi

is_installed() {
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null || true)" = installed ]
}
missing_of() {
	for package in "$@"; do
		is_installed "$package" || printf ' %s' "$package"
	done
}
# Those of them that this release has.  (`apt-cache show` succeeds for what others refer to.)
to_be_had() {
	[ $# = 0 ] || LC_ALL=C apt-cache policy "$@" 2>/dev/null |
		awk '/^[^ ]/ { sub(/:$/, ""); name = $1 }
		     $1 == "Candidate:" && $2 != "(none)" { printf " %s", name }'
}
has_any() {
	for package in $any; do
		! is_installed "$package" || return 0
	done
	[ -z "$any" ]
}

build=$(missing_of $BUILD)
missing=$(missing_of $optional)
if [ -z "$build$missing" ] && has_any; then
	echo 'deps: everything is there'
	exit 0
fi

as_root=
if [ "$(id -u)" != 0 ]; then
	command -v sudo >/dev/null || {
		echo "deps: not root, and there is no sudo; as root: apt-get install$build$missing" >&2
		exit 1
	}
	as_root=sudo
fi
$as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq
found=$(to_be_had $missing)
has_any || found="$found $(to_be_had $any | awk '{ print $1 }')"
for package in $missing; do
	case " $found " in
	*" $package "*) ;;
	*) echo "deps: this release has no $package: tests that need it are skipped" >&2 ;;
	esac
done
[ -n "$(echo $build $found)" ] || exit 0
echo "deps: installing" $build $found
# What is installed for tests is not to run as a service: RUNLEVEL tells it to
# invoke-rc.d where there is no systemd.
$as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
	apt-get install -qq -y --no-install-recommends $build $found
