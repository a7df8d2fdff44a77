"""Fixtures: an obedient process, and memtrace on a terminal attached to it."""
import os
import pathlib
import subprocess

import pexpect
import pytest

BUILD = pathlib.Path(os.environ.get("O", "build")).resolve()
PROMPT = "memtrace> "


def status_of(pid, name):
    return int(pathlib.Path(f"/proc/{pid}/status").read_text().split(f"{name}:")[1].split()[0])


class Obedient:
    def __init__(self, program):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.pid = self.process.pid
        self.answer()

    def answer(self):
        assert self.process.stdout.readline() == b"ok\n"

    def order(self, text):
        self.process.stdin.write(text.encode() + b"\n")
        self.process.stdin.flush()
        self.answer()

    def tracer(self):
        """The pid of the tracer (the kernel tells its thread), or 0."""
        while thread := status_of(self.pid, "TracerPid"):
            try:
                return status_of(thread, "Tgid")
            except (FileNotFoundError, ProcessLookupError):
                pass  # it has just ended: who is it now?
        return 0

    def end(self):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


@pytest.fixture(scope="session")
def compiled(tmp_path_factory):
    """compiled(name): the program of name.c beside this file."""
    folder = tmp_path_factory.mktemp("targets")

    def compile(name):
        source = pathlib.Path(__file__).parent / f"{name}.c"
        subprocess.run(["cc", "-g", "-O1", "-o", folder / name, source], check=True)
        return folder / name

    return compile


@pytest.fixture(scope="session")
def obedient_program(compiled):
    return compiled("obedient")


@pytest.fixture(autouse=True, scope="session")
def state(tmp_path_factory):
    """What is typed here is not the user's history."""
    os.environ["XDG_STATE_HOME"] = str(tmp_path_factory.mktemp("state"))


@pytest.fixture
def obedient(obedient_program):
    process = Obedient(obedient_program)
    yield process
    process.end()


@pytest.fixture
def memtrace():
    """The program."""
    return BUILD / "memtrace"


@pytest.fixture
def console(memtrace, obedient):
    """console(*options, term=...): memtrace on a terminal, at its prompt."""
    started = []

    def start(*options, term="xterm"):
        # wide enough that no line is wrapped
        child = pexpect.spawn(str(memtrace), [*options, "-p", str(obedient.pid)],
                              env=dict(os.environ, TERM=term), encoding="utf-8",
                              timeout=30, dimensions=(50, 200))
        started.append(child)
        child.expect_exact(PROMPT)
        return child

    yield start
    for child in started:
        child.close(force=True)
