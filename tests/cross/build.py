"""What the guests run, built by the project's Makefile with the cross compilers."""
import os
import pathlib
import subprocess

from guest import CPUS
from packages import Packages

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("O", TOP / "build")).resolve() / "cross"

# C programs of tests/targets that the guests run.
TARGETS = ["entries", "threads", "signals", "storm", "live", "pairs", "heartbeat", "eintr", "children", "plugins",
           "jumps", "churn", "adversary", "torture"]
PLUGINS = ["plugin_a.so", "plugin_b.so", "count_preload.so"]


def make(cpu, *goals, folder="", **variables):
    """Runs make for a CPU; returns the build folder."""
    out = BUILD / (cpu + folder)
    out.mkdir(parents=True, exist_ok=True)
    settings = {"CC": CPUS[cpu].triplet + "-gcc", "O": out, **variables}
    command = ["make", "-s", "-j2", "-C", TOP] + [f"{k}={v}" for k, v in settings.items()] + [f"{out}/{g}" for g in goals]
    environment = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "O", "CFLAGS")}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}\n{done.stdout}")
    return out


def unit_tests():
    """Unit tests that need no elfutils: all that a target's libraries can give."""
    names = []
    for source in sorted((TOP / "tests/unit").glob("test_*.c")):
        text = source.read_text()
        if "elfutils" not in text and "serve/" not in text and "gelf.h" not in text:
            names.append(source.stem)
    return names


def cmocka(packages):
    """(flags to compile with, library): of the guest's own distribution."""
    dev = packages.unpack("libcmocka-dev")
    library = next((packages.unpack("libcmocka0") / "usr/lib").glob("*/libcmocka.so.0"))
    return f"-I{dev}/usr/include", library


def staging(cpu):
    """The unstripped programs of tests/cross/targets."""
    return BUILD / f"{cpu}-staging"


def files_for(cpu):
    """path in the guest -> file; built first."""
    programs = TARGETS + PLUGINS
    out = make(cpu, "memtrace", "memtrace-fs", *[f"tests/targets/{name}" for name in programs])
    static = make(cpu, "memtrace", folder="-static", STATIC=1)
    files = {"/root/memtrace": out / "memtrace", "/root/memtrace-static": static / "memtrace"}
    for name in programs:
        files[f"/root/targets/{name}"] = out / "tests/targets" / name
    for source in sorted((TOP / "tests/cross/targets").glob("*.c")):
        program = staging(cpu) / source.stem
        program.parent.mkdir(exist_ok=True)
        subprocess.check_call([CPUS[cpu].triplet + "-gcc", "-O2", "-g", "-D_GNU_SOURCE", "-D_FILE_OFFSET_BITS=64",
                               "-Wall", "-pthread", "-o", program, source])
        files[f"/root/targets/{source.stem}"] = program
        stripped = BUILD / f"{cpu}-stripped" / source.stem
        stripped.parent.mkdir(exist_ok=True)
        subprocess.check_call([CPUS[cpu].triplet + "-strip", "-s", "-o", stripped, program])
        files[f"/root/stripped/{source.stem}"] = stripped
    return files
