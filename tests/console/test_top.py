"""top: a table that is renewed in place on a terminal, and once, as text, elsewhere."""
import os
import re

import pexpect
from test_marks import Pipe

PROMPT = "memtrace> "

HOME, SCREEN, SCREEN_BACK = "\x1b[H\x1b[J", "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
ROW = r"^ +(\S+) +(\S+) +(\S+) +(\S+)  (\S[\w? ]*?)? +#(\d+) (.*)$"


def test_on_a_terminal(console, obedient):
    child = console()
    obedient.order("allocate 4 10")
    child.sendline("top 3600")
    child.expect_exact(SCREEN)
    child.expect_exact(f"{HOME}growth, every 3600 s; g: growth, r: rate, b: bytes, q: end\r\n")
    child.expect(r"In use +40 in 4 blocks, +\+0 in 0\.0 s; ")
    child.expect(r" 40 +\+0 +\+0 +0\.0  too early +#1 obey_allocate obedient.c:\d+\r\n")
    obedient.order("allocate 2 5")
    child.send(" ")
    child.expect_exact(HOME)
    child.expect(r"In use +50 in 6 blocks, +\+10 in [0-9.]+ s; ")
    child.expect(r" 50 +\+10 +\+\S+ +\S+  too early +#1 ")
    obedient.order("free 3")
    child.send("b")
    child.expect_exact(f"{HOME}bytes, every 3600 s; ")
    child.expect(r" 30 +-10 +-\S+ +0\.0  too early +#1 ")
    child.send("q")
    child.expect_exact(SCREEN_BACK)
    child.expect_exact(PROMPT)
    child.sendline("status")
    child.expect(r"in use: 30 bytes in 3 blocks")


def test_by_itself_until_ctrl_c(console, obedient):
    child = console("--no-symbols")
    child.sendline("top 100ms --sort rate")
    for _ in range(3):
        child.expect_exact(f"{HOME}rate, every 0.1 s; ")
    child.sendintr()
    child.expect_exact(SCREEN_BACK)
    child.expect_exact(PROMPT)
    assert obedient.tracer() == child.pid


def test_the_terminal_is_as_it_was(memtrace, obedient):
    shell = pexpect.spawn("/bin/sh", encoding="utf-8", timeout=30, env=dict(os.environ, PS1="$ ", TERM="xterm"))
    shell.sendline("before=$(stty -g)")
    shell.sendline(f"{memtrace} -p {obedient.pid}")
    shell.expect_exact(PROMPT)
    shell.sendline("top 3600")
    shell.expect_exact(SCREEN)
    shell.expect_exact("  who\r\n")
    obedient.end()  # the table ends with the process
    shell.expect_exact(SCREEN_BACK)
    shell.expect_exact("HEAP SUMMARY")
    shell.sendline('[ "$before" = "$(stty -g)" ] && echo sa"me"')
    shell.expect_exact("same\r\n")
    shell.close(force=True)


def test_time_that_is_left(memtrace, obedient):
    """-d on a terminal, without a prompt: a line that is renewed, and is taken away for what is said."""
    child = pexpect.spawn(str(memtrace), ["--no-symbols", "-d", "1h", "-p", str(obedient.pid)], encoding="utf-8", timeout=30)
    child.expect(r"\r\x1b\[K(1:00:00|0:59:\d\d) left; 0 bytes in 0 blocks in use")
    obedient.order("allocate 1 7")
    child.expect(r"\r\x1b\[K0:59:\d\d left; 7 bytes in 1 block in use")
    obedient.order("allocate 2 7")
    child.expect(r"\r\x1b\[K0:59:\d\d left; 21 bytes in 3 blocks in use")
    child.sendintr()
    child.expect(r"\r\x1b\[KDetached from process")
    child.expect_exact("HEAP SUMMARY")
    child.close(force=True)


def test_as_text(memtrace, obedient):
    """Once, by the order that is asked for; filtered."""
    pipe = Pipe(memtrace, obedient.pid)
    try:
        pipe.ask("marks", ".")  # it is attached
        obedient.order("allocate 3 7")
        lines = pipe.ask("top 100ms", "#1 ")
        assert re.match(r"In use +21 in 3 blocks, +\+0 in 0\.[1-9] s; +0\.0 allocs/s, +0\.0 frees/s$", lines[0])
        assert lines[1:3] == ["", "    in use    change    +/hour  allocs/s  verdict        who"]
        assert re.match(ROW, lines[3]).groups()[:6] == ("21", "+0", "+0", "0.0", "too early", "1")
        lines = pipe.ask("top 100ms --not obedient > /dev/stderr", "who$")
        assert lines[-1].endswith("who")
        obedient.order("free 2")
        assert re.match(r"In use +7 in 1 block, ", pipe.ask("top 100ms", "#1 ")[0])
        assert pipe.ask("top --sort age", ".") == ["memtrace: --sort: 'age' is not one of: growth, rate, bytes"]
        assert pipe.ask("top 1 2", ".")[0].startswith("memtrace: '2' is too much; usage: top [-n N]")
        pipe.quit()
    finally:
        pipe.end()
