"""A memtrace-fs of this machine, for the time of a block."""
import contextlib
import pathlib
import subprocess
import sys
import threading

import build

sys.path.append(str(pathlib.Path(__file__).parents[1]))  # (not only pytest runs this)
from ports import free_port  # noqa: E402,F401


def _await_listening(process):
    """Whoever is told of it may come at once."""
    said = []
    for line in process.stdout:
        said.append(line)
        if line.startswith("Waiting for client"):
            return
    raise AssertionError(f"memtrace-fs has ended: {process.wait()} {said}")


@contextlib.contextmanager
def serving(folders, *options, within=()):
    """within: a command that runs it elsewhere (guest.beside())."""
    process = subprocess.Popen([*within, build.FS, *options, *folders], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               text=True)
    try:
        if not any(option.startswith("--connect") for option in options):
            _await_listening(process)
        rest = threading.Thread(target=process.stdout.read, daemon=True)  # so that it never has to wait
        rest.start()
        yield process
    finally:
        process.kill()
        process.wait()
