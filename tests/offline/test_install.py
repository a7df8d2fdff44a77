"""What `make install` puts where, each program by itself, and what `make dist` packs; nothing is built."""
import os
import shutil
import subprocess
import tarfile

import foreign

ENVIRONMENT = {k: v for k, v in os.environ.items()
               if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "O", "CC", "CFLAGS", "SAN", "STATIC", "DESTDIR", "PREFIX")}


def make(*words, folder=foreign.ROOT):
    return subprocess.run(["make", "-s", "-C", folder, *map(str, words)], check=True, env=ENVIRONMENT,
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
