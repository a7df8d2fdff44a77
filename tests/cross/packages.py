"""Packages of another CPU, without a trace in this machine's package state.

A private apt root per CPU: its own lists, cache and (empty) status, the sources and the
proxy settings of this machine.  Downloads are kept in ~/.cache/memtrace-cross, so that
only the first run needs the network.
"""
import contextlib
import fcntl
import os
import pathlib
import re
import subprocess

# The release that has a CPU, where this machine's has not.
SUITES = {"riscv64": "trixie"}

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "memtrace-cross"


class Packages:
    def __init__(self, cpu):
        self.cpu = cpu
        self.root = CACHE / cpu
        self.debs = self.root / "debs"
        for folder in ("state/lists/partial", "cache/archives/partial", "debs", "files"):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        (self.root / "status").touch()
        self.held = False

    @contextlib.contextmanager
    def alone(self):
        """The runs of two CPUs may want the same package."""
        if self.held:
            yield
            return
        with open(self.root / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.held = True
            try:
                yield
            finally:
                self.held = False

    def _source_of(self, suite):
        """A list with the first of this machine's mirrors, for another release."""
        said = subprocess.check_output(["apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages"], text=True)
        path = self.root / "sources.list"
        path.write_text(f"deb {said.split()[0]} {suite} main\n")
        return path

    def _apt(self, tool, *args):
        options = {
            "APT::Architecture": self.cpu,
            "APT::Architectures": self.cpu,
            "APT::Sandbox::User": "root",
            "Acquire::Languages": "none",
            "Dir::State": self.root / "state",
            "Dir::State::status": self.root / "status",
            "Dir::Cache": self.root / "cache",
        }
        if self.cpu in SUITES:
            options.update({"Dir::Etc::sourcelist": self._source_of(SUITES[self.cpu]), "Dir::Etc::sourceparts": "/dev/null"})
        command = [tool, "-q"] + [f"-o{key}={value}" for key, value in options.items()] + list(args)
        done = subprocess.run(command, cwd=self.debs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600)
        if done.returncode:
            raise RuntimeError(f"{' '.join(map(str, command))}\n{done.stdout}")
        return done.stdout

    def _lists(self):
        """One source of several may be out of order (a mirror in mid-update): what is
        missing then is missed when a package is asked for."""
        lists = self.root / "state/lists"
        if not any(lists.glob("*_Packages*")):
            try:
                self._apt("apt-get", "update")
            except RuntimeError:
                if not any(lists.glob("*_Packages*")):
                    raise

    def fetch(self, name):
        """The .deb of a package: from the cache, or downloaded."""
        with self.alone():
            have = sorted(self.debs.glob(f"{name}_*.deb"))
            if not have:
                self._lists()
                self._apt("apt-get", "download", name)
                have = sorted(self.debs.glob(f"{name}_*.deb"))
            return have[-1]

    def needed_libraries(self, name):
        """Names of the libraries' packages that a package depends on, directly or not."""
        note = self.root / f"{name}.needs"
        with self.alone():
            if not note.exists():
                self._lists()
                said = self._apt("apt-get", "-s", "-oAPT::Install-Recommends=false", "install", name)
                found = [package for package in re.findall(r"^Inst (\S+)", said, re.M) if package.startswith("lib")]
                missing = [package for package in found if not list(self.debs.glob(f"{package}_*.deb"))]
                if missing:
                    self._apt("apt-get", "download", *missing)
                note.write_text("\n".join(found))
            return note.read_text().split()

    def fetch_dependency(self, name, pattern):
        """The package that a metapackage's Depends names: kernels move."""
        depends = subprocess.check_output(["dpkg-deb", "-f", self.fetch(name), "Depends"], text=True)
        return self.fetch(re.search(pattern, depends).group())

    def unpack(self, name):
        """A package's files, in a folder of its own."""
        with self.alone():
            deb = self.fetch(name)
            folder = self.root / "files" / deb.stem
            if not folder.exists():
                unfinished = folder.parent / (folder.name + ".new")
                subprocess.check_call(["rm", "-rf", unfinished])
                subprocess.check_call(["dpkg-deb", "-x", deb, unfinished])
                unfinished.rename(folder)
            return folder
