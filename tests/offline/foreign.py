"""Files of Debian packages of other CPUs, unpacked into a cache without touching this
machine's packages: a private apt root per CPU, its sources made from the host's own."""
import os
import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
CACHE = pathlib.Path(os.environ.get("MEMTRACE_CACHE", pathlib.Path.home() / ".cache/memtrace-tests"))


def sources():
    """(mirror, suite) of this machine's Debian; else the one everybody has."""
    for path in sorted(pathlib.Path("/etc/apt").glob("sources.list.d/*.sources")):
        text = path.read_text()
        uri = re.search(r"^URIs:\s*(\S+/debian/?)\s*$", text, re.M)
        suite = re.search(r"^Suites:\s*(\S+)", text, re.M)
        if uri and suite:
            return uri[1], suite[1]
    return "http://deb.debian.org/debian", "bookworm"


def apt(cpu):
    root = CACHE / cpu
    for folder in ["state/lists/partial", "cache/archives/partial", "packages", "root"]:
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "status").touch()
    mirror, suite = sources()
    keys = "/usr/share/keyrings/debian-archive-keyring.gpg"
    (root / "sources.list").write_text(f"deb [arch={cpu} signed-by={keys}] {mirror} {suite} main\n")
    options = {"APT::Sandbox::User": "root", "APT::Architecture": cpu, "APT::Architectures": cpu,
               "Dir::State": root / "state", "Dir::State::status": root / "status", "Dir::Cache": root / "cache",
               "Dir::Etc::sourcelist": root / "sources.list", "Dir::Etc::sourceparts": "/dev/null",
               "Acquire::Languages": "none"}
    return ["apt-get", "-q"] + [word for key, value in options.items() for word in ("-o", f"{key}={value}")]


def root(cpu, packages):
    """The folder with the packages' files."""
    where = CACHE / cpu
    missing = [p for p in packages if not list(where.glob(f"packages/{p}_*.deb"))]
    if missing:
        if not shutil.which("apt-get"):
            pytest.skip("no apt-get to get packages with")
        command = apt(cpu)
        try:
            if not any((where / "state/lists").glob("*Packages*")):
                subprocess.run(command + ["update"], check=True, capture_output=True, timeout=180)
            subprocess.run(command + ["download", *missing], check=True, capture_output=True, timeout=180,
                           cwd=where / "packages")
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            pytest.skip(f"{', '.join(missing)} for {cpu} cannot be had")
        for package in missing:
            for deb in where.glob(f"packages/{package}_*.deb"):
                subprocess.run(["dpkg", "-x", deb, where / "root"], check=True)
    return where / "root"


def file(cpu, name, packages):
    """A library of these packages, by a pattern of its name."""
    found = sorted(path.resolve() for path in root(cpu, packages).glob(f"**/lib/**/{name}")
                   if path.resolve().is_file() and "musl" not in str(path))
    assert found, f"{name} is in none of {packages}"
    return found[0]


def core_program(folder, *files):
    """A program of tests/offline, linked with what it needs of src/."""
    rooms = ["base", "region", "arch", "elf", "unwind"]
    sources_ = [path for room in rooms for path in sorted((ROOT / "src" / room).rglob("*.c"))]
    program = folder / files[0].stem
    subprocess.run([os.environ.get("HOSTCC", "gcc"), "-std=gnu11", "-O2", "-D_GNU_SOURCE", f"-I{ROOT}/src", "-o",
                    program, *files, *sources_, "-ldw", "-lelf"], check=True)
    return program
