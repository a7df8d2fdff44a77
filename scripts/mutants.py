#!/usr/bin/env python3
"""Breaks the code on purpose, one small change after another, and sees whether a test notices.

    scripts/mutants.py [--build=FOLDER] [NAME...]       (make mutants)
    scripts/mutants.py --fit                            says which do not fit the code any more

The changes are the files of tests/mutants/, one a room, of entries like this:

    @ what is lost without the line
    file: src/tracer/undo.c
    tests: unit/test_undo e2e/test_kills.py::test_steps
    - the lines as they are
    + the lines instead (none: they are taken away)
    survives: why no test can notice (only for those that none does)

Works on a copy of the tree below FOLDER; the tests of an entry run until one fails.  A change
that no test notices, and that has no reason for it, is a test to be written, or code to delete.
The exit status is 1 if there is one, 2 if an entry does not fit the code any more.
"""
import argparse
import os
import pathlib
import shutil
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent
LIMIT = 600  # seconds of one test file
LIMIT_UNIT = 90  # of a unit test: what hangs is noticed, too


class Mutant:
    """One entry."""

    def __init__(self, name, where):
        self.name, self.where = name, where
        self.file, self.tests, self.old, self.new, self.survives = None, [], [], [], None

    def line(self, text):
        if text.startswith(("- ", "+ ")) or text in ("-", "+"):
            (self.old if text[0] == "-" else self.new).append(text[2:])
        elif text.startswith("file: "):
            self.file = text[6:].strip()
        elif text.startswith("tests: "):
            self.tests += text[7:].split()
        elif text.startswith("survives: "):
            self.survives = text[10:]
        elif text.startswith("  ") and self.survives:
            self.survives += " " + text.strip()
        elif text.strip():
            sys.exit(f"{self.where}: {self.name}: not understood: {text}")

    def changed(self, tree):
        """The file's text before and behind it; None: the lines are not there, or more than once."""
        path = tree / self.file
        text = path.read_text() if path.exists() else ""
        old = "".join(line + "\n" for line in self.old)
        if not old or text.count(old) != 1:
            return None
        return text, text.replace(old, "".join(line + "\n" for line in self.new))

    def apply(self, tree):
        """The file's text before; None: it does not fit."""
        texts = self.changed(tree)
        if texts:
            (tree / self.file).write_text(texts[1])
        return texts and texts[0]


def mutants_read(names):
    found = []
    for path in sorted((TOP / "tests/mutants").glob("*.txt")):
        for text in path.read_text().splitlines():
            if text.startswith("@ "):
                found.append(Mutant(text[2:], path.name))
            elif found and not text.startswith("#"):
                found[-1].line(text)
    return [m for m in found if not names or any(n in m.name or n in m.file for n in names)]


def run(tree, *command, **more):
    environment = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "O")}
    return subprocess.run(command, cwd=tree, env={**environment, "O": str(tree / "build")}, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", **more)


def tree_make(folder):
    """A copy of what git knows or could, built."""
    tree = folder / "tree"
    files = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=TOP,
                           capture_output=True, text=True, check=True).stdout.split("\0")
    for path in [p for p in tree.glob("[!b]*/**/*") if p.is_file() and str(p.relative_to(tree)) not in files]:
        path.unlink()  # moved since the last run
    for name in filter(None, files):
        source, copy = TOP / name, tree / name
        if source.is_file() and not (copy.exists() and copy.read_bytes() == source.read_bytes()):
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, copy)
            os.utime(copy)
    built = run(tree, "make", "-j2", "all", "e2e-programs")
    if built.returncode:
        sys.exit(f"the copy does not build:\n{built.stdout[-2000:]}")
    return tree


def test_fails(tree, test):
    """Does this test notice?  A unit test is built anew; the others run what `make` made."""
    kind, _, name = test.partition("/")
    try:
        if kind == "unit":
            program = str(tree / "build/tests/unit" / name)
            built = run(tree, "make", program)
            if built.returncode:
                sys.exit(f"{test} does not build:\n{built.stdout[-2000:]}")
            return run(tree, program, timeout=LIMIT_UNIT).returncode != 0
        path, _, selected = name.partition("::")
        return run(tree, "/usr/bin/python3", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider",
                   f"tests/{kind}/{path}" + (f"::{selected}" if selected else ""), timeout=LIMIT).returncode != 0
    except subprocess.TimeoutExpired:
        return True  # it hangs: that is noticed, too


def judge(tree, mutant):
    """What came of it: (word, remark)."""
    before = mutant.apply(tree)
    if before is None:
        return "stale", "its lines are not in the code, or not once"
    try:
        built = run(tree, "make", "-j2", "all")
        if built.returncode:
            return "stale", f"does not build: {built.stdout.strip().splitlines()[-1]}"
        for test in mutant.tests:
            if test_fails(tree, test):
                return "caught", f"by {test}"
        return ("survives", mutant.survives) if mutant.survives else ("SURVIVED", " ".join(mutant.tests) or "no test")
    finally:
        path = tree / mutant.file
        path.write_text(before)
        os.utime(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default=str(TOP / "build"))
    parser.add_argument("names", nargs="*")
    parser.add_argument("--fit", action="store_true")
    arguments = parser.parse_args()
    mutants = mutants_read(arguments.names)
    if arguments.fit:
        stale = [m for m in mutants if not m.changed(TOP)]
        for mutant in stale:
            print(f"stale: {mutant.where}: {mutant.file}: {mutant.name}")
        return 2 if stale else 0
    tree = tree_make(pathlib.Path(arguments.build).resolve() / "mutants")
    for test in dict.fromkeys(test for mutant in mutants for test in mutant.tests):
        if test_fails(tree, test):
            sys.exit(f"{test} fails on the code as it is")
    words = []
    for number, mutant in enumerate(mutants, 1):
        word, remark = judge(tree, mutant)
        words.append(word)
        print(f"{number}/{len(mutants)} {word}: {mutant.file}: {mutant.name} ({remark})", flush=True)
    print(", ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(words)))
    return 2 if "stale" in words else 1 if "SURVIVED" in words else 0


sys.exit(main())
