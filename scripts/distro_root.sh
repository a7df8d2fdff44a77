# Systems of other releases of Debian, each in a folder by debootstrap: what scripts/distros.sh and
# scripts/check-debs.sh begin with.  As root; $folder is where they are kept for the next time, $suite
# and $root are the one that is worked with.

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
	quietly debootstrap --variant=minbase "$suite" "$root" ${DISTRO_MIRROR:-}
	touch "$root/ready"
}

install_inside() {
	quietly inside "$root" env DEBIAN_FRONTEND=noninteractive \
		apt-get install -qq -y --no-install-recommends "$@"
}
