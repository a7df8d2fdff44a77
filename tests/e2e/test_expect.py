"""memtrace-fs --report for who runs tests: --fail-on, --baseline, --suppressions, and the exit status."""
import json
import os
import subprocess
import urllib.parse
import xml.etree.ElementTree as ET

import pytest

from memtrace import MEMTRACE
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
    assert "2 call stacks have more in use: +90 bytes in +3 blocks." in " ".join(done.stdout.split())  # (as the paths are long)
    done = compared(files / "json", baseline, "--fail-on=context:used>69", "--format=folded")
    assert done.returncode == 2 and done.stderr.endswith(" fresh: 70 bytes\n")
    assert "main;grows" in done.stdout  # the whole report, in its own form
    assert compared(files / "before", baseline, "--fail-on=used").returncode == 0
    done = compared(files / "after", baseline, "--fail-on=growth")
    assert done.returncode == 1
    assert done.stderr == "memtrace-fs: --fail-on=growth needs an earlier file of the same capture\n"


def test_left_out(files, tmp_path):
    """JSON that has one call stack of two or three: 5 blocks of 10 bytes, and 1 of 70, are missing; it is said."""
    for name in "before", "after":
        text = compared(files / name, "--format=json", "-n", "1", "--sort=bytes").stdout
        (tmp_path / name).write_text(text)
    one, baseline = tmp_path / "after", f"--baseline={tmp_path / 'before'}"
    done = compared(one, "--fail-on=used>100")
    assert (done.returncode, done.stderr) == (
        0, f"memtrace-fs: {one} leaves call stacks out (-n), 2 with 120 bytes: they do not count\n")
    done = compared(files / "after", baseline, "--fail-on=used>120")
    assert (done.returncode, done.stderr) == (
        0, f"memtrace-fs: {tmp_path / 'before'} leaves call stacks out (-n), 1 with 30 bytes: they look new\n")
    assert compared(files / "after", baseline, "--fail-on=used>119").returncode == 2


def test_verdicts(files):
    """Of a program that has hardly begun."""
    done = compared(files / "after", "--fail-on=verdict", "--fail-on=growth")
    assert (done.returncode, done.stderr) == (0, "memtrace-fs: --fail-on=growth: it is too early to tell\n")
    done = compared(files / "json", "--fail-on=context:verdict=too early")
    assert done.returncode == 2 and done.stderr.endswith(": too early\n")


def test_growth_of_json(files, tmp_path):
    """The rates are in it; one without, of an earlier memtrace, has only words."""
    report = json.loads((files / "json").read_text())
    least = {"verdict": "grows", "evidence": "in words"}
    report["contexts"][1].update(least)
    report.update(least)
    (tmp_path / "words").write_text(json.dumps(report))
    done = compared(tmp_path / "words", "--fail-on=growth")
    assert done.returncode == 1 and done.stderr.endswith(" needs a snapshot, or an earlier file of the same capture\n")
    report["contexts"][1].update(bytes_per_hour=5000, bytes_per_hour_range=[-1, 6000])
    report.update(bytes_per_hour=5000, bytes_per_hour_range=[-1, 6000])
    (tmp_path / "rates").write_text(json.dumps(report))
    assert compared(tmp_path / "rates", "--fail-on=growth>5000", "--fail-on=context:growth>5000").returncode == 0
    done = compared(tmp_path / "rates", "--fail-on=growth>4999", "--fail-on=context:growth>4999")
    assert done.returncode == 2 and done.stderr.count(": 5000 bytes an hour\n") == 2, done.stderr


def test_suppressions(files, tmp_path):
    (tmp_path / "s").write_text("# known\nfresh; main\n...; no_such\n")
    (tmp_path / "t").write_text("...; main@p\n")
    one = f"--suppressions={tmp_path / 's'}"
    done = compared(files / "after", one, "--fail-on=used>150")
    assert done.returncode == 0
    assert done.stderr == ("memtrace-fs: not counted, suppressed: 70 bytes in 1 block\n"
                           "memtrace-fs: suppression in line 3 fits nothing: ...; no_such\n")
    assert compared(files / "after", one, "--fail-on=used>149").returncode == 2
    assert compared(files / "after", one, f"--suppressions={tmp_path / 't'}", "--fail-on=used").returncode == 0


def test_mistakes(files, tmp_path):
    after = files / "after"
    for argv, why in (
            (["--fail-on=size"], "--fail-on: 'size' is not one of: used, blocks, growth, with >LIMIT behind it, or verdict, "
                                 "with =WORD; and context: before it"),
            (["--suppressions=x"], "--suppressions belongs to --fail-on"),
            (["--format=junit"], "--format=junit says what came of --fail-on"),
            (["--fail-on=used", f"--suppressions={tmp_path}/none"], f"{tmp_path}/none: No such file or directory"),
            ([f"--baseline={tmp_path}/none"], f"{tmp_path}/none: No such file or directory"),
            ([after, f"--baseline={after}"],
             "--baseline and a later file contradict each other: the first file is the baseline")):
        done = compared(after, *argv)
        assert (done.returncode, done.stderr) == (1, f"memtrace-fs: {why}\n"), argv


def test_junit(files):
    done = compared(files / "after", "--format=junit", "--fail-on=used>220", "--fail-on=context:used>60", "--fail-on=blocks")
    assert done.returncode == 2
    suites = ET.fromstring(done.stdout)
    suite, = suites
    assert suites.tag == "testsuites" and suite.tag == "testsuite"
    assert suite.get("tests") == suites.get("tests") == "3" and suite.get("failures") == suites.get("failures") == "2"
    assert {case.get("classname") for case in suite} == {"memtrace.p"}
    used, context, blocks = suite
    assert [case.get("name") for case in suite] == ["used>220", "context:used>60", "blocks"]
    assert not len(used)
    failure, = context
    assert (failure.get("type"), failure.get("message")) == ("context:used", "a call stack has 100 bytes")
    heads = [line for line in failure.text.splitlines() if line.startswith("#")]
    assert [line.split(" ", 1)[1] for line in heads] == ["same: 100 bytes", "fresh: 70 bytes"]
    assert "\n    fresh (" in failure.text and "/p.c:4)\n    main (" in failure.text
    failure, = blocks
    assert (failure.get("type"), failure.get("message")) == ("blocks", "7 blocks")
    assert [line.split(" ", 1)[1] for line in failure.text.splitlines() if line.startswith("#")] == \
        ["grows: 5 blocks", "same: 1 block", "fresh: 1 block"]


def check_sarif(log):
    """What sarif-schema-2.1.0.json requires of the objects that are used, and what their numbers mean."""
    assert log["version"] == "2.1.0" and log["runs"]
    for run in log["runs"]:
        driver = run["tool"]["driver"]
        assert driver["name"] == "memtrace"
        ids = [rule["id"] for rule in driver["rules"]]
        assert len(set(ids)) == len(ids) and all(rule["shortDescription"]["text"] for rule in driver["rules"])
        for result in run["results"]:
            assert result["message"]["text"] and result["level"] == "error"
            assert ids[result["ruleIndex"]] == result["ruleId"]
            places = list(result["locations"])
            for stack in result["stacks"]:
                places += [frame["location"] for frame in stack["frames"]]
            for place in places:
                for logical in place.get("logicalLocations", []):
                    assert logical["fullyQualifiedName"] and logical["kind"] == "function"
                if "physicalLocation" in place:
                    physical = place["physicalLocation"]
                    assert urllib.parse.urlsplit(physical["artifactLocation"]["uri"]).scheme in ("", "file")
                    assert physical.get("region", {"startLine": 1})["startLine"] >= 1


def test_sarif(files):
    argv = [files / "after", "--format=sarif", "--fail-on=context:used>60", "--fail-on=used>220", "--fail-on=blocks>6"]
    done = compared(*argv)
    assert done.returncode == 2
    log = json.loads(done.stdout)
    check_sarif(log)
    results = log["runs"][0]["results"]
    assert [result["message"]["text"] for result in results] == [
        "same: 100 bytes (context:used>60)", "fresh: 70 bytes (context:used>60)",
        "7 blocks (blocks>6); the most is of grows: 5"]
    for result, line in zip(results, ("same(void) { return", "fresh(void) { return", "grows(int n) {")):
        place = result["locations"][0]["physicalLocation"]
        path = urllib.parse.unquote(urllib.parse.urlsplit(place["artifactLocation"]["uri"]).path)
        with open(path) as source:
            assert line in source.read().splitlines()[place["region"]["startLine"] - 1]
        names = [frame["location"]["logicalLocations"][0]["fullyQualifiedName"] for frame in result["stacks"][0]["frames"]]
        assert names[0].endswith("malloc") and names[2] == "main"
    folder, name = path.rsplit("/", 1)
    for prefix in (folder, folder + "/"):
        done = compared(*argv, f"--strip-prefix={prefix}")
        places = [r["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for r in json.loads(done.stdout)["runs"][0]["results"]]
        assert places == [name] * 3
    assert f"file://{folder}/{name}" in compared(*argv, f"--strip-prefix={folder[:-1]}").stdout  # (a part of a name is no directory)
    assert "p.c" not in compared(*argv, "--no-lines").stdout
    done = compared(files / "after", f"--baseline={files / 'before'}", "--format=sarif", "--fail-on=context:used>69")
    assert [result["message"]["text"] for result in json.loads(done.stdout)["runs"][0]["results"]] == [
        "fresh: 70 bytes (context:used>69)"]
    done = compared(files / "after", "--format=sarif", "--fail-on=used>220")
    assert done.returncode == 0
    log = json.loads(done.stdout)
    check_sarif(log)
    assert log["runs"][0]["results"] == []


def judged(build, *argv):  # noqa: F811
    """By memtrace itself, at the end of a run that is the later build, with 5 blocks of grows()."""
    return subprocess.run([MEMTRACE, "-q", "-o", "/dev/null", *argv, build / "later" / "p", "5", "0"], capture_output=True,
                          text=True, stdin=subprocess.DEVNULL)


def test_at_the_end_of_a_run(build, files, tmp_path):  # noqa: F811
    """memtrace says the same of a baseline and suppressions as memtrace-fs of a snapshot."""
    for name, limit in ("before", ">90"), ("json", ""), ("after", ""):
        done = judged(build, f"--baseline={files / name}", f"--fail-on=used{limit}")
        assert (done.returncode, done.stderr) == (0, ""), name
    baseline = f"--baseline={files / 'before'}"
    done = judged(build, baseline, "--fail-on=used>89", "--fail-on=context:used>69", "--error-exitcode=9")
    assert done.returncode == 9
    first, second = done.stderr.splitlines()
    assert first == "memtrace: --fail-on=used>89: 90 bytes" and second.endswith(" fresh: 70 bytes")
    (tmp_path / "s").write_text("fresh; main\n...; no_such\n")
    suppressed = f"--suppressions={tmp_path / 's'}"
    done = judged(build, suppressed, "--fail-on=used>150")
    assert (done.returncode, done.stderr) == (0, "memtrace: not counted, suppressed: 70 bytes in 1 block\n"
                                              "memtrace: suppression in line 2 fits nothing: ...; no_such\n")
    assert judged(build, suppressed, "--fail-on=used>149").returncode == 2
    assert judged(build, suppressed, baseline, "--fail-on=used>20").returncode == 0
    assert judged(build, suppressed, baseline, "--fail-on=used").stderr.endswith("--fail-on=used: 20 bytes\n")
    os.mkfifo(tmp_path / "pipe")
    for argv, why in (([suppressed], "--suppressions belongs to --fail-on=EXPR"),
                      ([baseline, "--fail-on=lost", "--leaks"], "--baseline belongs to --fail-on=EXPR"),
                      (["--fail-on=used", baseline, f"--output={files / 'before'}"],
                       "--output would overwrite the file of --baseline"),
                      (["--fail-on=used", f"--suppressions={tmp_path / 'pipe'}"],
                       f"{tmp_path / 'pipe'} is a pipe, and would have to be read twice"),
                      (["--fail-on=used", "--suppressions=/none"], "/none: No such file or directory"),
                      (["--fail-on=used", "--baseline=/none"], "/none: No such file or directory")):
        done = judged(build, *argv)
        assert (done.returncode, done.stderr) == (1, f"memtrace: {why}\n"), argv
