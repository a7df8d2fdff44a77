"""Programs of another machine: a 32-bit one, which this memtrace can't follow, stays unharmed."""
import subprocess
import sys

import pytest

import memtrace

# Calls its malloc and free a thousand times, says so, and ends with 7.
I386 = """
        .globl _start, malloc, free
        .type malloc, @function
        .p2align 4
malloc: push %ebp
        mov %esp, %ebp
        mov $pool, %eax
        pop %ebp
        ret
        .size malloc, . - malloc
        .type free, @function
        .p2align 4
free:   push %ebp
        mov %esp, %ebp
        mov 8(%ebp), %eax
        pop %ebp
        ret
        .size free, . - free
        .p2align 4
_start: mov $1000, %esi
1:      push $20
        call malloc
        push %eax
        call free
        add $8, %esp
        dec %esi
        jnz 1b
        mov $4, %eax            # write
        mov $1, %ebx
        mov $text, %ecx
        mov $6, %edx
        int $0x80
        mov $1, %eax            # exit
        mov $7, %ebx
        int $0x80
text:   .ascii "alive\\n"
        .bss
pool:   .skip 64
"""

NEEDED = "is a 32-bit process; this memtrace traces 64-bit ones (x86_64): use a memtrace built for it"


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """The program, whether it can be run or not."""
    where = tmp_path_factory.mktemp("i386")
    subprocess.run(["as", "--32", "-o", where / "object", "-"], input=I386, text=True, check=True)
    subprocess.run(["ld", "-m", "elf_i386", "-o", where / "program", where / "object"], check=True)
    return where / "program"


@pytest.fixture
def program(file):
    try:
        alone = subprocess.run([file], capture_output=True, text=True, timeout=60)
    except OSError:
        pytest.skip("this kernel runs no 32-bit programs")
    assert (alone.returncode, alone.stdout) == (7, "alive\n")
    return file


def test_launched(program, started):
    """It has not run at all."""
    started.append(memtrace.Process([memtrace.MEMTRACE, "-q", "--no-symbols", program]))
    run = started[-1]
    assert run.wait() == 1 and run.out == [], run.story()
    assert len(run.err) == 1 and run.err[0].startswith(f"memtrace: {program} was not started: "), run.story()
    assert run.err[0].endswith(NEEDED)


def test_launched_program_becomes_one(program, tmp_path):
    """The end of the shell is the end of the report; what it has become runs on alone."""
    status, out, report = memtrace.launch(tmp_path / "report", ["/bin/sh", "-c", f"exec {program}"])
    assert (status, out) == (1, ["alive"])
    assert report.consistent()["summary"]["allocs"] > 0


def test_attached_program_becomes_one(program, started, attach):
    shell = memtrace.Process(["/bin/sh", "-c", f"echo ready; read line; exec {program}"])
    started.append(shell)
    shell.wait_line("^ready$")
    tracer = attach(shell.pid, "--no-symbols")
    shell.send("go on")
    assert shell.wait() == 7 and "alive" in shell.out, shell.story()
    assert tracer.wait() == 1, tracer.story()
    assert [line for line in tracer.err if line.endswith(NEEDED)] == [
        f"memtrace: process {shell.pid} now runs {program} and is let go: pid {shell.pid} {NEEDED}"]
    assert tracer.report().consistent()["command"][0] == "/bin/sh"


def test_mapped_as_code(file, started, attach):
    """By a program that does not run it (an emulator does): it is left alone."""
    text = f"import mmap; f = open({str(file)!r}); m = mmap.mmap(f.fileno(), 0, mmap.MAP_PRIVATE, " \
           "mmap.PROT_READ | mmap.PROT_EXEC); print('ready', flush=True); input()"
    process = memtrace.Process([sys.executable, "-c", text])
    started.append(process)
    process.wait_line("^ready$")
    tracer = attach(process.pid, "-v", "--no-symbols")
    tracer.detach()
    assert any(f"Opening {file}" in line for line in tracer.err), tracer.story()
    assert not any("breakpoint" in line and str(file) in line for line in tracer.out + tracer.err), tracer.story()
    process.send()
    assert process.wait() == 0
