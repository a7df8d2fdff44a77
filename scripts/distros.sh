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
FEW='sqlite3 python3 python3-pytest python3-pexpect libcmocka-dev libc6-dbg binutils elfutils git'

folder=$1
shift
here=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
. "$here/scripts/distro_root.sh"

# The tree as it is, without what is built.
source_copy() {
	rm -rf "$root/src/src" "$root/src/tests"
	mkdir -p "$root/src"
	(cd "$here" && git ls-files -z --cached --others --exclude-standard | tar --null -T - -cf -) |
		tar -C "$root/src" -xf -
	cp /etc/resolv.conf "$root/etc/"
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
