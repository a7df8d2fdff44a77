"""The guest's file system: cpio archives that the kernel unpacks one after the other.

base: busybox, the C library, kernel modules, /init; made once per CPU and kept in the
cache.  A second one with the test's files is written at each boot and put behind it.
"""
import lzma
import os
import re
import stat

# What the guest needs to be talked to; dependencies are added.
MODULES = ["virtio_mmio", "virtio_pci", "virtio_console", "virtio_net", "af_packet"]

INIT = """#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /tmp /root /usr
/bin/busybox --install -s /bin
export PATH=/bin HOME=/root
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/shm /dev/pts
mount -t tmpfs shm /dev/shm
mount -t devpts pts /dev/pts
for module in $(cat /modules/order); do insmod /modules/$module; done
ifconfig lo 127.0.0.1
for card in /sys/class/net/eth*; do
	case $(cat $card/address) in
	*:01) ifconfig ${card##*/} 10.0.2.15 netmask 255.255.255.0 && route add default gw 10.0.2.2 ;;
	*:02) ifconfig ${card##*/} 10.78.0.2 netmask 255.255.255.0 ;;
	esac
done
ulimit -c 0
until port=$(ls /dev/vport*p1 2>/dev/null); do usleep 10000; done
cd /root
# One command a line in; its status, the length of its output and the output out.
exec 3<>$port
echo READY >&3
while read -r line <&3; do
	sh -c "$line" >/tmp/output 2>&1 3>&- </dev/null
	echo "$? $(stat -c %s /tmp/output)" >&3
	cat /tmp/output >&3
done
poweroff -f
"""


def entry(path, mode, data=b"", inode=[0]):
    """One member in the "newc" format: Documentation/driver-api/early-userspace/buffer-format.rst."""
    inode[0] += 1
    name = path.encode() + b"\0"
    fields = [inode[0], mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0]
    head = b"070701" + b"".join(b"%08x" % f for f in fields) + name
    return head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4)


class Archive:
    def __init__(self):
        self.parts, self.folders = [], set()

    def _folders_of(self, path):
        parts = path.strip("/").split("/")[:-1]
        for i in range(len(parts)):
            folder = "/".join(parts[: i + 1])
            if folder not in self.folders:
                self.folders.add(folder)
                self.parts.append(entry(folder, stat.S_IFDIR | 0o755))

    def add(self, path, data, mode=0o755):
        self._folders_of(path)
        self.parts.append(entry(path.strip("/"), stat.S_IFREG | mode, data))

    def link(self, path, to):
        self._folders_of(path)
        self.parts.append(entry(path.strip("/"), stat.S_IFLNK | 0o777, to.encode()))

    def add_file(self, path, source):
        """A file of this machine; symbolic links are followed."""
        with open(source, "rb") as f:
            self.add(path, f.read(), 0o755 if os.access(source, os.X_OK) else 0o644)

    def bytes(self):
        """Not compressed: an emulated CPU would take longer than the reading does."""
        return b"".join(self.parts) + entry("TRAILER!!!", 0)


def module_bytes(path):
    data = path.read_bytes()
    return lzma.decompress(data) if path.suffix == ".xz" else data


def modules_in_order(folder, wanted):
    """(name, bytes) of modules and what they need, each behind what it needs; those that
    are built in have no file."""
    files = {re.sub(r"\.ko(\.xz)?$", "", f.name).replace("-", "_"): f for f in folder.rglob("*.ko*")}
    order, seen = [], set()

    def visit(name):
        if name in seen or name not in files:
            return
        seen.add(name)
        data = module_bytes(files[name])
        depends = re.search(rb"\0depends=([^\0]*)\0", data)
        for other in depends.group(1).decode().split(",") if depends else []:
            visit(other.replace("-", "_"))
        order.append((name, data))

    for name in wanted:
        visit(name)
    return order


def program(files, path):
    """A package's program: from Debian 13 on all are in /usr."""
    return next(place for place in (files / path, files / "usr" / path) if place.exists())


def base(packages, kernel_files, libraries):
    """packages: where busybox is from; libraries: paths in the guest -> files of this machine."""
    archive = Archive()
    archive.add_file("/bin/busybox", program(packages.unpack("busybox-static"), "bin/busybox"))
    # Programs of a real system's size, where busybox has none.
    archive.add_file("/bin/true", program(packages.unpack("coreutils"), "bin/true"))
    archive.add("/init", INIT.encode())
    for path, source in libraries.items():
        archive.add_file(path, source)
    order = modules_in_order(kernel_files, MODULES)
    for name, data in order:
        archive.add(f"/modules/{name}.ko", data, 0o644)
    archive.add("/modules/order", "".join(f"{name}.ko\n" for name, _ in order).encode(), 0o644)
    return archive.bytes()
