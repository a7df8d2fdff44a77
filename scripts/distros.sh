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
FEW='python3 python3-pytest python3-pexpect libcmocka-dev libc6-dbg binutils git'
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

for suite; do
	root=$folder/$suite
	if [ ! -e "$root/ready" ]; then
		rm -rf "$root"
		debootstrap --variant=minbase "$suite" "$root" "$MIRROR" >"$folder/$suite.log" ||
			{ tail "$folder/$suite.log" >&2; exit 1; }
		touch "$root/ready"
	fi
	for file in /etc/resolv.conf /etc/apt/apt.conf.d/*proxy*; do
		[ ! -e "$file" ] || cp "$file" "$root$file"
	done
	rm -rf "$root/src/src" "$root/src/tests"
	mkdir -p "$root/src"
	(cd "$here" && git ls-files -z --cached --others --exclude-standard | tar --null -T - -cf -) | tar -C "$root/src" -xf -
	echo "== $suite: packages"
	inside "$root" sh -ec "apt-get update -qq && apt-get install -qq -y --no-install-recommends make >/dev/null"
	inside "$root" make -s -C /src deps ${DISTRO_DEPS:+check} >"$folder/$suite.log" 2>&1 ||
		{ tail "$folder/$suite.log" >&2; exit 1; }
	inside "$root" apt-get install -qq -y --no-install-recommends $FEW >"$folder/$suite.log" 2>&1 ||
		{ tail "$folder/$suite.log" >&2; exit 1; }
	echo "== $suite: $(inside "$root" gcc -dumpfullversion) $(inside "$root" ldd --version | head -1)"
	inside "$root" make -s -j"$(nproc)" -C /src CFLAGS='-O2 -g -Werror' all
	inside "$root" make -s -j"$(nproc)" -C /src check-unit e2e-programs >"$folder/$suite.log" 2>&1 ||
		{ grep -E 'FAILED|rror' "$folder/$suite.log" >&2; exit 1; }
	inside "$root" sh -ec "cd /src && O=/src/build python3 -m pytest -q -p no:cacheprovider $(echo $TESTS)"
done
