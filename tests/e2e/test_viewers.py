"""Files for other people's viewers: each is read back, by the viewer where it is installed and by a reader of
ours, and says what our JSON says of the same capture."""
import collections
import copy
import gzip
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

import pytest

import json_report
import memtrace
import viewers
from memtrace import BUILD, MEMTRACE

FS = BUILD / "memtrace-fs"
PYTHON = "/usr/bin/python3", "-S", "-c", "import json"
WEB = BUILD / "web"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DH_FOLDER = next((pathlib.Path(d) for d in ("/usr/libexec/valgrind", "/usr/lib/valgrind") if os.path.exists(f"{d}/dh_view.html")), None)
# (Debian has it in libdevel-nytprof-perl)
FLAMEGRAPH = shutil.which("flamegraph.pl", path=f"{os.environ['PATH']}:/usr/share/perl5/Devel/NYTProf")
SPEEDSCOPE = WEB / "node_modules" / "speedscope" / "dist" / "release"


def printed(path, *options, **more):
    return subprocess.run([FS, "--report", path, *options], capture_output=True, check=True, **more).stdout


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    """(directory of files by format, the JSON report), of one snapshot."""
    place = tmp_path_factory.mktemp("viewers")
    subprocess.run([MEMTRACE, "-q", "--format=snapshot", "-o", place / "snapshot", *PYTHON], check=True,
                   stdin=subprocess.DEVNULL)
    (place / "json").write_bytes(printed(place / "snapshot", "--format=json", "-n", "0", "--all"))
    return place, json_report.load((place / "json").read_text())


# What has a meaning in some format, in names, files and modules.
HOSTILE = ('a;b|c "q" \\ \\n', "two\nlines\r\t\x1b[31m", "# comment#1", "leaf 12 3.5", "f (in x) (y.c:1)", "%s%n",
           "<script>&amp;</script>", "日本語 \u202e", "n1: 5 0x1: x", "}],", "\x01\x7f", "@ 0x1", "$&", "==> <--")


@pytest.fixture(scope="module")
def hostile(capture, tmp_path_factory):
    """The same with names that mean to break files."""
    place, report = tmp_path_factory.mktemp("hostile"), copy.deepcopy(capture[1])
    names = {}
    for context in report["contexts"]:
        for frame in context["stack"]:
            if frame["function"] and not frame.get("allocator"):
                number = names.setdefault(frame["function"], len(names))
                frame["function"] = f"{HOSTILE[number % len(HOSTILE)]} {number}x"
                file = HOSTILE[(number + 5) % len(HOSTILE)].replace("(", "")  # (so that our reader is certain)
                frame["file"] = f"/src/{file}.c" if number % 3 else None
                frame["line"] = number if frame["file"] else None
    report["command"] = ["./x", *HOSTILE]
    (place / "json").write_text(json.dumps(report))
    return place, report


@pytest.fixture(params=["plain", "hostile"])
def case(request):
    return request.getfixturevalue({"plain": "capture", "hostile": "hostile"}[request.param])


def exported(case, format_):
    place, _ = case
    (place / "nothing").mkdir(exist_ok=True)
    path = place / format_
    source = place / "snapshot"
    if source.exists():
        path.write_bytes(printed(source, f"--format={format_}", "-n", "1"))
    else:
        path.write_bytes(printed(place / "json", f"--format={format_}", "-n", "1", place / "nothing"))
    return path


def shown(text):
    """As what is not to be seen is shown."""
    def one(match):
        return "".join(f"\\x{byte:02x}" for byte in match[0].encode())
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]", one, text)


def test_pprof(case):
    report = case[1]
    profile = viewers.Pprof(exported(case, "pprof"))
    assert profile.types == [("alloc_objects", "count"), ("alloc_space", "bytes"), ("inuse_objects", "count"),
                             ("inuse_space", "bytes")]
    assert profile.default == "inuse_space"
    for i, counter in enumerate(("allocs", "allocated_bytes", "in_use_blocks", "in_use_bytes")):
        assert profile.stacks(i) == viewers.of_json(report, counters=(counter,)), counter
        assert sum(profile.stacks(i).values()) == report["summary"][counter]
    modules = {}
    for m in report["modules"]:
        modules.setdefault(m["path"], set()).add((int(m["begin"], 16), int(m["end"], 16), m["build_id"] or ""))
    assert profile.modules() == modules
    assert next(iter(profile.modules())).startswith("/usr/bin/python3")
    calls = {int(f["pc"], 16) for c in report["contexts"] for f in c["stack"]}
    assert {at + 1 for at in profile.addresses()} | set(profile.addresses()) >= calls
    assert " ".join(report["command"]) in profile.comment
    lines = {line for location in profile.locations for line in profile.lines(location)}
    assert lines >= {(viewers.label(f), f["file"] or "", f["line"] or 0) for c in report["contexts"] for f in c["stack"]}


@pytest.mark.skipif(not shutil.which("go"), reason="needs Go's pprof")
def test_pprof_by_go(capture, tmp_path):
    """Its sum, and its first line: the function that has most in use, without the way into the allocator."""
    path = exported(capture, "pprof")
    top = subprocess.run(["go", "tool", "pprof", "-unit=B", "-top", path], check=True, capture_output=True, text=True,
                         env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}, timeout=60).stdout
    assert f"Total samples = {capture[1]['summary']['in_use_bytes']}B" in top
    most = viewers.of_json(capture[1], skip=True).most_common(1)[0][0][-1]
    first = top.splitlines()[top.splitlines().index(next(x for x in top.splitlines() if "flat%" in x)) + 1]
    assert first.split()[5] == most
    raw = subprocess.run(["go", "tool", "pprof", "-raw", path], check=True, capture_output=True, text=True,
                         env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}, timeout=60).stdout
    assert "\nalloc_objects/count alloc_space/bytes inuse_objects/count inuse_space/bytes[dflt]\n" in raw
    mappings = {tuple(line.split()[1:4]) for line in raw.split("\nMappings\n")[1].splitlines() if re.match(r"\d+: ", line)}
    assert mappings and mappings <= {(f"{m['begin']}/{m['end']}/0x0", m["path"], m["build_id"])
                        for m in capture[1]["modules"] if m["build_id"]}


def of_leaves(report, counter="in_use_bytes"):
    """[(function, what is its own)], the most first."""
    own = collections.Counter()
    for stack, size in viewers.of_json(report, counters=(counter,)).items():
        own[stack[-1]] += size
    return own.most_common()


def as_speedscope_says(size):
    return f"{size / 1024:.2f} KB" if size >= 1024 else f"{size} B"


@pytest.fixture(scope="module")
def seen(capture, hostile):
    """What viewers show in a browser (viewers.mjs)."""
    if not CHROMIUM or not shutil.which("node") or not SPEEDSCOPE.exists():
        pytest.skip("needs a Chromium, node and what make check-web installs")
    files = {name: exported(capture, name) for name in ("speedscope", "pprof", "folded")}
    files["hostile"] = exported(hostile, "speedscope")
    done = subprocess.run(["node", pathlib.Path(__file__).with_name("viewers.mjs"), WEB, CHROMIUM,
                           DH_FOLDER / "dh_view.html" if DH_FOLDER else "", exported(hostile, "dhat"), *files.values()],
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found.pop("troubles") == []
    found["speedscope"] = {name: found["speedscope"][str(path)] for name, path in files.items()}
    return found


@pytest.mark.limit(150)
def test_speedscope_opens(seen, capture):
    """Its own format, pprof and collapsed stacks: the sum, and the functions that have most, each with as much as we say."""
    report, own = capture[1], of_leaves(capture[1])
    for name, word in ("speedscope", as_speedscope_says), ("pprof", as_speedscope_says), ("folded", lambda size: f"{size:,}"):
        rows = [row for row in seen["speedscope"][name]["rows"] if len(row) == 3 and "%" in row[1]]
        for row, (function, size) in zip(rows[:3], own[:3], strict=True):
            assert (row[1].rpartition(" (")[0], row[2]) == (word(size), function), name
    profiles = {row[1]: row[2] for row in seen["speedscope"]["speedscope"]["rows"] if len(row) == 3 and "%" not in row[1]}
    assert profiles == {"bytes in use": as_speedscope_says(report["summary"]["in_use_bytes"]),
                        "blocks in use": str(report["summary"]["in_use_blocks"])}
    assert seen["speedscope"]["speedscope"]["title"].startswith(report["command"][0])
    assert len(seen["speedscope"]["hostile"]["rows"]) > 10


def test_dh_view_opens(seen, hostile):
    """valgrind's own page, in a browser: its root has our sums, and the names that mean to break it are text."""
    if "dhat" not in seen:
        pytest.skip("needs valgrind's dh_view.html")
    text, sums = seen["dhat"], hostile[1]["summary"]
    assert f"Total:     {sums['allocated_bytes']:,} bytes (100%, " in text and f" in {sums['allocs']:,} blocks (100%, " in text
    assert f"At t-end:  {sums['in_use_bytes']:,} bytes (100%) in {sums['in_use_blocks']:,} blocks (100%)" in text
    assert f"Command: {' '.join(hostile[1]['command'])}".split("\n")[0] in text


def test_speedscope_by_its_schema(case):
    jsonschema = pytest.importorskip("jsonschema")
    if not SPEEDSCOPE.exists():
        pytest.skip("needs what make check-web installs")
    schema = json.loads((SPEEDSCOPE / "file-format-schema.json").read_text())
    file = json.loads(exported(case, "speedscope").read_text())
    jsonschema.validate(file, schema)
    file["profiles"][0]["weights"] = "none"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(file, schema)


@pytest.mark.skipif(not FLAMEGRAPH, reason="needs flamegraph.pl")
def test_flamegraph(case):
    """Its sum is ours, and each function that has a hundredth of it is there with what it has."""
    said = subprocess.run([FLAMEGRAPH, "--countname=bytes", exported(case, "folded")], check=True, capture_output=True, errors="replace",
                          text=True).stdout
    total = case[1]["summary"]["in_use_bytes"]
    assert f"<title>all ({total:,} bytes, 100%)</title>" in said
    outermost = collections.Counter()
    for stack, size in viewers.of_json(case[1]).items():
        outermost[stack[0]] += size
    drawn = collections.Counter(int(size.replace(",", "")) for size in re.findall(r"<title>.* \(([\d,]+) bytes, [\d.]+%\)</title>", said))
    large = [size for size in outermost.values() if size * 100 >= total]
    assert large and not collections.Counter(large) - drawn


def test_speedscope(case):
    profiles = viewers.speedscope(exported(case, "speedscope"))
    assert list(profiles) == ["bytes in use", "blocks in use"]
    assert profiles["bytes in use"] == viewers.of_json(case[1])
    assert profiles["blocks in use"] == viewers.of_json(case[1], counters=("in_use_blocks",))


def test_heaptrack(case):
    path, report = exported(case, "heaptrack"), case[1]
    sizes, blocks, command = viewers.heaptrack(path)

    def name(frame):
        return shown(viewers.label(frame))
    assert sizes == viewers.of_json(report, name, skip=True)
    assert blocks == viewers.of_json(report, name, skip=True, counters=("in_use_blocks",))
    assert command == shown(" ".join(report["command"]))
    if not shutil.which("heaptrack_print"):
        return
    shutil.copy(path, str(path) + ".copy")
    said = subprocess.run(["heaptrack_print", "--print-leaks", "1", "--disable-builtin-suppressions", path],
                          check=True, capture_output=True, text=True)
    assert f"calls to allocation functions: {report['summary']['in_use_blocks']} " in said.stdout
    assert f"total memory leaked: {report['summary']['in_use_bytes'] / 1000:.2f}K" in said.stdout
    most = viewers.of_json(report, name, skip=True).most_common(1)[0][0][-1]
    assert most in said.stdout.split("MEMORY LEAKS")[1].split("\n\n")[0]
    same = subprocess.run(["heaptrack_print", "-d", str(path) + ".copy", path], check=True, capture_output=True, text=True)
    assert re.search(r"^calls to allocation functions: 0 ", same.stdout, re.M)


DUPLICATES = """
import ctypes, sys
strdup = ctypes.CDLL(None).strdup
print("READY", flush=True)
for line in sys.stdin:
    for i in range(3000):
        strdup(b"x" * i)
    print("DONE", flush=True)
"""


def test_heaptrack_as_gzip(tmp_path, started):
    """By its name, as its tools know one: the text of the plain one, and smaller; also when memtrace leaves."""
    plain, exported, left = (tmp_path / name for name in ("heaptrack", "heaptrack.gz", "left.gz"))
    program = memtrace.Process([sys.executable, "-c", DUPLICATES])
    started.append(program)
    program.wait_line("^READY$")
    tracer = memtrace.Process([MEMTRACE, "-q", "--format=heaptrack", "-o", left, "-p", program.pid])
    started.append(tracer)
    tracer.send("status")
    tracer.wait_line("peak:")
    program.send()
    program.wait_line("^DONE$")
    # (until it waits in read(0, ...), it allocates)
    while not pathlib.Path(f"/proc/{program.pid}/syscall").read_text().startswith("0 0x0 "):
        assert program.alive()
    for line in f"export heaptrack {plain}", f"export heaptrack {exported}", "quit":
        tracer.send(line)
    assert tracer.wait() == 0, tracer.story()

    def said(text):
        return re.sub(rb"^[cR] .*\n", b"", text, flags=re.M)
    text = plain.read_bytes()
    assert text.startswith(b"v 10400 2\n") and text.count(b"\n+ ") >= 3000
    for packed in exported, left:
        assert said(gzip.decompress(packed.read_bytes())) == said(text)
        assert packed.stat().st_size * 2 < len(text)
        if shutil.which("heaptrack_print"):
            calls = [re.findall("^calls to .*", subprocess.run(["heaptrack_print", path], check=True, capture_output=True,
                                                               text=True).stdout, re.M) for path in (plain, packed)]
            assert calls[0][0].split("(")[0] == calls[1][0].split("(")[0]
            same = subprocess.run(["heaptrack_print", "-d", packed, plain], check=True, capture_output=True, text=True)
            assert re.search(r"^calls to allocation functions: 0 ", same.stdout, re.M)


@pytest.mark.skipif(not shutil.which("heaptrack_print"), reason="needs heaptrack_print")
def test_heaptrack_compares(capture, tmp_path):
    """The difference of two files is what one of them has more: 7 blocks of 1000 bytes in the first call stack."""
    more = copy.deepcopy(capture[1])
    for counts in more["contexts"][0], more["summary"]:
        for name, by in (("in_use_bytes", 7000), ("allocated_bytes", 7000), ("in_use_blocks", 7), ("allocs", 7)):
            counts[name] += by
    (tmp_path / "json").write_text(json.dumps(more))
    later = exported((tmp_path, more), "heaptrack")
    said = subprocess.run(["heaptrack_print", "-d", exported(capture, "heaptrack"), "--print-leaks", "1",
                           "--disable-builtin-suppressions", later], check=True, capture_output=True, text=True).stdout
    assert re.search(r"^calls to allocation functions: 7 ", said, re.M)
    assert re.search(r"^total memory leaked: 7\.00K$", said, re.M)


DH_VIEW = """
const fs = require("fs");
globalThis.document = {createElement: () => ({appendChild() {}, classList: {add() {}}})};
eval(fs.readFileSync(process.argv[1], "utf8").replace('"use strict";', "") + `
gData = JSON.parse(fs.readFileSync(process.argv[2], "utf8"));
gSelect = {selectedIndex: 0, childNodes: gSelectData.map(() => ({}))};
buildTree();
console.log(JSON.stringify([gRoot._totalBytes, gRoot._totalBlocks, gRoot._atTEndBytes, gRoot._atTEndBlocks]));
`);
"""


def test_dhat(case):
    path, report = exported(case, "dhat"), case[1]
    found = viewers.dhat(path)
    for field, counter in (("tb", "allocated_bytes"), ("tbk", "allocs"), ("eb", "in_use_bytes"), ("ebk", "in_use_blocks"),
                           ("gb", "in_use_bytes"), ("mb", "peak_bytes")):
        assert found[field] == viewers.of_json(report, counters=(counter,)), field
    assert json.loads(path.read_text())["cmd"] == " ".join(report["command"])
    view = DH_FOLDER and DH_FOLDER / "dh_view.js"
    if not view or not shutil.which("node"):
        return
    said = subprocess.run(["node", "-e", DH_VIEW, view, path], check=True, capture_output=True, text=True).stdout
    assert json.loads(said) == [report["summary"][name] for name in
                                ("allocated_bytes", "allocs", "in_use_bytes", "in_use_blocks")]


def test_massif(case):
    path, report = exported(case, "massif"), case[1]
    stacks, course, command = viewers.massif(path)
    expected = viewers.of_json(report, lambda f: shown(viewers.label(f)).replace("#", "@"), skip=True)
    rest = stacks.pop(None, 0)
    total = report["summary"]["in_use_bytes"]
    assert course[-1][1] == total == rest + sum(stacks.values())
    assert course[-1][2] == max((report.get("allocator_bytes") or 0) - total, 0)
    assert all(expected[stack] >= size for stack, size in stacks.items())
    large = {stack for stack, size in expected.items() if 1000 * size >= total}
    assert large and {stack: stacks[stack] for stack in large} == {stack: expected[stack] for stack in large}
    assert command == shown(" ".join(report["command"])).replace("#", "@")
    if shutil.which("ms_print"):
        said = subprocess.run(["ms_print", "--threshold=0.1", path], check=True, capture_output=True, text=True)
        assert f"% ({total:,}B) (heap allocation functions)" in said.stdout


def test_gperftools(case):
    path, report = exported(case, "gperftools"), case[1]
    stacks, total, maps = viewers.gperftools(path)
    expected = {}
    for context in report["contexts"]:
        key = tuple(int(f["pc"], 16) for f in reversed(context["stack"]) if not f["inlined"]) or (0,)
        values = tuple(context[n] for n in ("in_use_blocks", "in_use_bytes", "allocs", "allocated_bytes"))
        expected[key] = tuple(a + b for a, b in zip(values, expected.get(key, (0, 0, 0, 0))))
    assert stacks == expected
    assert total == tuple(report["summary"][n] for n in ("in_use_blocks", "in_use_bytes", "allocs", "allocated_bytes"))
    assert [(int(m[0], 16), int(m[1], 16), m[3]) for m in maps] == [
        (int(m["begin"], 16), int(m["end"], 16), m["path"]) for m in report["modules"]]


@pytest.mark.skipif(not shutil.which("google-pprof"), reason="needs google-pprof")
def test_gperftools_by_its_tool(capture):
    """It finds the names itself: of the program's exported functions those that we found."""
    path = exported(capture, "gperftools")
    said = subprocess.run(["google-pprof", "--text", "--show_bytes", "/usr/bin/python3", path], check=True,
                          capture_output=True, text=True, timeout=60).stdout
    assert f"Total: {capture[1]['summary']['in_use_bytes']} B" in said
    rows = dict((line.split()[5], int(line.split()[3])) for line in said.splitlines()[1:] if len(line.split()) == 6)
    through = sum(c["in_use_bytes"] for c in capture[1]["contexts"] if any(f["function"] == "Py_BytesMain" for f in c["stack"]))
    assert rows["Py_BytesMain"] == through > 0


def test_at_the_end(tmp_path):
    """memtrace itself writes them; what is no text goes to a file."""
    for format_ in ("pprof", "massif"):
        subprocess.run([MEMTRACE, "-q", f"--format={format_}", "-o", tmp_path / format_, "/bin/true"], check=True,
                       stdin=subprocess.DEVNULL)
    assert sum(viewers.Pprof(tmp_path / "pprof").stacks(3).values()) >= 0
    assert len(viewers.massif(tmp_path / "massif")[1]) >= 1
    done = subprocess.run([MEMTRACE, "--format=pprof", "/bin/true"], capture_output=True, text=True)
    assert done.stderr == "memtrace: --format=pprof is no text: give a FILE with --output\n"


def test_export(tmp_path):
    """The console's export: any format, all call stacks, at any time; what can't be is said."""
    done = subprocess.run([MEMTRACE, "-q", "-n", "1", "-o", "/dev/null", "-x", f"export pprof {tmp_path}/p", "-x",
                           f"export json {tmp_path}/j", "-x", f"export dhat {tmp_path}/none/x", "/bin/true"],
                          capture_output=True, text=True)
    assert done.stderr.splitlines()[0].startswith(f"{tmp_path}/p has ")
    assert f"can't write {tmp_path}/none/x: No such file or directory" in done.stderr
    report = json_report.load((tmp_path / "j").read_text())
    assert report["left_out"]["contexts"] == 0
    assert viewers.Pprof(tmp_path / "p").stacks(3) == viewers.of_json(report)


@pytest.mark.parametrize("format_", ["text", "json", "folded", "speedscope", "heaptrack", "dhat", "massif", "pprof", "html", "snapshot"])
def test_nobody_elses_business(hostile, tmp_path, format_):
    """--no-command and --no-lines: neither the arguments nor a source file is in what is written."""
    place, report = hostile
    secret = copy.deepcopy(report)
    secret["command"] = ["./x", "--password=SECRET1"]
    secret["contexts"] = secret["contexts"][:5]
    for context in secret["contexts"]:
        for frame in context["stack"]:
            frame.update(file="/home/SECRET2/x.c", line=98765)
    (tmp_path / "json").write_text(json.dumps(secret))
    (tmp_path / "nothing").mkdir()
    options = f"--format={format_}", tmp_path / "nothing"
    def written(*more):
        found = printed(tmp_path / "json", *more, *options)
        return gzip.decompress(found) if found.startswith(b"\x1f\x8b") else found
    with_all = written()
    assert b"SECRET1" in with_all or format_ in ("folded", "speedscope")
    assert b"SECRET2" in with_all or format_ in ("folded", "json")  # (JSON of JSON: named anew)
    without = written("--no-command", "--no-lines")
    assert len(without) > 100 and b"SECRET" not in without and b"98765" not in without
