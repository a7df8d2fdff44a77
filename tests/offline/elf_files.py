"""ELF files of this system to test on, and the C programs of this folder."""
import atexit
import concurrent.futures
import functools
import os
import pathlib
import shutil
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIBRARIES = ("/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/lib64")
FLAGS = ["-std=gnu11", "-D_GNU_SOURCE", f"-I{ROOT}/src", "-O2", "-Wall", "-Wextra"]


@functools.cache
def core():
    """The rooms that the programs read through, compiled once."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="memtrace-core-"))
    atexit.register(shutil.rmtree, folder, True)
    sources = [*ROOT.glob("src/base/*.c"), *ROOT.glob("src/elf/*.c"), *ROOT.glob("src/unwind/*.c"),
               *ROOT.glob("src/arch/**/*.c"), ROOT / "src/region/walk.c"]

    def compile_one(source):
        into = folder / (str(source.relative_to(ROOT)).replace("/", "-") + ".o")
        subprocess.run([os.environ.get("CC", "gcc"), *FLAGS, "-c", "-o", into, source], check=True)
        return into

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(compile_one, sources))
    subprocess.run(["ar", "rcs", folder / "libcore.a", *objects], check=True)
    return folder / "libcore.a"


def build(name, into, *libraries):
    """Compiles tests/offline/NAME.c with the rooms it reads through."""
    program = into / name
    subprocess.run([os.environ.get("CC", "gcc"), *FLAGS, "-o", program, ROOT / f"tests/offline/{name}.c",
                    core(), *libraries], check=True)
    return program


def is_elf(path):
    try:
        with open(path, "rb") as file:
            head = file.read(20)
    except OSError:
        return False
    return head[:6] == b"\x7fELF\x02\x01" and head[18] == 62  # 64-bit, little-endian, x86-64


def library(name):
    """The real path of a shared library, or None."""
    for folder in LIBRARIES:
        path = os.path.realpath(os.path.join(folder, name))
        if is_elf(path):
            return path
    return None


def all_files():
    """Every ELF file in the usual folders, once, in a stable order."""
    found = {}
    for folder in (*LIBRARIES, "/usr/bin", "/usr/sbin"):
        if not os.path.isdir(folder):
            continue
        for name in sorted(os.listdir(folder)):
            path = os.path.realpath(os.path.join(folder, name))
            if os.path.isfile(path) and is_elf(path):
                found[path] = os.path.getsize(path)
    return found


def sample(count, largest):
    """`count` files of at most `largest` bytes, spread evenly over all of them."""
    files = sorted(path for path, size in all_files().items() if size <= largest)
    step = max(1, len(files) // count)
    return files[::step][:count]
