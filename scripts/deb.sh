#!/bin/sh
# Makes Debian packages, and the source package, of what `make dist` has packed:
#
#   scripts/deb.sh ARCHIVE VERSION FOLDER
#
# FOLDER is emptied first.  DEB_BUILD_OPTIONS=nocheck leaves the tests out.
set -eu

archive=$1 version=$2 folder=$3
rm -rf "$folder"
mkdir -p "$folder"
cp "$archive" "$folder/memtrace_$version.orig.tar.gz"
cd "$folder"
tar -xf "memtrace_$version.orig.tar.gz"
cd "memtrace-$version"
cp -r packaging/debian .
# (by a make of its own: the flags of who called this one are not the package's)
exec env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL -u O -u CC -u CFLAGS -u LDFLAGS dpkg-buildpackage -us -uc
