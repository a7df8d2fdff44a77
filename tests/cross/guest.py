"""A real kernel of another CPU, booted once under qemu-system, that runs commands.

    with Guest("arm64", files={"/root/x": "build-aarch64-linux-gnu/x"}) as guest:
        done = guest.run("/root/x --flag", timeout=60)
        done.status, done.output

qemu-user has no ptrace, so it has to be a whole machine.  TCG models neither caches nor
speed: figures from here mean nothing, and a missing cache flush stays unseen.  Nothing
here waits without a limit, and only the qemu that was started here is ended.
"""
import collections
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time

import initramfs
from packages import Packages

sys.path.append(str(pathlib.Path(__file__).parents[1]))  # (not only pytest runs this)
from ports import free_port  # noqa: E402

BOOT_LIMIT = 120.0  # on a busy machine a boot that takes 2 s can take a minute

# machine: what uname says; bus: how qemu calls virtio's devices there; cpus: as many as its kernel can use.
Cpu = collections.namedtuple("Cpu", "triplet kernel_cpu kernel_package qemu loader machine console bus cpus",
                             defaults=("ttyAMA0", "device", 2))
CPUS = {
    "arm64": Cpu("aarch64-linux-gnu", "arm64", "linux-image-cloud-arm64",
                 ["qemu-system-aarch64", "-M", "virt", "-cpu", "max,pauth-impdef=on,lpa2=off"], "/lib/ld-linux-aarch64.so.1",
                 "aarch64"),
    "armhf": Cpu("arm-linux-gnueabihf", "armhf", "linux-image-armmp",
                 ["qemu-system-arm", "-M", "virt,highmem=off", "-cpu", "cortex-a15"], "/lib/ld-linux-armhf.so.3", "armv7l"),
    "armel": Cpu("arm-linux-gnueabi", "armhf", "linux-image-armmp",
                 ["qemu-system-arm", "-M", "virt,highmem=off", "-cpu", "cortex-a15"], "/lib/ld-linux.so.3", "armv7l"),
    "mipsel": Cpu("mipsel-linux-gnu", "mipsel", "linux-image-4kc-malta",
                  ["qemu-system-mipsel", "-M", "malta", "-cpu", "24Kf"], "/lib/ld.so.1", "mips", "ttyS0", "pci", 1),
    "riscv64": Cpu("riscv64-linux-gnu", "riscv64", "linux-image-riscv64",
                   ["qemu-system-riscv64", "-M", "virt"], "/lib/ld-linux-riscv64-lp64d.so.1", "riscv64", "ttyS0"),
}

Done = collections.namedtuple("Done", "status output")


def library_folder(files, cpu):
    """Where a package has its libraries: in /lib, or, from Debian 13 on, in /usr/lib."""
    return next(folder for folder in (files / "lib" / cpu.triplet, files / "usr/lib" / cpu.triplet) if folder.exists())


def libraries_of(packages, cpu):
    """The C library and its kin, at the paths where Debian has them."""
    folder = library_folder(packages.unpack("libc6"), cpu)
    found = {f"/lib/{cpu.triplet}/{f.name}": f for f in folder.iterdir()
             if re.match(r"(ld-linux.*|ld|libc|libm|libpthread|libdl|librt|libresolv|libanl|libthread_db)\.so", f.name)}
    loader = next(f for f in folder.iterdir() if f.name.startswith(("ld-linux", "ld.so")))
    found[cpu.loader] = loader
    gcc = library_folder(packages.unpack("libgcc-s1"), cpu) / "libgcc_s.so.1"
    found[f"/lib/{cpu.triplet}/libgcc_s.so.1"] = gcc
    return found


def kernel_of(cpu):
    """(image, folder with its modules)"""
    packages = Packages(cpu.kernel_cpu)
    deb = packages.fetch_dependency(cpu.kernel_package, r"linux-image-[0-9][\w.+-]*")
    folder = packages.unpack(deb.name.split("_")[0])
    return next((folder / "boot").glob("vmlinu*")), folder


class Guest:
    def __init__(self, name, files=(), memory=512, cpus=None, command_line=""):
        """files: path in the guest -> file of this machine, or bytes.  The guest reaches
        this machine's loopback as 10.0.2.2; its ports 3002 of TCP and 69 of UDP are
        127.0.0.1:self.port here.  A second card, 10.78.0.2, leads to a tap device in a
        network namespace, 10.78.0.1, in which self.beside() runs a command; that may be
        forbidden here (self.tap is None)."""
        self.name, self.cpu, self.files = name, CPUS[name], dict(files)
        self.memory, self.cpus, self.command_line = memory, cpus or self.cpu.cpus, command_line
        self.no_rom = ",romfile=" if self.cpu.bus == "pci" else ""
        self.port = free_port()
        self.packages = Packages(name)

    def _initrd(self, path, kernel_files, image):
        stamp = f"{image.name}-{pathlib.Path(initramfs.__file__).stat().st_mtime_ns}"
        cached = self.packages.root / f"base-{stamp}.cpio"
        if not cached.exists():
            for old in self.packages.root.glob("base-*.cpio*"):
                old.unlink()
            cached.write_bytes(initramfs.base(self.packages, kernel_files, libraries_of(self.packages, self.cpu)))
        archive = initramfs.Archive()
        for place, source in self.files.items():
            if isinstance(source, bytes):
                archive.add(place, source)
            else:
                archive.add_file(place, source)
        with path.open("wb") as out:
            out.write(cached.read_bytes())
            out.write(archive.bytes())

    def _tap(self):
        """What qemu is to be told of the second card."""
        ours, theirs = socket.socketpair()
        self.tap = subprocess.Popen(["unshare", "--net", sys.executable, pathlib.Path(__file__).with_name("tap.py"),
                                     "10.78.0.1/24"], stdin=theirs)
        theirs.close()
        ours.settimeout(BOOT_LIMIT)
        _, descriptors, _, _ = socket.recv_fds(ours, 1, 1)
        self.tap_end = ours  # its end is the namespace's
        if not descriptors:
            self._untap()
            return [], []
        return descriptors, ["-netdev", f"tap,id=tap,fd={descriptors[0]}",
                             "-device", f"virtio-net-{self.cpu.bus},netdev=tap,mac=52:54:00:00:00:02{self.no_rom}"]

    def _untap(self):
        self.tap_end.close()
        self.tap.wait()
        self.tap = None

    def beside(self, *command):
        """The command, as it runs in the namespace of the tap device."""
        return ["nsenter", f"--net=/proc/{self.tap.pid}/ns/net", *command]

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="memtrace-guest-")
        folder = pathlib.Path(self.folder.name)
        image, kernel_files = kernel_of(self.cpu)
        self._initrd(folder / "initrd", kernel_files, image)
        self.log = folder / "console"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(folder / "port"))
        listener.listen(1)
        listener.settimeout(BOOT_LIMIT)
        descriptors, tap = self._tap()
        self.qemu = subprocess.Popen(self.cpu.qemu + tap + [
            "-m", str(self.memory), "-smp", str(self.cpus), "-nodefaults", "-display", "none", "-no-reboot",
            "-kernel", str(image), "-initrd", str(folder / "initrd"),
            "-append", f"console={self.cpu.console} quiet panic=-1 print-fatal-signals=1 {self.command_line}",
            "-serial", f"file:{self.log}",
            "-device", f"virtio-serial-{self.cpu.bus}",
            "-chardev", f"socket,id=port,path={folder / 'port'}",
            "-device", "virtserialport,chardev=port",
            "-netdev", f"user,id=net,hostfwd=tcp:127.0.0.1:{self.port}-:3002,hostfwd=udp:127.0.0.1:{self.port}-:69",
            "-device", f"virtio-net-{self.cpu.bus},netdev=net,mac=52:54:00:00:00:01{self.no_rom}",
        ], stdin=subprocess.DEVNULL, pass_fds=descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        try:
            begin = time.monotonic()
            self.socket, _ = listener.accept()
            self._read = b""
            if self._line(BOOT_LIMIT) != "READY":
                raise RuntimeError(f"{self.name} came up wrong: {self.console()}")
            self.boot_seconds = time.monotonic() - begin
            self.run("dmesg -c >/tmp/boot")  # what the kernel says from here on is news
        except BaseException:
            self.__exit__()
            raise
        finally:
            listener.close()
        return self

    def __exit__(self, *_):
        self.qemu.kill()
        self.qemu.wait()
        if self.tap:
            self._untap()
        self.folder.cleanup()

    def console(self):
        """The end of what the kernel printed."""
        return self.log.read_text(errors="replace")[-4000:] if self.log.exists() else ""

    def _more(self, end):
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"{self.name} does not answer: {self.console()}")
        self.socket.settimeout(left)
        try:
            data = self.socket.recv(65536)
        except socket.timeout:
            return
        if not data:
            raise RuntimeError(f"{self.name} went down: {self.console()}")
        self._read += data

    def _line(self, timeout):
        end = time.monotonic() + timeout
        while b"\n" not in self._read:
            self._more(end)
        line, self._read = self._read.split(b"\n", 1)
        return line.decode()

    def run(self, command, timeout=60.0, check=False):
        """A shell command: exit status (143 when it took longer than timeout) and what it
        printed.  What it started in the background runs on."""
        if "\n" in command:
            raise ValueError("one line, please")
        quoted = command.replace("'", "'\\''")
        self.socket.sendall(f"timeout {timeout:.0f} sh -c '{quoted}'\n".encode())
        status, length = map(int, self._line(timeout + 60).split())
        end = time.monotonic() + 60
        while len(self._read) < length:
            self._more(end)
        output, self._read = self._read[:length], self._read[length:]
        done = Done(status, output.decode(errors="replace"))
        if check and status:
            raise AssertionError(f"{command}\nin {self.name}: status {status}\n{done.output[-6000:]}")
        return done

    def read(self, path):
        """A file's bytes."""
        self.socket.sendall(f"cat {path}\n".encode())
        status, length = map(int, self._line(60).split())
        end = time.monotonic() + 120
        while len(self._read) < length:
            self._more(end)
        data, self._read = self._read[:length], self._read[length:]
        if status:
            raise FileNotFoundError(f"{path} in {self.name}: {data.decode(errors='replace')}")
        return data
