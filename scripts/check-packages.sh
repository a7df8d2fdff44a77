#!/bin/sh
# Has other systems' own rules read packaging/, and build what they can without their network:
#
#   scripts/check-packages.sh buildroot TREE CONFIG    check-package; with a .config that has a toolchain: make memtrace
#   scripts/check-packages.sh openwrt TREE             what `make menuconfig` would know of both packages
#   scripts/check-packages.sh yocto OE_CORE BITBAKE    the recipe, its native and nativesdk, parsed (not as root)
#
# The trees are those of the systems, as they are cloned.  What is built is in a folder that goes again (KEEP=FOLDER: stays).
set -eu

packaging=$(cd "$(dirname "$0")/../packaging" && pwd)
system=${1:?buildroot, openwrt or yocto}
tree=$(cd "${2:?where its tree is}" && pwd)
folder=${KEEP:-$(mktemp -d)}
mkdir -p "$folder"
[ -n "${KEEP:-}" ] || trap 'rm -rf "$folder"' EXIT

case $system in
buildroot)
	python3 "$tree/utils/check-package" -b $(find "$packaging/buildroot" -type f)
	[ -n "${3:-}" ] || exit 0
	{ cat "$3"; echo 'BR2_PACKAGE_MEMTRACE=y'; } >"$folder/.config"
	run="make -C $tree O=$folder BR2_EXTERNAL=$packaging/buildroot"
	$run olddefconfig >/dev/null
	grep -x 'BR2_PACKAGE_MEMTRACE=y' "$folder/.config"
	$run memtrace
	;;
openwrt)
	# (with those that they are built of)
	for package in "$tree/package/libs/toolchain" "$tree/package/libs/elfutils" "$packaging/openwrt/memtrace"; do
		echo "Source-Makefile: package/feeds/$(basename "$package")/Makefile"
		make -rs --no-print-directory -C "$package" "TOPDIR=$tree" DUMP=1 | grep -v '^make: Nothing to be done'
		echo
	done >"$folder/packageinfo"
	cd "$tree"
	perl -Iscripts scripts/package-metadata.pl mk "$folder/packageinfo" 2>&1 >/dev/null | grep memtrace >&2 && exit 1
	perl -Iscripts scripts/package-metadata.pl config "$folder/packageinfo" 2>/dev/null | grep '^	config PACKAGE_memtrace'
	;;
yocto)
	bitbake=$(cd "${3:?where bitbake is}" && pwd)
	mkdir -p "$folder/conf"
	{
		echo 'BBPATH = "${TOPDIR}"'
		echo "BBLAYERS = \"$tree/meta $packaging/yocto/meta-memtrace\""
	} >"$folder/conf/bblayers.conf"
	{
		echo 'MACHINE = "qemuarm"'
		echo 'DISTRO_FEATURES:append = " ptest"'
		echo 'SANITY_REQUIRED_UTILITIES = ""'
		echo 'CONNECTIVITY_CHECK_URIS = ""'
		echo 'BB_NO_NETWORK = "1"'
	} >"$folder/conf/local.conf"
	cd "$folder"
	for kind in '' virtual:native: virtual:nativesdk:; do
		env "BUILDDIR=$folder" "BBPATH=$folder" "PATH=$tree/scripts:$bitbake/bin:$PATH" "PYTHONPATH=$bitbake/lib" \
			bitbake -e -b "$kind$(echo "$packaging"/yocto/meta-memtrace/recipes-*/*/*.bb)" >"$folder/said" 2>&1 ||
			{ grep -E '^(ERROR|WARNING):' "$folder/said" >&2; exit 1; }
		grep -E '^(ERROR|WARNING):' "$folder/said" >&2 && exit 1
		grep '^PN=' "$folder/said"
	done
	;;
*)
	echo "$0: not one of buildroot, openwrt, yocto: $system" >&2
	exit 2
	;;
esac
