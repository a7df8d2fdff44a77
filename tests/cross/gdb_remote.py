"""What gdb sees in a process of a guest: gdb's server there, gdb-multiarch here."""
import os
import pathlib
import subprocess

import build
import traced

SCRIPT = pathlib.Path(__file__).with_name("gdb_stacks.py")


def ask(guest, pid, program, debug, addresses, count):
    """What gdb printed, and what it found."""
    guest.run(f"/usr/bin/gdbserver --once --attach 10.0.2.15:3002 {pid} >/tmp/gdbserver 2>&1 & "
              "until grep -q Listening /tmp/gdbserver; do usleep 20000; done", check=True)
    root = build.sysroot(guest.name)
    settings = [f"set sysroot {root}", "set pagination off", "set confirm off", "set backtrace past-main on",
                "set backtrace past-entry on", "set debuginfod enabled off", "set auto-load no",
                f"set debug-file-directory {':'.join(map(str, debug))}",
                f"file {root}{program}", f"target remote 127.0.0.1:{guest.port}"]
    command = ["gdb-multiarch", "-q", "-nx", "-batch"]
    for setting in settings:
        command += ["-ex", setting]
    done = subprocess.run(command + ["-x", SCRIPT], capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL,
                          env={**os.environ, "STACKS": " ".join([str(count), *addresses])})
    said = done.stdout[-2000:] + done.stderr[-2000:] + guest.run("cat /tmp/gdbserver").output
    return said, [tuple(int(pc, 16) for pc in line.split()[1:]) for line in done.stdout.splitlines()
                  if line.startswith("STACK ")]


def stacks(guest, pid, program, debug, addresses, count):
    """[(pc, ...)], leaf first, of the next `count` calls of the functions at the addresses.  debug: folders of debug
    files.  The process runs on, as before."""
    said, found = ask(guest, pid, program, debug, addresses, count)
    if "Remote communication error" in said and not found:
        # gdb's server was lost (1 of some 20 runs, on a busy machine): again, if it has changed nothing
        traced.untouched(guest, pid)
        said, found = ask(guest, pid, program, debug, addresses, count)
    assert len(found) == count, said
    return found
