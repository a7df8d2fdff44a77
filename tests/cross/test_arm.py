"""Programs of 32-bit ARM however built: A32 and T32, with frame pointers and without, static,
musl; their calls counted exactly, their stacks walked by what is in the guest alone."""
import os
import pathlib
import re
import subprocess

import pytest

import build
import traced
from guest import CPUS, Guest
from packages import Packages

ARMS = [cpu for cpu in os.environ.get("CROSS_CPUS", "armhf armel").split() if cpu in ("armhf", "armel")]
TARGETS = build.TOP / "tests/targets"
CHAIN = build.TOP / "tests/cross/targets/chain.c"

# A static program has no room for stubs but behind its own text: separate-code gives it more.
# How a program is compiled.  -mthumb of armel would be Thumb-1, which Debian's armel is not for.
GLIBC = {
    "a32": "-marm -O2", "a32-O0": "-marm -O0 -fno-omit-frame-pointer", "a32-static": "-marm -O2 -static -Wl,-z,separate-code",
    "a32-v5": "-marm -O2 -march=armv5te -mfloat-abi=soft",
    "t32": "-mthumb -O2", "t32-O0": "-mthumb -O0", "t32-Os": "-mthumb -Os", "t32-static": "-mthumb -O2 -static",
}
MUSL = {"musl": "-O2", "musl-static": "-O2 -static"}


def variants(cpu):
    if cpu == "armel":
        return {name: flags for name, flags in GLIBC.items() if name.startswith("a32")}
    return {name: flags for name, flags in GLIBC.items() if name != "a32-v5"}


def compile_with(cpu, flags, source, program):
    program.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([CPUS[cpu].triplet + "-gcc", "-g", "-fno-builtin", "-D_GNU_SOURCE", "-D_FILE_OFFSET_BITS=64",
                    "-pthread", "-w", *flags.split(), "-o", program, source], check=True)
    return program


def musl_flags(cpu, folder):
    """Debian's musl of that CPU, by its specs file with the paths of where it is unpacked."""
    packages = Packages(cpu)
    runtime, dev = packages.unpack("musl"), packages.unpack("musl-dev")
    library = next((dev / "usr/lib").glob("*-linux-musl*"))
    triplet = library.name
    headers = dev / "usr/include" / triplet
    specs = next(library.glob("*.specs"), None) or next((dev / "usr/lib").rglob("musl-gcc.specs"))
    text = specs.read_text().replace(f"/usr/include/{triplet}", str(headers)).replace(
        f"/usr/lib/{triplet}", str(folder))
    folder.mkdir(parents=True, exist_ok=True)
    for path in library.iterdir():
        if path.is_file() and not (folder / path.name).exists():
            (folder / path.name).write_bytes(path.read_bytes())
    shared = next(runtime.rglob("libc.so"))
    (folder / "libc.so").write_bytes(shared.read_bytes())
    (folder / "specs").write_text(text)
    loader = re.search(r"-dynamic-linker (\S+)", text)
    return f"-specs={folder}/specs", (loader[1] if loader else f"/lib/ld-musl-{cpu}.so.1"), shared


@pytest.fixture(scope="module", params=ARMS)
def arm(request):
    cpu = request.param
    files = build.files_for(cpu)
    built = build.BUILD / f"{cpu}-variants"
    for name, flags in variants(cpu).items():
        files[f"/root/entries-{name}"] = compile_with(cpu, flags, TARGETS / "entries.c", built / f"entries-{name}")
        files[f"/root/chain-{name}"] = compile_with(cpu, flags, CHAIN, built / f"chain-{name}")
    specs, loader, shared = musl_flags(cpu, built / "musl")
    files[loader] = shared
    for name, flags in MUSL.items():
        files[f"/root/chain-{name}"] = compile_with(cpu, f"{specs} {flags}", CHAIN, built / f"chain-{name}")
    with Guest(cpu, files=files) as guest:
        yield guest


def names_of(context):
    return [frame["function"] for frame in context["stack"]]


def check_chain(report, may_end):
    """Every stack is the known one, by the names in the program's own symbol table.  may_end:
    or its beginning, and says so: a signal interrupted a leaf of a library that has no
    unwind data and no symbol for it."""
    contexts = {context["allocated_bytes"]: context for context in report["contexts"]}
    chains = {501: ["leaf", "middle", "main"], 502: ["leaf", "with_alloca", "main"],
              503: ["leaf", "middle", "busy", "main"], 505: ["leaf", "middle"] + 21 * ["deeper"] + ["main"],
              1010: ["leaf", "on_signal", "interrupted", "main"]}
    own = {"leaf", "middle", "main", "with_alloca", "busy", "deeper", "on_signal", "interrupted"}
    for size, expected in chains.items():
        assert size in contexts, f"{size} is not in {sorted(contexts)}"
        names = names_of(contexts[size])
        assert names[0] == "malloc"
        found = [name for name in names if name in own]
        if contexts[size]["stack_end"] != "root" and may_end:
            expected = expected[:len(found)]
        assert found == expected, f"{size}: {names}"


def skip_other(guest, name):
    if name not in {**variants(guest.name), **MUSL}:
        pytest.skip(f"not of {guest.name}")


@pytest.mark.parametrize("name", list(GLIBC))
def test_entries(arm, name):
    skip_other(arm, name)
    output, report = traced.launch(arm, f"/root/entries-{name} 3")
    result = traced.result_in(output)
    # Beside the program's own calls there are those of its start and of stdio.
    for count in ("allocs", "frees"):
        assert 0 <= report["summary"][count] - result[count] <= 8, (report["summary"], result)


@pytest.mark.parametrize("name", list(GLIBC) + list(MUSL))
def test_stacks(arm, name):
    skip_other(arm, name)
    _, report = traced.launch(arm, f"/root/chain-{name}")
    check_chain(report, name == "musl")
