"""What the guests run, built by the project's Makefile with the cross compilers."""
import fcntl
import os
import pathlib
import re
import shutil
import subprocess

from guest import CPUS, libraries_of, library_folder
from packages import Packages

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("O", TOP / "build")).resolve() / "cross"
FS = BUILD.parent / "memtrace-fs"  # this machine's own
HERE = TOP / "tests/cross/targets"

# libelf, and what it needs, where they are Debian 13's.
LIBELF = {"riscv64": [("libelf1t64", "libelf.so.1"), ("libzstd1", "libzstd.so.1")]}

# Programs of tests/targets that the guests run.
TARGETS = ["entries", "threads", "registers", "signals", "storm", "live", "pairs", "heartbeat", "eintr", "children", "plugins",
           "jumps", "churn", "adversary", "torture", "kept", "unnoticed", "mapper", "heap_list",
           "delivered", "interrupted", "debugger", "dozing", "heirs", "stays"]
PLUGINS = ["plugin_a.so", "plugin_b.so", "count_preload.so", "headed_preload.so"]

# Unit tests that a guest does not run, and why.
NOT_UNITS = {
    "debuginfo": "of memtrace-fs, which runs on the host",
    "file_index": "of memtrace-fs, which runs on the host",
    "survival": "simulates a thousand programs in integers of 64 bits: minutes on an emulator; verdicts and evidence run there",
    "jemalloc": "has made-up processes of all sizes of words and pages; real ones are in test_look.py",
    "hands": "as jemalloc",
    "heap_images": "of recorded memory, which is the same everywhere: some thousand looks",
    "stub_run": "runs the stubs of x86-64; those of other CPUs are run by all that is traced",
}
NOT_UNITS_ARM = {
    "walk_live": "compares with libgcc by DWARF tables; libgcc uses .ARM.exidx there: test_exidx, test_frames.py",
}
NOT_UNITS_MIPS = {
    "walk_live": "compares with libgcc by DWARF tables; gcc makes none there by itself",
    "hooks": "expects all stubs in padding; glibc's loader has too little there",
}
NOT_UNITS_RISCV = {
    "sharer_calls": "expects traps that are for one process' threads: tgkill(), see arch/riscv64/arch.c",
    "walk_live": "compares with libgcc by DWARF tables; gcc 12 makes none there by itself",
}
# Of code that knows no CPU, no process and no atomics: what may differ is the size of a word and
# whether char has a sign.  64 bits are this machine's, where all unit tests run; armhf has 32,
# and no sign.  On an emulator three of them took four minutes a CPU (leak, report, snapshot_file).
UNITS_OF_32_BITS = ["commands", "decode", "image_mutations", "json", "leak", "maps", "module_id", "options",
                    "quantity", "report", "sample", "snapshot", "snapshot_file", "wire"]


def units(cpu):
    names = sorted(path.stem[len("test_"):] for path in (TOP / "tests/unit").glob("test_*.c"))
    left_out = {*NOT_UNITS, *(NOT_UNITS_ARM if cpu in ("armhf", "armel") else []),
                *(NOT_UNITS_MIPS if cpu == "mipsel" else []),
                *(NOT_UNITS_RISCV if cpu == "riscv64" else []), *(UNITS_OF_32_BITS if cpu != "armhf" else [])}
    return [name for name in names if name not in left_out]


# How programs are compiled.  (-mthumb of armel would be Thumb-1, which Debian's armel is not
# for.)  A static program has no room for stubs but behind its own text: separate-code
# gives it more.
A32 = {"a32": "-marm -O2", "a32-O0": "-marm -O0 -fno-omit-frame-pointer",
       "a32-static": "-marm -O2 -static -Wl,-z,separate-code"}
VARIANTS = {
    "armel": {**A32, "a32-v5": "-marm -O2 -march=armv5te -mfloat-abi=soft"},
    "armhf": {**A32, "t32": "-mthumb -O2", "t32-O0": "-mthumb -O0", "t32-Os": "-mthumb -Os", "t32-static": "-mthumb -O2 -static"},
    "arm64": {"O0": "-O0", "nofp": "-O2 -fomit-frame-pointer", "pac": "-O2 -mbranch-protection=standard",
              "static": "-O2 -static"},
    # gcc 12 of this CPU makes no unwind tables by itself; distributions have them.
    "riscv64": {"O0": "-O0", "tables": "-O2 -fasynchronous-unwind-tables", "nofp": "-O2", "fp": "-O2 -fno-omit-frame-pointer",
                "static": "-O2 -static -Wl,-z,separate-code"},
    "mipsel": {"O0": "-O0", "Os": "-Os", "mips16": "-O2 -mips16 -minterlink-mips16", "static": "-O2 -static"},
}
MUSL = {"musl": "", "musl-static": "-static"}
# Debian 12's linker does not know a relocation in the debug information of Debian 13's musl
# (R_RISCV_SET_ULEB128), and ends with SIGSEGV: there that is taken out.
MUSL_WITHOUT_DEBUG = ["riscv64"]


# Static programs that memtrace has to have a page mapped in: compiled by musl or not, how, and
# how many bytes are behind their code.
ROOMLESS = {
    "armel": {"musl": (True, "-marm -O2 -static", 0)},
    "armhf": {"musl-t32": (True, "-mthumb -O2 -static", 0), "musl-a32": (True, "-marm -O2 -static", 100)},
    "arm64": {"static-pie": (False, "-O2 -static-pie", 0), "static": (False, "-O2 -static", 100),
              "musl": (True, "-O2 -static", 100)},
    "riscv64": {"static": (False, "-O2 -static", 320)},  # (the code that maps the page has no other place)
    "mipsel": {},
}


AGENT_CPUS = ["arm64", "armhf", "armel"]  # that have an agent
SERVICE_CPUS = ["armhf", "arm64"]


def make(cpu, *goals, folder="", **variables):
    """Runs make for a CPU; returns the build folder."""
    out = BUILD / (cpu + folder)
    out.mkdir(parents=True, exist_ok=True)
    settings = {"CC": CPUS[cpu].triplet + "-gcc", "O": out, **variables}
    command = ["make", "-s", "-j2", "-C", TOP] + [f"{k}={v}" for k, v in settings.items()] + [f"{out}/{g}" for g in goals]
    environment = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "O", "CFLAGS")}
    with open(out / "lock", "w") as lock:  # the runs of two CPUs may want the same
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}\n{done.stdout}")
    return out


def made(program, command, *sources):
    """Runs a command that makes `program`, unless that is newer than its sources and was
    made by the same command."""
    command = [str(word) for word in command]
    note = program.with_name(program.name + ".made-by")
    newest = max(pathlib.Path(source).stat().st_mtime for source in sources)
    if not (program.exists() and program.stat().st_mtime > newest and note.exists() and note.read_text() == repr(command)):
        program.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(command, check=True)
        note.write_text(repr(command))
    return program


def compiled(compiler, flags, source, program):
    return made(program, [*compiler.split(), "-g", "-fno-builtin", "-D_GNU_SOURCE", "-D_FILE_OFFSET_BITS=64", "-pthread",
                          "-rdynamic", "-w", *flags.split(), "-o", program, source], source)


def behind_code(program):
    """Bytes from the end of the code to that of its page."""
    said = subprocess.run(["readelf", "-lW", program], capture_output=True, text=True, check=True).stdout
    vaddr, size = re.search(r"LOAD +\S+ (\S+) \S+ \S+ (\S+) R E", said).groups()
    return -(int(vaddr, 16) + int(size, 16)) % 4096


def squeezed(compiler, flags, source, program, behind):
    """Compiled so that so many bytes, and at most 15 more, are behind its code."""
    padding = 0
    for _ in range(4):
        pad = program.with_name(f"{program.name}-{padding}.s")
        pad.parent.mkdir(parents=True, exist_ok=True)
        if not pad.exists():
            pad.write_text(f'.section padding,"ax",%progbits\n.skip {padding + 1}\n.section .note.GNU-stack,"",%progbits\n')
        compiled(compiler, f"{flags} {pad}", source, program)
        if 0 <= behind_code(program) - behind < 16:
            return program
        padding = (padding + behind_code(program) - behind - 8) % 4096
    raise AssertionError(f"{program}: {behind_code(program)} bytes behind the code, not {behind}")


def roomless_for(cpu):
    """The programs of ROOMLESS, and one that no page helps."""
    compiler, out = CPUS[cpu].triplet + "-gcc", BUILD / f"{cpu}-room"
    source = TOP / "tests/targets/threads.c"
    programs = {**ROOMLESS[cpu], **({"static-far": (False, "-O2 -static", 0)} if cpu == "arm64" else {})}
    return {f"/root/room-{name}": squeezed(musl_gcc(cpu)[0] if musl else compiler, flags, source, out / name, behind)
            for name, (musl, flags, behind) in programs.items()}


def stripped(cpu, program, copy, how="-s"):
    return made(copy, [CPUS[cpu].triplet + "-strip", how, "-o", copy, program], program)


def units_for(cpu, out):
    """path in the guest -> unit test, and the libraries they need, of the guest's distribution."""
    packages = Packages(cpu)
    libraries = [next(packages.unpack(package).rglob(name)) for package, name in
                 (("libcmocka0", "libcmocka.so.0"), *LIBELF.get(cpu, [("libelf1", "libelf.so.1")]), ("zlib1g", "libz.so.1"))]
    headers = [packages.unpack(package) / "usr/include" for package in ("libcmocka-dev", "libelf-dev")]
    make(cpu, *[f"tests/unit/test_{name}" for name in units(cpu)],
         CMOCKA=" ".join([f"-idirafter {path}" for path in headers] + [str(path) for path in libraries] +
                         ["-Wl,--allow-shlib-undefined"]))  # (what is newer than this machine's C library)
    files = {f"/lib/{CPUS[cpu].triplet}/{path.name}": path for path in libraries}
    for name in units(cpu):
        files[f"/root/unit/test_{name}"] = stripped(cpu, out / f"tests/unit/test_{name}", out / f"guest/test_{name}", "-g")
    for case in (TOP / "tests/offline/cases").rglob("*"):  # of test_walk_cases, from /root on
        if case.is_file():
            files[f"/root/{case.relative_to(TOP)}"] = case
    return files


def needed(programs, libraries):
    """Those of the libraries that programs need, and those that these need: name -> file."""
    found, work = {}, list(programs)
    while work:
        said = subprocess.run(["readelf", "-d", work.pop()], capture_output=True, text=True, check=True).stdout
        for name in re.findall(r"NEEDED.*\[(.*)\]", said):
            if name in libraries and name not in found:
                found[name] = libraries[name]
                work.append(libraries[name])
    return found


def python_of(cpu):
    """python3.11, or what it is in this release."""
    return Packages(cpu).fetch_dependency("python3", r"\bpython3\.\d+").name.split("_")[0]


def sysroot_for(cpu):
    """Programs of the distribution that serve, gdb's server, and all libraries they need, as
    they come; below sysroot(cpu) as well, for gdb."""
    packages, triplet = Packages(cpu), CPUS[cpu].triplet
    python = python_of(cpu)
    owners = {"/usr/sbin/dnsmasq": "dnsmasq-base", "/usr/bin/gdbserver": "gdbserver", f"/usr/bin/{python}": f"{python}-minimal"}
    if cpu in ("armhf", "arm64"):  # (which test_look.py asks)
        owners[f"/usr/lib/{triplet}/libjemalloc.so.2"] = "libjemalloc2"
    programs = {path: packages.unpack(package) / path[1:] for path, package in owners.items()}
    names = [name for package in owners.values() for name in packages.needed_libraries(package)]
    libraries = {path.name: path for name in names if name != "libc6"
                 for path in packages.unpack(name).rglob(f"lib/{triplet}/*.so.*")}
    libraries.update({path.name: path for path in library_folder(packages.unpack("libc6"), CPUS[cpu]).glob("*.so.*")})
    files = dict(programs)
    for path, source in list(needed(programs.values(), libraries).items()):
        files[f"/lib/{triplet}/{path}"] = source
    files.update(libraries_of(packages, CPUS[cpu]))
    modules = packages.unpack(f"lib{python}-minimal")
    files.update({f"/{path.relative_to(modules)}": path for path in (modules / "usr/lib").rglob("*.py") if path.exists()})
    for path, source in files.items():
        copy = pathlib.Path(f"{sysroot(cpu)}{path}")
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, copy)
    return {**files, "/etc/passwd": b"root:x:0:0:root:/root:/bin/sh\n", "/etc/group": b"root:x:0:\n",
            "/root/bytes": bytes(range(256)), "/root/serve.py": HERE / "serve.py"}


def sysroot(cpu):
    return BUILD / f"{cpu}-sysroot"


def musl_gcc(cpu):
    """The cross compiler with musl, by the specs file of Debian's package, its paths put
    to where the package lies unpacked; and where musl itself is."""
    packages = Packages(cpu)
    with packages.alone():
        dev, run = packages.unpack("musl-dev"), packages.unpack("musl")
        name = next((dev / "usr/lib").glob("*-linux-musl*")).name
        specs = dev / "musl.specs"
        text = next(dev.glob(f"usr/lib/{name}/musl-gcc.specs")).read_text()
        for path in (f"/usr/include/{name}", f"/usr/lib/{name}"):
            text = text.replace(path, f"{dev}{path}")
        if not specs.exists() or specs.read_text() != text:
            specs.write_text(text)
        libc = dev / f"usr/lib/{name}/libc.so"
        if not libc.is_file():
            libc.unlink(missing_ok=True)
            shutil.copy(next(run.rglob("libc.so")), libc)
        without_debug = dev / "without-debug"
        if cpu in MUSL_WITHOUT_DEBUG and not without_debug.exists():
            objects = [path for path in libc.parent.glob("*.[oa]") if path.stat().st_size > 8]  # (some are empty archives)
            subprocess.run([CPUS[cpu].triplet + "-strip", "-g", *objects], check=True)
            without_debug.touch()
    kernel = f"/usr/{CPUS[cpu].triplet}/include"  # musl has none of linux/ and asm/
    # libgcc's out-of-line atomics ask glibc's __getauxval.
    atomics = " -mno-outline-atomics" if cpu == "arm64" else ""
    return f"{CPUS[cpu].triplet}-gcc -specs={specs} -idirafter {kernel}{atomics}", run


def musl_memtrace(cpu):
    """A static memtrace by musl."""
    return make(cpu, "memtrace", folder="-musl", CC=musl_gcc(cpu)[0], STATIC=1) / "memtrace"


def compat_for(cpu):
    """Programs of other CPUs that this one runs, their memtraces and their libraries."""
    tracers, targets = {"arm64": (["armhf", "armel"], ["armhf", "armel"]), "armhf": (["armel"], ["armhf"]),
                        "armel": ([], []), "riscv64": ([], []), "mipsel": ([], [])}[cpu]
    out, files = BUILD / f"{cpu}-compat", {}
    for other in tracers:
        files[f"/root/memtrace-{other}"] = stripped(other, musl_memtrace(other), out / f"memtrace-{other}", "-g")
    for other in targets:
        files[f"/root/threads-{other}"] = compiled(CPUS[other].triplet + "-gcc", "-O2", TOP / "tests/targets/threads.c",
                                                   out / f"threads-{other}")
        files.update(libraries_of(Packages(other), CPUS[other]))
    return files


def musl_for(cpu):
    """A static memtrace by musl, and targets by musl, dynamic and static."""
    compiler, run = musl_gcc(cpu)
    out = musl_memtrace(cpu).parent
    files = {"/root/memtrace-musl": stripped(cpu, out / "memtrace", out / "guest/memtrace", "-g")}
    loader = next(run.rglob("ld-musl-*.so.1"))
    files[f"/lib/{loader.name}"] = next(run.rglob("libc.so"))
    for kind, flags in MUSL.items():
        for source in (TOP / "tests/targets/threads.c", HERE / "chain.c"):
            name = f"{source.stem}-{kind}"
            files[f"/root/{name}"] = compiled(compiler, f"-O2 {flags}", source, out / name)
    program = compiled(compiler, "-O2", TOP / "tests/targets/heap_list.c", out / "heap_list-musl")
    return {**files, "/root/stripped/heap_list-musl": stripped(cpu, program, out / "guest/heap_list-musl")}


def services(cpu):
    """The unstripped programs of tests/services."""
    return BUILD / f"{cpu}-services"


def services_for(cpu):
    """Stripped, for the CPUs that test_services.py is for."""
    if cpu not in SERVICE_CPUS:
        return {}
    triplet, out, folder = CPUS[cpu].triplet, services(cpu), TOP / "tests/services"
    packages = Packages(cpu)
    built = [compiled(triplet + "-gcc", "-O1", folder / "loop.c", out / "loop"),
             compiled(musl_gcc(cpu)[0], "-O1", folder / "loop.c", out / "loop-musl"),
             compiled(triplet + "-gcc", "-O1 -shared -fPIC", folder / "leaky.c", out / "leaky.so")]
    if shutil.which(triplet + "-g++"):
        built.append(compiled(triplet + "-g++", "-O1", folder / "cycle.cc", out / "cycle"))
    files = {f"/root/services/{path.name}": stripped(cpu, path, out / "stripped" / path.name) for path in built}
    library = next(packages.unpack("libstdc++6").rglob(f"lib/{triplet}/libstdc++.so.6"))
    return {**files, "/root/services/service.py": folder / "service.py", f"/lib/{triplet}/libstdc++.so.6": library}


def staging(cpu):
    """The unstripped programs of tests/cross/targets."""
    return BUILD / f"{cpu}-staging"


def variants(cpu):
    """The programs of VARIANTS."""
    return BUILD / f"{cpu}-variants"


def static_variants(cpu):
    return [name for name, flags in VARIANTS[cpu].items() if "-static" in flags]


def files_for(cpu):
    """path in the guest -> file; built first."""
    programs = TARGETS + PLUGINS
    compiler = CPUS[cpu].triplet + "-gcc"
    out = make(cpu, "memtrace", "tests/e2e/kill_at", *[f"tests/targets/{name}" for name in programs])
    static = BUILD / f"{cpu}-static"
    static.mkdir(exist_ok=True)
    subprocess.check_call(["cp", "-a", out / "src", static])  # the same objects
    end = static / "text_end.o"
    made(end, [compiler, "-c", "-o", end, HERE.parent / "link/text_end.c"], HERE.parent / "link/text_end.c")
    make(cpu, "memtrace", folder="-static", STATIC=1, LDFLAGS=f"-Wl,-z,separate-code,-u,text_end {end}")
    files = {"/root/kill_at": out / "tests/e2e/kill_at",
             "/root/memtrace": stripped(cpu, out / "memtrace", out / "guest/memtrace", "-g"),
             "/root/memtrace-static": stripped(cpu, static / "memtrace", static / "guest/memtrace", "-g")}
    for name in programs:
        files[f"/root/targets/{name}"] = out / "tests/targets" / name
    files["/root/stripped/heap_list"] = stripped(cpu, out / "tests/targets/heap_list", BUILD / f"{cpu}-stripped/heap_list")
    for source in sorted(HERE.glob("*.c")):
        program = compiled(compiler, "-O2", source, staging(cpu) / source.stem)
        files[f"/root/targets/{source.stem}"] = program
        files[f"/root/stripped/{source.stem}"] = stripped(cpu, program, BUILD / f"{cpu}-stripped" / source.stem)
    for name, flags in VARIANTS[cpu].items():
        for source in (TOP / "tests/targets/entries.c", HERE / "chain.c"):
            program = f"{source.stem}-{name}"
            files[f"/root/{program}"] = compiled(compiler, flags, source, variants(cpu) / program)
            if "-static" in flags:
                files[f"/root/stripped/{program}"] = stripped(cpu, variants(cpu) / program,
                                                              BUILD / f"{cpu}-stripped" / program)
    return {**files, **units_for(cpu, out), **musl_for(cpu), **compat_for(cpu), **sysroot_for(cpu), **roomless_for(cpu),
            **services_for(cpu)}
