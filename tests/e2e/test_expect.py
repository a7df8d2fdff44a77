"""memtrace-fs --report for who runs tests: --fail-on, --baseline, --suppressions, and the exit status."""
import pytest

from test_compare import build, capture, compared  # noqa: F401 (a fixture)

# Earlier: 100 + 10 n (+ 1000); later 70 more.


@pytest.fixture(scope="module")
def files(build, tmp_path_factory):  # noqa: F811
    place = tmp_path_factory.mktemp("expect")
    capture(place / "before", "snapshot", build / "earlier" / "p", "3", "0")
    capture(place / "after", "snapshot", build / "later" / "p", "5", "0")
    capture(place / "json", "json", build / "later" / "p", "5", "0")
    return place


@pytest.mark.parametrize("name", ["after", "json"])
def test_limits(files, name):
    after = files / name
    done = compared(after, "--fail-on=used>220", "--fail-on=context:blocks>5")
    assert (done.returncode, done.stderr) == (0, "")
    assert "HEAP SUMMARY" in done.stdout or name == "json"
    done = compared(after, "--fail-on=used>219", "--fail-on=context:blocks>4")
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert lines[0] == "memtrace-fs: --fail-on=used>219: 220 bytes"
    assert lines[1].startswith("memtrace-fs: --fail-on=context:blocks>4: #") and lines[1].endswith(" grows: 5 blocks")
    assert compared(after, "--fail-on=used", "--error-exitcode=77").returncode == 77


def test_baseline(files):
    """Only what is new or has grown: 70 bytes of fresh(), 20 of grows()."""
    baseline = f"--baseline={files / 'before'}"
    done = compared(files / "after", baseline, "--fail-on=used>90")
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 call stacks have more in use: +90 bytes in +3 blocks." in done.stdout
    done = compared(files / "json", baseline, "--fail-on=context:used>69", "--format=folded")
    assert done.returncode == 2 and done.stderr.endswith(" fresh: 70 bytes\n")
    assert "main;grows" in done.stdout  # the whole report, in its own form
    assert compared(files / "before", baseline, "--fail-on=used").returncode == 0
    done = compared(files / "after", baseline, "--fail-on=growth")
    assert done.returncode == 1
    assert done.stderr == "memtrace-fs: --fail-on=growth needs an earlier file of the same capture\n"


def test_suppressions(files, tmp_path):
    (tmp_path / "s").write_text("# known\nfresh; main\n...; no_such\n")
    (tmp_path / "t").write_text("...; main@p\n")
    one = f"--suppressions={tmp_path / 's'}"
    done = compared(files / "after", one, "--fail-on=used>150")
    assert done.returncode == 0
    assert done.stderr == ("memtrace-fs: not counted, suppressed: 70 bytes in 1 blocks\n"
                           "memtrace-fs: suppression in line 3 fits nothing: ...; no_such\n")
    assert compared(files / "after", one, "--fail-on=used>149").returncode == 2
    assert compared(files / "after", one, f"--suppressions={tmp_path / 't'}", "--fail-on=used").returncode == 0


def test_mistakes(files, tmp_path):
    after = files / "after"
    for argv, why in (
            (["--fail-on=size"], "--fail-on: 'size' is not one of: used, blocks, growth; with >LIMIT behind it, and context: "
                                 "before it"),
            (["--suppressions=x"], "--suppressions belongs to --fail-on"),
            (["--fail-on=used", f"--suppressions={tmp_path}/none"], f"{tmp_path}/none: No such file or directory"),
            ([f"--baseline={tmp_path}/none"], f"{tmp_path}/none: No such file or directory"),
            ([after, f"--baseline={after}"],
             "--baseline and a later file contradict each other: the first file is the baseline")):
        done = compared(after, *argv)
        assert (done.returncode, done.stderr) == (1, f"memtrace-fs: {why}\n"), argv
