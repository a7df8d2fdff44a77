"""Not all allocations are counted: which, what the sums say of the others, and that it is said.

Sums are held against what the program did, within bounds beyond which one run in 10^9 lies (Bernstein's
inequality, of the variance that the sample has by its rule): no test depends on luck."""
import json
import math
import os
import re
import subprocess

import jsonschema
import pytest

import memtrace
from test_leave import leave

SAMPLE = 4096
SCHEMA = json.loads((memtrace.pathlib.Path(__file__).resolve().parents[2] / "doc/report.schema.json").read_text())

pytestmark = pytest.mark.skipif(os.uname().machine not in ("x86_64", "aarch64"), reason="there is no agent")


def weight(size, sample=SAMPLE):
    """How many allocations one that is counted stands for."""
    return 1 if size >= sample else math.ceil(-1 / math.expm1(-max(size, 1) / sample))


def near(count, true, size, sample=SAMPLE):
    n = weight(size, sample)
    return abs(count - true) <= math.sqrt(2 * true * (n - 1) * 21.5) + n * 21.5 / 3 * (n > 1)


def do(process, *lines):
    for line in lines:
        process.send(line)
        process.wait_line(r"^DONE$")


def of(report, size):
    """Blocks in use, allocations and frees of the call stacks whose blocks have that size."""
    found = [c for c in report["contexts"] if c["allocs"] and c["allocated_bytes"] == size * c["allocs"]]
    return [sum(c[name] for c in found) for name in ("in_use_blocks", "allocs", "frees")]


def test_sums(target, attach):
    process = target("sampled")
    tracer = attach(process.pid, "--no-symbols", f"--sample={SAMPLE + 5}")  # rounded down
    do(process, "c 200000 48", "c 100000 700", "c 100 4096", "a 50000 100", "a 20 9000", "t 50000 300")
    report = tracer.detach().consistent()
    process.send("q")
    process.result()
    assert report["engine"] == "agent"
    assert report["sampling"] == {"estimates": True, "coarsest_bytes": SAMPLE, "bytes": SAMPLE, "min_size": 0,
                                  "not_counted": 0}
    assert all(context["estimated"] for context in report["contexts"])
    for size, allocs, used in ((48, 200000, 0), (700, 100000, 0), (100, 50000, 50000), (300, 200000, 0)):
        blocks, counted, frees = of(report, size)
        assert near(counted, allocs, size), size
        assert near(blocks, used, size) if used else blocks == 0, size
        assert counted - frees == blocks
    assert of(report, 4096) == [0, 100, 100]
    assert of(report, 9000) == [20, 20, 0]
    assert report["summary"]["frees_of_unknown"] == 0
    assert report["stopped_calls"] < 1000  # of a million: what is not in the sample has no price


def test_no_block_is_left(target, attach):
    """Each block of the sample takes away what it has added, also by another realloc(), thread or child."""
    process = target("sampled")
    tracer = attach(process.pid, "--no-symbols", f"--sample={SAMPLE}")
    do(process, "a 20000 64", "r 20000 500", "r 10000 5000", "r 20000 90", "r 500 0", "k 1000 64", "f 20000")
    report = tracer.detach().consistent()
    process.send("q")
    process.result()
    assert report["summary"]["frees_of_unknown"] == 0
    for size in (64, 500, 5000, 90):
        blocks, allocs, frees = of(report, size)
        assert blocks == 0 and allocs == frees > 0, size
    assert near(of(report, 64)[1], 20000, 64)
    assert near(of(report, 500)[1], 20000, 500)
    assert of(report, 5000)[1] == 10000


@pytest.mark.parametrize("engine", ["agent", "trap"])
def test_small_ones_do_not_count(target, attach, engine):
    process = target("sampled")
    tracer = attach(process.pid, "--no-symbols", f"--engine={engine}", "--min-size=100")
    do(process, "c 300 99", "c 200 100", "a 100 40", "r 50 200", "a 60 150", "r 20 30", "f 100", "t 20 64")
    report = tracer.detach().consistent()
    process.send("q")
    process.result()
    sampling = report["sampling"]
    assert sampling.pop("not_counted") >= 300 + 100 + 20 + 80
    assert sampling == {"estimates": False, "coarsest_bytes": 0, "bytes": 0, "min_size": 100}
    assert not any("estimated" in context for context in report["contexts"])
    assert of(report, 99) == of(report, 40) == of(report, 30) == of(report, 64) == [0, 0, 0]
    assert of(report, 100) == [0, 200, 200]
    assert of(report, 150) == [0, 60, 60]
    assert of(report, 200) == [10, 50, 40]
    assert report["summary"]["frees_of_unknown"] == 0


def test_left_and_taken_up(target, attach):
    """The sample goes on alone; its sums are those of both times."""
    process = target("sampled")
    tracer = attach(process.pid, "--no-symbols", f"--sample={SAMPLE}", "--min-size=50")
    do(process, "a 30000 100", "c 100 40")
    leave(tracer)
    do(process, "f 10000", "a 30000 200", "c 50000 300", "c 100 40")
    tracer = attach(process.pid, "--no-symbols")
    do(process, "a 20000 100", "a 100 5000")
    report = tracer.detach().consistent()
    process.send("q")
    process.result()
    assert report["sampling"] == {"estimates": True, "coarsest_bytes": SAMPLE, "bytes": SAMPLE, "min_size": 50,
                                  "not_counted": 200}
    for size, allocs, used in ((100, 50000, 40000), (200, 30000, 30000), (300, 50000, 0)):
        blocks, counted, _ = of(report, size)
        assert near(counted, allocs, size) and near(blocks, used, size), size
    assert of(report, 5000) == [100, 100, 0] and of(report, 40) == [0, 0, 0]
    assert report["alone"]["frees"] == report["summary"]["frees_of_unknown"] == 0


def test_coarser_while_it_must(target, attach):
    """A program that does nothing but allocate costs more than any limit: so it is sampled, and what comes
    later is, too; what does not have to be is not."""
    process = target("sampled")
    tracer = attach(process.pid, "--no-symbols", "--max-overhead=1")
    do(process, "a 1000 100")
    process.send("w")
    for _ in range(int(memtrace.PATIENCE)):
        tracer.send("status")
        tracer.wait_line(r"HEAP SUMMARY")
        tracer.wait_line(r"    peak: ")
        tracer.send("help quit")  # what follows the status is here by then
        tracer.wait_line(r"quit")
        if any("estimates: sampled" in line for line in tracer.out):
            break
        try:
            process.wait_line(r"^never$", 1)
        except memtrace.Failed:
            pass
    process.send()
    process.wait_line(r"^DONE$")
    report = tracer.detach().consistent()
    process.send("q")
    process.result()
    assert report["sampling"]["estimates"] and report["sampling"]["coarsest_bytes"] >= 256
    assert of(report, 100) == [1000, 1000, 0]
    assert of(report, 64)[0] == 0 and of(report, 64)[1] > 0


def test_estimates_are_called_so(target, started, tmp_path):
    process = target("sampled")
    path = tmp_path / "report"
    options = ["--no-symbols", "-n", "3", "--sample=64K", "--min-size=10", "-o", path]
    tracer = memtrace.Process([memtrace.MEMTRACE, *options, "--format=snapshot", "-p", process.pid])
    started.append(tracer)
    tracer.send("status")
    tracer.wait_line("HEAP SUMMARY")
    do(process, "a 30000 100", "c 100 5")
    for line in ("top", "report --by module", "tree", "threads"):
        tracer.send(line)
    tracer.send("quit")
    tracer.process.stdin.close()
    assert tracer.wait() == 0, tracer.story()
    said = "\n".join(tracer.out)
    assert said.count("(estimates, by a sample)") == 3 and "(calls that were counted; not all are)" in said
    process.send("q")

    def made(form):
        run = subprocess.run([memtrace.BUILD / "memtrace-fs", "--report", path, f"--format={form}"], capture_output=True,
                             timeout=memtrace.PATIENCE, check=True)
        return run.stdout.decode()

    text = made("text")
    words = " ".join(text.split())
    assert "Numbers are estimates, by a sample: of allocations below 64.0 KiB" in words
    assert re.search(r"Allocations below 10 bytes were not counted \(100 of them\)", words)
    assert re.search(r"^1\. #\d+  about \d+ bytes in \d+ blocks", text, re.M)
    assert re.search(r"^    in use: about \d+ bytes", text, re.M)
    assert re.search(r"^    total heap usage: about \d+ allocs", text, re.M)
    assert "    estimates: sampled, a point each 65536 bytes" in text
    report = json.loads(made("json"))
    jsonschema.validate(report, SCHEMA)
    assert report["sampling"]["estimates"] and report["sampling"]["not_counted"] == 100
    folded = made("folded").splitlines()
    assert folded and all(line.startswith("[estimates];") for line in folded)
    for form in ("speedscope", "dhat", "heaptrack"):
        assert "[estimates]" in made(form), form
    assert "(estimates, by a sample)" in made("massif")
    assert "Numbers are estimates, by a sample" in " ".join(made("html").split())


def test_refused_where_each_call_stops():
    for option in ("--sample=64K", "--max-overhead=5"):
        run = subprocess.run([memtrace.MEMTRACE, option, "--engine=trap", "true"], capture_output=True, text=True)
        assert run.returncode == 1
        assert f"{option.split('=')[0]} and --engine=trap contradict each other: each call stops there all the " \
               "same; leave --engine out" in run.stderr
