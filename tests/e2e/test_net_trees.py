"""Where build systems and distributions keep their files: a tree of each, as it is on the
device and as it is on the developer's machine."""
import os
import shutil

import pytest

import net
from test_net import made, network, reference, report_of, serve, stacks, start  # noqa: F401

pytestmark = pytest.mark.skipif(not net.allowed(), reason="needs root, ip and nsenter")


def debug_file(full, debug, stripped=None, options=()):
    """objcopy --only-keep-debug, and a .gnu_debuglink in the stripped file."""
    debug.parent.mkdir(parents=True, exist_ok=True)
    net.run("objcopy", "--only-keep-debug", *options, full, debug)
    if stripped:
        net.run("objcopy", f"--add-gnu-debuglink={debug}", stripped)


def move(file, to):
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(file, to)
    return to


def buildroot(made_, root):
    """Reproducible builds have no build-id; libraries in staging, whose /lib is a link and
    whose links are absolute, the program in the folder it was built in."""
    staging, build = root / "output/staging", root / "output/build"
    move(made_.library, staging / "usr/lib/libpart.so.1.0")
    (staging / "usr/lib/libpart.so.1").symlink_to("/usr/lib/libpart.so.1.0")
    (staging / "lib").symlink_to("usr/lib")
    move(made_.program, build / "prog-1.2.3/src/prog_unstripped")
    (build / "prog-1.2.3/src/prog").write_text("#!/bin/sh\n")
    return [staging, build]


def openwrt(made_, root):
    """sstrip on the device, no build-id; unstripped files below a root of their own."""
    staging = root / "staging_dir/target-x86_64_musl/root-x86"
    for file in made_.files():
        move(file, staging / file.relative_to(made_.full))
    return [root / "staging_dir"]


def yocto_debuglink(made_, root):
    """-dbg packages: .debug/ beside each file, found by .gnu_debuglink, CRC checked."""
    rootfs = root / "dbg"
    for file in made_.files():
        where = file.relative_to(made_.full)
        debug_file(file, rootfs / where.parent / ".debug" / where.name, made_.on_device(file))
        file.unlink()
    return [rootfs]


def yocto_src(made_, root):
    """The other layout: /usr/lib/debug/PATH.debug."""
    rootfs = root / "dbg"
    for file in made_.files():
        where = file.relative_to(made_.full)
        debug_file(file, rootfs / "usr/lib/debug" / f"{where}.debug", made_.on_device(file))
        file.unlink()
    return [rootfs]


def debian(made_, root):
    """/usr/lib/debug/.build-id, nothing else; dh_strip compresses, .debug_frame too."""
    for file in made_.files():
        identity = net.build_id(file)
        debug_file(file, root / "usr/lib/debug/.build-id" / identity[:2] / f"{identity[2:]}.debug",
                   options=["--compress-debug-sections"])
        file.unlink()
    return [root]


def fedora(made_, root):
    """/usr/lib/debug/PATH-VERSION.debug, a link to it in .build-id, and what dwz has moved from
    all files of a package to one in .dwz."""
    debug, files = root / "usr/lib/debug", []
    for file in made_.files():
        identity, where = net.build_id(file), file.relative_to(made_.full)
        files.append(debug / f"{where}-1.2-3.fc40.x86_64.debug")
        debug_file(file, files[-1])
        link = debug / ".build-id" / identity[:2] / f"{identity[2:]}.debug"
        link.parent.mkdir(parents=True)
        link.symlink_to(os.path.relpath(files[-1], link.parent))
        file.unlink()
    (debug / ".dwz").mkdir()
    net.run("dwz", "-m", debug / ".dwz/made-1.2-3", "-M", "../../.dwz/made-1.2-3", *files)
    assert (debug / ".dwz/made-1.2-3").exists()
    return [root]


NO_ID = ["-Wl,--build-id=none"]
TREES = {
    buildroot: {"ldflags": NO_ID},
    openwrt: {"ldflags": NO_ID, "headers": False},
    yocto_debuglink: {"ldflags": NO_ID},
    yocto_src: {"ldflags": NO_ID, "cflags": net.NO_UNWIND},
    debian: {"cflags": net.NO_UNWIND},
    fedora: {"cflags": ["-include", "stdio.h", "-fno-eliminate-unused-debug-types"]},
}


@pytest.mark.parametrize("tree", TREES, ids=lambda tree: tree.__name__)
def test_tree(network, start, tmp_path, tree):
    if tree is fedora and not shutil.which("dwz"):
        pytest.skip("dwz is not installed")
    device = net.Made(tmp_path / "made", **TREES[tree])
    program = device.on_device(device.program)
    _, wanted = report_of(start, None, device.program, tmp_path / "wanted")
    directories = tree(device, tmp_path / "host")
    assert not device.program.exists()
    serve(start, network.host, *directories, "/usr/lib/debug")
    _, found = report_of(start, network.target, program, tmp_path / "found", "-c", "10.77.0.1")
    assert stacks(found) == stacks(wanted)


def test_wrong_debuglink_crc(network, start, tmp_path):
    device = net.Made(tmp_path / "made", ldflags=NO_ID)
    directories = yocto_debuglink(device, tmp_path / "host")
    debug = tmp_path / "host/dbg/usr/bin/.debug/prog"
    with open(debug, "ab") as file:
        file.write(b"x")
    serve(start, network.host, *directories)
    _, text = report_of(start, network.target, device.on_device(device.program), tmp_path / "r",
                        "-c", "10.77.0.1", form="text")
    assert f"Names are missing: {debug}: does not match: its CRC is not the debuglink's" in text


def test_links_that_lead_out(network, start, tmp_path):
    """The right file, but outside: it is not opened."""
    device = net.Made(tmp_path / "made", ldflags=NO_ID)
    inside = tmp_path / "host/usr/bin"
    inside.mkdir(parents=True)
    (inside / "prog").symlink_to(os.path.relpath(device.program, inside))
    serve(start, network.host, tmp_path / "host")
    _, text = report_of(start, network.target, device.on_device(device.program), tmp_path / "r",
                        "-c", "10.77.0.1", form="text")
    assert "prog.c" not in text


@pytest.mark.limit(120)
def test_a_large_directory_is_indexed_in_seconds(network, made, start, tmp_path):
    """100 000 files; who asks meanwhile waits, and is told."""
    device = made("stripped")
    for i in range(100):
        directory = tmp_path / f"tree/{i}"
        directory.mkdir(parents=True)
        for k in range(1000):
            (directory / f"file{k}.h").write_bytes(b"#pragma once\n")
    server = start(network.host, net.FS, "--no-announce", tmp_path / "tree", device.full)
    server.wait_line("^Waiting")
    _, text = report_of(start, network.target, device.on_device(device.program), tmp_path / "r",
                        "-c", "10.77.0.1", form="text")
    assert "prog.c" in text
    # (of the CPU's time, the indexing process' too: what else this machine does is not about the server)
    with open(f"/proc/{server.pid}/stat") as stat:
        ticks = sum(map(int, stat.read().rsplit(")", 1)[1].split()[11:15]))
    assert 0 < ticks / os.sysconf("SC_CLK_TCK") < 20
