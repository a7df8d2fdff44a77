"""A memtrace-fs of this machine, for the time of a block."""
import contextlib
import socket
import subprocess

import build


@contextlib.contextmanager
def serving(folders, *options, within=()):
    """within: a command that runs it elsewhere (guest.beside())."""
    process = subprocess.Popen([*within, build.FS, *options, *folders], stdin=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]
