#!/bin/sh
# Builds memtrace in other releases of Debian and runs a short list of tests there:
#
#   scripts/distros.sh FOLDER SUITE...
#
# As root, with debootstrap and a mirror of the archive; FOLDER keeps the systems for the next
# time.  DISTRO_DEPS=all installs what all tests want, too (rustc, clang, servers ...: 2 GB).
set -eu

TESTS='tests/e2e/test_counts.py tests/e2e/test_launched.py tests/e2e/test_signals.py
	tests/e2e/test_children.py tests/e2e/test_cycles.py tests/e2e/test_threads.py
	tests/e2e/test_entries.py tests/e2e/test_selftest.py tests/e2e/test_modules.py'
FEW='sqlite3 python3 python3-pytest python3-pexpect libcmocka-dev libc6-dbg binutils git'
MIRROR=${DISTRO_MIRROR:-http://deb.debian.org/debian}

folder=$1
shift
here=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)

# A system of its own: its processes end with it, its mounts go with it.
inside() {
	root=$1
	shift
	unshare --mount --pid --fork --kill-child sh -ec '
		mount --make-rprivate /
		mount -t proc proc "$0/proc"
		mount -t sysfs sysfs "$0/sys"
		mount --bind /dev "$0/dev"
		mount -t tmpfs tmpfs "$0/dev/shm"
		mount -t tmpfs tmpfs "$0/tmp"
		exec chroot "$0" /usr/bin/env -i HOME=/root LC_ALL=C.UTF-8 \
			PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"' \
		"$root" "$@"
}

# A step whose output is of interest only if it fails.
quietly() {
	log=$folder/$suite.log
	"$@" >"$log" 2>&1 || { grep -E 'FAILED|[Ee]rror|^E:' "$log" | head -40 >&2; tail -5 "$log" >&2; exit 1; }
}

system_make() {
	[ ! -e "$root/ready" ] || return 0
	rm -rf "$root"
	quietly debootstrap --variant=minbase "$suite" "$root" "$MIRROR"
	touch "$root/ready"
}

# The tree as it is, without what is built.
source_copy() {
	rm -rf "$root/src/src" "$root/src/tests"
	mkdir -p "$root/src"
	(cd "$here" && git ls-files -z --cached --others --exclude-standard | tar --null -T - -cf -) |
		tar -C "$root/src" -xf -
	cp /etc/resolv.conf "$root/etc/"
}

install_inside() {
	quietly inside "$root" env DEBIAN_FRONTEND=noninteractive \
		apt-get install -qq -y --no-install-recommends "$@"
}

for suite; do
	root=$folder/$suite
	system_make
	source_copy
	echo "== $suite: packages"
	quietly inside "$root" apt-get update -qq
	install_inside make
	quietly inside "$root" env DEBIAN_FRONTEND=noninteractive make -C /src deps ${DISTRO_DEPS:+check}
	install_inside $FEW
	echo "== $suite: gcc $(inside "$root" gcc -dumpfullversion), $(inside "$root" ldd --version 2>&1 | sed -n 1p)"
	quietly inside "$root" make -j"$(nproc)" -C /src CFLAGS='-O2 -g -Werror' all
	quietly inside "$root" make -C /src check-unit
	quietly inside "$root" make -j"$(nproc)" -C /src e2e-programs
	inside "$root" sh -ec "cd /src && O=/src/build python3 -m pytest -q -p no:cacheprovider $(echo $TESTS)"
done
