"""What packages of distributions count on: what `make install` puts where, what `make dist` packs, whose flags
are used, and that a build has the same bytes in any folder.  No more is built than these tests look at."""
import os
import re
import shutil
import subprocess
import tarfile

import pytest

import foreign

ENVIRONMENT = {k: v for k, v in os.environ.items()
               if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "O", "CC", "CFLAGS", "CPPFLAGS", "LDFLAGS", "SAN", "STATIC", "PTRACE", "DESTDIR",
                            "PREFIX")}
ENVIRONMENT["CCACHE_DISABLE"] = "1"  # (it would give the first folder's bytes again)


def make(*words, folder=foreign.ROOT, **environment):
    return subprocess.run(["make", "-s", "-C", folder, *map(str, words)], check=True, env={**ENVIRONMENT, **environment},
                          stdout=subprocess.PIPE, text=True, timeout=60).stdout


def files_of(program):
    return {f"usr/bin/{program}", f"usr/share/man/man1/{program}.1",
            f"usr/share/bash-completion/completions/{program}", f"usr/share/zsh/site-functions/_{program}",
            f"usr/share/fish/vendor_completions.d/{program}.fish"}


def installed(root):
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def test_each_by_itself(tmp_path):
    for program in ("memtrace", "memtrace-fs"):
        (tmp_path / program).write_text(program)
    built = [f"O={tmp_path}", "-o", tmp_path / "memtrace", "-o", tmp_path / "memtrace-fs", "PREFIX=/usr"]
    for goal, programs in (("install-memtrace", ["memtrace"]), ("install-memtrace-fs", ["memtrace-fs"])):
        root = tmp_path / goal
        make(*built, f"DESTDIR={root}", goal)
        assert installed(root) == set().union(*map(files_of, programs))
        for program in programs:
            assert (root / "usr/bin" / program).read_text() == program
            assert (root / "usr/bin" / program).stat().st_mode & 0o777 == 0o755
        make(*built, f"DESTDIR={root}", "uninstall")
        assert installed(root) == set()


def test_dist(tmp_path):
    """A commit's files, under the version that the programs say, and the same bytes each time."""
    tree = tmp_path / "tree"
    tree.mkdir()
    for name in ("Makefile", "LICENSE"):
        shutil.copy(f"{foreign.ROOT}/{name}", tree)
    shutil.copytree(f"{foreign.ROOT}/scripts", tree / "scripts")
    git = ["git", "-C", tree, "-c", "user.name=test", "-c", "user.email=test@localhost"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "all"]):
        subprocess.run([*git, *words], check=True, env=ENVIRONMENT)
    (tree / "stray").write_text("not committed")
    packed = []
    for out in ("once", "again"):
        make(f"O={tmp_path / out}", "dist", folder=tree)
        archive, = (tmp_path / out).iterdir()
        packed.append(archive.read_bytes())
    assert packed[0] == packed[1]
    version = archive.name.removeprefix("memtrace-").removesuffix(".tar.gz")
    assert f"VERSION := {version}\n" in (tree / "Makefile").read_text()
    with tarfile.open(archive) as tar:
        names = {m.name for m in tar if m.isfile()}
    assert {f"memtrace-{version}/Makefile", f"memtrace-{version}/LICENSE"} <= names
    assert f"memtrace-{version}/stray" not in names and all(n.startswith(f"memtrace-{version}/") for n in names)


# Of C, of assembly, of bytes that are included, of code for the target; a small program has them all.
PARTS = ["src/small.o", "src/base/err.o", "src/report/export/html_web.o", "src/agent/blob.o"]


@pytest.mark.parametrize("kind", [[], ["CC=musl-gcc", "STATIC=1"]], ids=["plain", "static"])
def test_same_bytes(kind, tmp_path):
    """Of one tree in two folders, of which the compiler's debug information would tell."""
    built = []
    for folder in ("a", "another/with/a/longer/name"):
        tree = tmp_path / folder
        shutil.copytree(f"{foreign.ROOT}/src", tree / "src")
        shutil.copy(f"{foreign.ROOT}/Makefile", tree)
        for part in ("scripts", "web"):
            (tree / part).symlink_to(f"{foreign.ROOT}/{part}")
        (tree / "src/small.c").write_text(SMALL)
        parts = " ".join(f"build/{name}" for name in PARTS)
        make(*kind, "O=build", f"CORE_OBJ={parts}", "CLI_OBJ=", "build/memtrace", folder=tree)
        built.append((tree / "build/memtrace").read_bytes())
    assert built[0] == built[1] and str(tmp_path).encode() not in built[0]
    assert b"debug_info" in built[0]  # (else it had nothing to tell)


SMALL = """#include "base/err.h"
#include "report/export/html_parts.h"
#include "agent/blob.h"

int main(int argc, char **argv)
{
	struct err err = {0};

	return -err_set(&err, argc, "%s %p %p", argv[0], (const void *)html_css, (const void *)blob_bytes);
}
"""


@pytest.mark.parametrize("by", ["environment", "arguments"])
def test_flags(by, tmp_path):
    """Every command that makes what is installed has the packager's compiler and flags."""
    said = {"CC": "gcc -m64", "CFLAGS": "-O1 -DOF_CFLAGS", "CPPFLAGS": "-DOF_CPPFLAGS", "LDFLAGS": "-Wl,-z,of-ldflags"}
    words = [] if by == "environment" else [f"{name}={value}" for name, value in said.items()]
    run = make("-n", "V=1", f"O={tmp_path}", *words, tmp_path / "memtrace", tmp_path / "memtrace-fs",
               **(said if by == "environment" else {}))
    run = run.replace("\\\n", " ").splitlines()
    compiled = [line for line in run if re.search(r" -c -o \S+/src/\S+\.o ", line)]
    linked = [line for line in run if re.search(r" -o \S+/memtrace(-fs)? ", line)]
    assert len(compiled) > 200 and len(linked) == 2
    for line in compiled:
        assert line.startswith("gcc -m64 ") and " -O1 -DOF_CFLAGS " in line and "-O2" not in line, line
        assert line.endswith(".S") or " -DOF_CPPFLAGS " in line, line
    for line in linked:
        assert line.startswith("gcc -m64 ") and " -Wl,-z,of-ldflags " in line, line


def test_without_ptrace(tmp_path):
    """Where nobody may trace, `make check PTRACE=no` has what does not."""
    def tests(*words):
        return set(re.findall(r"tests/(?:unit/test_\w+|e2e|console|verdict|offline)(?= |;|$)",
                              make("-n", f"O={tmp_path}", *words, "check-unit", "check-e2e")))
    everything, few = tests(), tests("PTRACE=no")
    assert few < everything and {"tests/unit/test_book", "tests/unit/test_walk_cases", "tests/offline"} <= few
    left_out = everything - few
    assert {"tests/e2e", "tests/console", "tests/verdict", "tests/unit/test_tracee", "tests/unit/test_undo"} <= left_out
    for program in left_out:
        if program.startswith("tests/unit/"):
            text = (foreign.ROOT / f"{program}.c").read_text()
            assert re.search("PTRACE_|child_case|traced_case", text), program
