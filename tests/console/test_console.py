"""The console on a terminal: editing, history, completion, monitor, the ways to leave."""
import os
import signal

import pexpect
import pytest

PROMPT = "memtrace> "


def in_use(child):
    """The numbers of the next HEAP SUMMARY: (bytes, blocks, allocs, frees, allocated)."""
    child.expect(r"HEAP SUMMARY \w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}\r\n\r\n"
                 r"    in use: (\d+) bytes? in (\d+) blocks?[^\r]*\r\n"
                 r"    total heap usage: (\d+) allocs?, (\d+) frees?, (\d+) bytes? allocated[^\r]*\r\n")
    return tuple(int(group) for group in child.match.groups())


def left(child, obedient):
    """The final report came, memtrace ended well, and the process is free."""
    numbers = in_use(child)
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    assert obedient.tracer() == 0
    obedient.order("allocate 1 1")
    return numbers


def test_status_and_quit(console, obedient):
    child = console()
    assert obedient.tracer() == child.pid
    obedient.order("allocate 3 100")
    child.sendline("status")
    assert in_use(child) == (300, 3, 3, 0, 300)
    child.expect_exact(PROMPT)
    obedient.order("free 1")
    child.sendline("quit")
    assert left(child, obedient) == (200, 2, 3, 1, 300)


def test_words_while_attaching(memtrace, obedient):
    child = pexpect.spawn(str(memtrace), ["-v", "-p", str(obedient.pid)], encoding="utf-8", timeout=30)
    child.expect_exact(f"Attaching to pid {obedient.pid}\r\n")
    child.expect(r"Opening /\S+/libc\.so\.6 begin=0x[0-9a-f]+ offset=0\r\n")
    child.expect(r"Set breakpoint on malloc in /\S+/libc\.so\.6:0x[0-9a-f]+ \(0x[0-9a-f]+\)\r\n")
    child.expect_exact(PROMPT)
    child.sendeof()
    left(child, obedient)


def test_clear(console, obedient):
    obedient.order("allocate 1 10")
    child = console("--engine=trap")  # (whose peak is exact)
    obedient.order("allocate 2 20")
    child.sendline("clear")
    child.expect_exact("Counting begins anew; dropped:\r\n"
                       "    in use: 40 bytes in 2 blocks\r\n"
                       "    total heap usage: 2 allocs, 0 frees, 40 bytes allocated\r\n"
                       "    peak: 40 bytes\r\n")
    child.expect_exact(PROMPT)
    obedient.order("free 3")
    obedient.order("allocate 1 7")
    child.sendline("status")
    assert in_use(child) == (7, 1, 1, 0, 7)
    child.sendline("threads")  # since the clear, whatever it was that it freed
    child.expect(rf"{obedient.pid} +1 +3 ")
    child.sendline("quit")
    left(child, obedient)


def test_report_and_one_context(console, obedient):
    child = console()
    obedient.order("allocate 4 50")
    child.sendline("report")
    child.expect(r"200 bytes in 4 blocks were not free")
    child.expect(r"obey_allocate\(\) in \S*obedient\.c:\d+")
    in_use(child)
    child.sendline("report 1")
    child.expect(r"200 bytes in 4 blocks were not free")
    child.expect_exact(PROMPT)
    child.sendline("report 77")
    child.expect(r"memtrace: [^\r]*77")
    child.expect_exact(PROMPT)
    child.sendline("quit")
    left(child, obedient)


def test_lists(console, obedient):
    child = console()
    child.sendline("modules")
    child.expect(r"obedient")
    child.expect(r"libc\.so\.6")
    child.expect_exact(PROMPT)
    child.sendline("threads")
    child.expect(str(obedient.pid))
    child.expect_exact(PROMPT)
    child.sendline("quit")
    left(child, obedient)


def test_help(console, obedient):
    child = console()
    child.sendline("help")
    for name in ("help", "status", "report", "monitor", "clear", "modules", "threads", "history", "mark", "marks", "diff", "wait", "quit",
                 "detach", "exit", "!COMMAND"):
        child.expect(rf"\n{name}\b")
    child.expect_exact(PROMPT)
    child.sendline("help mon")
    child.expect_exact("monitor [SECONDS|stop]")
    child.expect_exact(PROMPT)
    child.sendline("help report")
    child.expect(r"--sort KEY +in the order of KEY: verdict \(default\), bytes \(in use\),")
    child.expect_exact(PROMPT)
    child.sendline("nonsense")
    child.expect_exact("memtrace: unknown command 'nonsense'; 'help' lists them\r\n")
    child.expect_exact(PROMPT)
    child.sendline("quit")
    left(child, obedient)


def test_editing_and_history(console, obedient):
    child = console()
    child.send("staXtus\x1b[D\x1b[D\x1b[D\x7f\r")  # left three times, rub out
    in_use(child)
    child.expect_exact(PROMPT)
    child.sendline("threads")
    child.expect_exact(PROMPT)
    child.send("\x1b[A\x1b[A\r")  # up, up: status
    in_use(child)
    child.sendline("quit")
    left(child, obedient)


def test_history_of_former_sessions(console, obedient, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    child = console()
    child.sendline("threads")
    child.expect_exact(PROMPT)
    child.sendline("quit")
    left(child, obedient)
    path = tmp_path / "state/memtrace/history"
    assert path.read_text() == "threads\nquit\n"
    assert path.stat().st_mode & 0o7777 == 0o600
    path.write_text("x" * 200_000 + "\nstatus\n")  # cut when it is read
    child = console()
    child.send("\x1b[A\r")
    in_use(child)
    child.expect_exact(PROMPT)
    child.sendline("quit")
    left(child, obedient)
    assert path.read_text() == "status\nstatus\nquit\n"


@pytest.mark.parametrize("state", ["/dev/null", "/proc/self/no", "not absolute", ""])
def test_without_history(console, obedient, tmp_path, monkeypatch, state):
    monkeypatch.setenv("XDG_STATE_HOME", state)
    monkeypatch.setenv("HOME", "/dev/null")
    child = console()
    child.sendline("quit")
    left(child, obedient)


def test_history_is_a_file(console, obedient, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    (tmp_path / "memtrace").mkdir()
    os.mkfifo(tmp_path / "memtrace/history")
    child = console()
    child.sendline("quit")
    left(child, obedient)


def test_commands_of_the_shell(console, obedient):
    """They have the terminal and its Ctrl-C; the process runs on."""
    child = console()
    child.sendline("!trap 'echo caught; exit' INT; echo rea''dy; sleep 1000")
    child.expect_exact("ready\r\n")
    obedient.order("allocate 1 99")
    child.send("\x1a")  # nobody could continue it
    child.sendintr()
    child.expect_exact("caught\r\n")
    child.expect_exact(PROMPT)
    assert obedient.tracer() == child.pid
    child.sendline("report | (cat; sed 's/^/got:/' </dev/tty)")
    child.expect_exact("99 bytes in 1 block were not free")
    in_use(child)
    child.sendline("a line")
    child.expect_exact("got:a line\r\n")
    child.sendeof()
    child.expect_exact(PROMPT)
    child.sendline("quit")
    left(child, obedient)


def test_control_c_in_a_wait(console, obedient):
    child = console()
    child.sendline("wait 1h")
    child.expect_exact("wait 1h\r\n")
    child.sendintr()
    child.expect_exact(PROMPT)
    child.sendline("status")
    in_use(child)
    child.sendline("quit")
    left(child, obedient)


def test_completion(console, obedient):
    child = console()
    child.send("stat\t\r")
    in_use(child)
    child.expect_exact(PROMPT)
    child.send("mo\t\t")
    child.expect("modules +monitor")
    child.send("n\t")
    child.send("st\t\r")
    child.expect_exact("Monitor is off")
    child.expect_exact(PROMPT)
    child.send("report --so\tblo\t -n 1\r")
    child.expect("HEAP SUMMARY")
    child.expect_exact(PROMPT)
    child.sendline("quit")
    left(child, obedient)


def test_monitor_while_typing(console, obedient):
    child = console()
    child.sendline("monitor 100ms")
    child.expect_exact("Status every 0.1 seconds")
    child.expect_exact(PROMPT)
    child.send("thre")
    in_use(child)
    obedient.order("allocate 5 8")
    while in_use(child) != (40, 5, 5, 0, 40):
        pass
    child.expect_exact(PROMPT + "thre")  # the half-typed line is back
    child.send("ads\r")
    child.expect(str(obedient.pid))
    child.sendline("monitor")
    child.expect_exact("Monitor is off")
    child.expect_exact(PROMPT)
    with pytest.raises(pexpect.TIMEOUT):
        child.expect("HEAP", timeout=0.4)
    child.sendline("quit")
    left(child, obedient)


AGAIN = "Ctrl-C again detaches and reports\r\n"


def leave_by_control_c(child, obedient):
    child.sendintr()
    child.expect_exact(AGAIN)
    child.expect_exact(PROMPT)
    assert obedient.tracer() == child.pid
    child.sendintr()
    return left(child, obedient)


def test_control_c(console, obedient):
    """It takes two, as hours may be in the capture."""
    child = console()
    obedient.order("allocate 1 99")
    assert leave_by_control_c(child, obedient) == (99, 1, 1, 0, 99)


def test_control_c_on_a_half_typed_line(console, obedient):
    child = console()
    obedient.order("allocate 1 99")
    for _ in range(3):
        child.send("quit")
        child.expect_exact("quit")
        child.sendintr()
        child.expect_exact("^C\r\n")
        child.expect_exact(PROMPT)
    child.sendline("status")  # nothing of the line is left
    assert in_use(child) == (99, 1, 1, 0, 99)
    child.expect_exact(PROMPT)
    leave_by_control_c(child, obedient)


def test_control_c_in_a_search(console, obedient):
    """The editor waits for what is searched; Ctrl-C ends that, too."""
    child = console()
    child.send("\x12")  # Ctrl-R
    child.expect_exact("bck:")
    child.sendintr()
    child.expect_exact("^C\r\n")
    child.expect_exact(PROMPT)
    child.sendline("status")
    in_use(child)
    child.expect_exact(PROMPT)
    leave_by_control_c(child, obedient)


def test_control_c_sent_by_somebody(console, obedient):
    """No key was pressed: timeout -s INT means it."""
    child = console()
    os.kill(child.pid, signal.SIGINT)
    left(child, obedient)


def test_half_a_key(console, obedient):
    """Esc is how many keys begin: what follows may not come, and nothing waits for it."""
    child = console()
    child.sendline("monitor 100ms")
    child.expect_exact(PROMPT)
    child.send("\x1b")
    for allocs in range(1, 4):
        obedient.order("allocate 1 8")
        while in_use(child)[2] != allocs:
            pass
    child.send("[Dthreads\r")  # the rest of cursor left
    child.expect(str(obedient.pid))
    child.send("\x1b")
    obedient.order("allocate 1 8")  # and so that the key has been read
    while in_use(child)[2] != 4:
        pass
    child.sendintr()
    child.expect_exact("^C\r\n")
    child.sendline("quit")
    child.expect_exact("Detached")
    assert in_use(child)[2] == 4
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    assert obedient.tracer() == 0


def test_end_of_input(console, obedient):
    child = console()
    child.sendeof()
    left(child, obedient)


def test_dumb_terminal(console, obedient):
    child = console(term="dumb")
    child.sendline("status")
    in_use(child)
    child.expect_exact(PROMPT)
    child.sendeof()
    left(child, obedient)


@pytest.mark.parametrize("signo", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_signals_detach(console, obedient, signo):
    child = console()
    os.kill(child.pid, signo)
    in_use(child)
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 128 + signo
    assert obedient.tracer() == 0


def test_closed_terminal(console, obedient):
    child = console()
    with open(os.devnull, "r+b") as nothing:
        os.dup2(nothing.fileno(), child.child_fd)  # closes the terminal
    # by SIGHUP, or because the report could not be written to what is gone
    assert child.wait() in (128 + signal.SIGHUP, 1)
    assert obedient.tracer() == 0
    obedient.order("allocate 1 1")


def test_it_can_not_be_suspended(console, obedient):
    child = console()
    child.send("\x1a")  # Ctrl-Z
    child.expect_exact("can't be suspended")
    child.expect_exact(PROMPT)
    child.sendline("status")
    in_use(child)
    child.sendline("quit")
    left(child, obedient)


def test_the_process_ends(console, obedient):
    child = console()
    obedient.order("allocate 2 10")
    obedient.process.stdin.close()
    child.expect_exact(f"Process {obedient.pid} exited with status 0")
    assert in_use(child) == (20, 2, 2, 0, 20)
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


def test_the_terminal_is_as_it_was(memtrace, obedient):
    shell = pexpect.spawn("/bin/sh", encoding="utf-8", timeout=30,
                          env=dict(os.environ, PS1="$ ", TERM="xterm"))
    shell.sendline("before=$(stty -g)")
    shell.sendline(f"{memtrace} -p {obedient.pid}")
    shell.expect_exact(PROMPT)
    shell.send("\x12")  # in the middle of a search
    shell.expect_exact("bck:")
    shell.sendintr()
    shell.expect_exact(PROMPT)
    shell.sendintr()
    shell.expect_exact("again")
    shell.sendintr()
    shell.expect("HEAP SUMMARY")
    shell.sendline('[ "$before" = "$(stty -g)" ] && echo sa"me"')
    shell.expect_exact("same\r\n")
    shell.close(force=True)


def test_in_the_background(memtrace, obedient):
    """A background job must not read the terminal: it would be stopped, and the
    process with it."""
    shell = pexpect.spawn("/bin/bash", ["--norc", "-i"], encoding="utf-8", timeout=30,
                          env=dict(os.environ, PS1="$ ", TERM="xterm"))
    shell.sendline(f"{memtrace} -p {obedient.pid} &")
    shell.expect_exact("Attached to pid")
    shell.sendline("echo not dis''turbed")
    shell.expect_exact("not disturbed")
    obedient.order("allocate 2 5")
    shell.sendline("fg")
    shell.expect_exact(PROMPT)
    shell.sendline("status")
    assert in_use(shell)[:2] == (10, 2)
    shell.sendline("quit")
    in_use(shell)
    shell.close(force=True)
