"""What the guests run, built by the project's Makefile with the cross compilers."""
import os
import pathlib
import shutil
import subprocess

from guest import CPUS
from packages import Packages

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("O", TOP / "build")).resolve() / "cross"

# C programs of tests/targets that the guests run.
TARGETS = ["entries", "threads", "signals", "storm", "live", "pairs", "heartbeat", "eintr", "children", "plugins",
           "jumps", "churn", "adversary", "torture"]
MUSL_TARGETS = ["threads", "pairs"]
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


# Unit tests that need neither elfutils nor a compiler nor x86 where they run.
UNITS = ["aarch64", "arch", "book", "cfi", "cfi_step", "discovery", "displace", "exidx", "guardian", "insn", "json",
         "maps", "region", "report", "resolver", "row_table", "scan", "seccomp", "snapshot", "stub", "target", "undo",
         "walk", "wire"]


def units_for(cpu, out):
    """path in the guest -> unit test, and the library they need, of the guest's distribution."""
    packages = Packages(cpu)
    headers = packages.unpack("libcmocka-dev") / "usr/include"
    library = next((packages.unpack("libcmocka0") / "usr/lib").glob("*/libcmocka.so.0"))
    files = {f"/lib/{CPUS[cpu].triplet}/libcmocka.so.0": library}
    for name in UNITS:
        program = out / f"test_{name}"
        subprocess.check_call([CPUS[cpu].triplet + "-gcc", "-std=gnu11", "-O1", "-D_GNU_SOURCE",
                               "-D_FILE_OFFSET_BITS=64", f"-I{TOP}/src", f"-I{TOP}/tests/unit", f"-I{headers}",
                               "-pthread", "-o", program, TOP / f"tests/unit/test_{name}.c", out / "libcore.a", library])
        files[f"/root/unit/test_{name}"] = program
    return files


def musl_gcc(cpu):
    """The cross compiler with musl, by the specs file of Debian's package, its paths put
    to where the package lies unpacked."""
    packages = Packages(cpu)
    dev, run = packages.unpack("musl-dev"), packages.unpack("musl")
    name = next((dev / "usr/lib").glob("*-linux-musl*")).name
    specs = dev / "musl.specs"
    text = next(dev.glob(f"usr/lib/{name}/musl-gcc.specs")).read_text()
    for path in (f"/usr/include/{name}", f"/usr/lib/{name}"):
        text = text.replace(path, f"{dev}{path}")
    specs.write_text(text)
    libc = dev / f"usr/lib/{name}/libc.so"
    if not libc.is_file():
        libc.unlink(missing_ok=True)
        shutil.copy(next(run.rglob("libc.so")), libc)
    kernel = f"/usr/{CPUS[cpu].triplet}/include"  # musl has none of linux/ and asm/
    # libgcc's out-of-line atomics ask glibc's __getauxval.
    atomics = " -mno-outline-atomics" if cpu == "arm64" else ""
    return f"{CPUS[cpu].triplet}-gcc -specs={specs} -idirafter {kernel}{atomics}", run


def musl_for(cpu):
    """A static memtrace by musl, and targets by musl, dynamic and static."""
    compiler, run = musl_gcc(cpu)
    out = make(cpu, "memtrace", folder="-musl", CC=compiler, STATIC=1)
    files = {"/root/memtrace-musl": out / "memtrace"}
    loader = next(run.rglob("ld-musl-*.so.1"))
    files[f"/lib/{loader.name}"] = next(run.rglob("libc.so"))
    for name in MUSL_TARGETS:
        for kind, flags in (("", []), ("-static", ["-static"])):
            program = out / (name + kind)
            subprocess.check_call(compiler.split() + ["-std=gnu11", "-g", "-O2", "-fno-builtin", "-D_GNU_SOURCE", "-pthread",
                                  *flags, "-rdynamic", "-o", program, TOP / f"tests/targets/{name}.c"])
            files[f"/root/musl/{name}{kind}"] = program
    return files


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
    return {**files, **units_for(cpu, out), **musl_for(cpu)}
