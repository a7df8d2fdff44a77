"""ELF files of this system to test on, and the C programs of this folder."""
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIBRARIES = ("/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/lib64")
FLAGS = ["-std=gnu11", "-D_GNU_SOURCE", f"-I{ROOT}/src", "-O2", "-Wall", "-Wextra"]


def build(name, into, *libraries):
    """Compiles tests/offline/NAME.c with the rooms it reads through."""
    sources = [*ROOT.glob("src/base/*.c"), *ROOT.glob("src/elf/*.c"), *ROOT.glob("src/unwind/*.c"),
               *ROOT.glob("src/arch/**/*.c"), ROOT / "src/region/walk.c"]
    program = into / name
    subprocess.run([os.environ.get("CC", "gcc"), *FLAGS, "-o", program, ROOT / f"tests/offline/{name}.c",
                    *sources, *libraries], check=True)
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
