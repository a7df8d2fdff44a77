#!/bin/sh
# Installs the packages of `make deb` in bare systems of other releases of Debian, with nothing but
# what they depend on, runs the packages' own tests there (packaging/debian/tests), and removes them:
#
#   scripts/check-debs.sh DEBS FOLDER SUITE...
#
# As root, with debootstrap and a mirror of the archive; FOLDER keeps the systems for the next time.
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
debs=$(cd "$1" && pwd)
folder=$2
shift 2
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
. "$here/scripts/distro_root.sh"

run_test() {
	quietly inside "$root" sh -ec "cd /tree && debian/tests/$1"
	echo "$1: passed"
}

for suite; do
	root=$folder/$suite-bare
	system_make
	cp /etc/resolv.conf "$root/etc/"
	rm -rf "$root/debs" "$root/tree"
	mkdir -p "$root/debs" "$root/tree/debian"
	cp "$debs"/memtrace_*.deb "$debs"/memtrace-fs_*.deb "$root/debs/"
	cp -r "$here/demo" "$root/tree/"
	cp -r "$here/packaging/debian/tests" "$root/tree/debian/"
	quietly inside "$root" apt-get update -qq
	echo "== $suite: $(cat "$root/etc/debian_version")"
	install_inside $(cd "$root" && echo debs/*.deb | sed 's,debs/,/debs/,g')
	run_test selftest
	install_inside gcc libc6-dev
	run_test demo
	run_test attach
	install_inside memtrace- memtrace-fs-
	if ls "$root"/usr/bin/memtrace* 2>/dev/null; then
		echo "$suite: these are still there" >&2
		exit 1
	fi
done
