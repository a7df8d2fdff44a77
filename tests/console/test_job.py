"""A PROGRAM on a terminal: its signals, its job, and a console beside it."""
import os
import re
import signal
import subprocess
import time

import pexpect
import pytest

PROMPT = "memtrace> "

@pytest.fixture
def shell():
    """A shell with job control."""
    child = pexpect.spawn("/bin/bash", ["--norc", "-i"], encoding="utf-8", timeout=30,
                          env=dict(os.environ, PS1="$ ", TERM="xterm"), dimensions=(50, 300))
    yield child
    child.close(force=True)


def test_control_c_reaches_the_program_once(memtrace, compiled):
    child = pexpect.spawn(str(memtrace), [str(compiled("hits"))], encoding="utf-8", timeout=30)
    child.expect_exact("ready\r\n")
    child.sendintr()
    child.expect_exact("hit 1\r\n")
    child.send("\x1c")  # Ctrl-\
    child.expect_exact("hit 2\r\n")
    child.sendeof()
    child.expect_exact("2 hits\r\n")
    child.expect("exited with status 0")
    child.expect("total heap usage")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


def test_an_interrupt_of_memtrace_is_handed_on(memtrace, compiled):
    """kill -INT of memtrace alone: the program gets it, once."""
    process = subprocess.Popen([memtrace, "-q", "-o", "/dev/null", compiled("hits")],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "hit 1\n"
    out, _ = process.communicate(timeout=60)
    assert out == "1 hits\n"
    assert process.returncode == 0


def test_control_c_ends_the_program(memtrace):
    child = pexpect.spawn(str(memtrace), ["-v", "cat"], encoding="utf-8", timeout=30)
    child.expect("Set breakpoint on prctl")
    child.sendline("to and fro")
    child.expect_exact("to and fro\r\nto and fro\r\n")
    child.sendintr()
    child.expect(r"was killed by signal 2 \(Interrupt\)")
    child.expect("total heap usage")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 128 + signal.SIGINT


def test_the_job_is_suspended_and_resumed(memtrace, shell):
    # (whether the terminal echoes depends on how far the shell is)
    shell.sendline(f"{memtrace} -q -o /dev/null sed -u s/^/got-/")
    shell.sendline("before")
    shell.expect_exact("got-before\r\n")
    shell.send("\x1a")
    shell.expect("Stopped")
    shell.sendline("fg")
    shell.sendline("after")
    shell.expect_exact("got-after\r\n")
    shell.sendeof()
    shell.sendline("echo status=$?")
    shell.expect_exact("status=0\r\n")


def test_nobody_could_resume_the_job(memtrace):
    """Without a shell, as in a container, Ctrl-Z stops nobody."""
    child = pexpect.spawn(str(memtrace), ["-v", "cat"], encoding="utf-8", timeout=30)
    child.expect("Set breakpoint on prctl")
    child.send("\x1a")
    time.sleep(0.5)  # longer than memtrace waits for the program to stop first
    child.sendline("to and fro")
    child.expect_exact("to and fro\r\n")
    child.sendeof()
    child.expect("exited with status 0")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


def test_a_console_beside_the_program(memtrace):
    """Its stdin is /dev/null, so that the console can have ours."""
    child = pexpect.spawn(str(memtrace), ["-i", "sh", "-c", "cat; exec sleep 1000"],
                          encoding="utf-8", timeout=30, env=dict(os.environ, TERM="xterm"))
    child.expect_exact(PROMPT)
    child.sendline("status")
    child.expect("total heap usage")
    child.expect_exact(PROMPT)
    child.sendline("threads")
    child.expect(r"(\d+) +\d+ +\d+ +(cat|sh|sleep)")
    pid = int(re.search(r"\d+", child.match[1])[0])
    child.expect_exact(PROMPT)
    child.sendline("quit")
    child.expect_exact(f"Detached from process {pid}")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    os.kill(pid, signal.SIGKILL)  # it lived on
