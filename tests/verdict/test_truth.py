"""The verdicts on real programs of known truth, all watched at once for as long as that takes; what is simulated, and
how often each word is right, is in tests/unit/test_survival.c."""
import os
import sys

import pytest

import json_report
import memtrace

SECONDS = 20
LEAKY = ["leak", "leak_of_one_site", "leak_per_error"]
# once more, counted in the process
AGENT = ["leak", "leak_per_error", "cache", "log"] if os.uname().machine == "x86_64" else []
SOUND = ["cache", "cache_swapped_out", "pool", "log", "load_doubles", "load_stops", "start_up", "fork_server"]

# (blocks of more than 512 bytes are malloc's)
PYTHON = """
import time
kept = []
while True:
    kept.append(bytes(1000))
    if len(kept) > LIMIT:
        del kept[:]
    time.sleep(0.01)
"""
PYTHONS = {"python_list_that_grows": "1 << 30", "python_list_that_does_not": "300"}


def with_agents(names):
    return [*names, *(f"{name} by the agent" for name in names if name in AGENT)]


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    where = tmp_path_factory.mktemp("reports")
    programs = {name: [memtrace.TARGETS / "truth", name] for name in LEAKY + SOUND}
    programs.update({name: [sys.executable, "-c", PYTHON.replace("LIMIT", limit)] for name, limit in PYTHONS.items()})
    programs.update({f"{name} by the agent": programs[name] for name in AGENT})
    running = {name: memtrace.Process(argv) for name, argv in programs.items()}
    tracers = {name: memtrace.Process([memtrace.MEMTRACE, "-q", "-b", "-n", "0", "-d", f"{SECONDS}s", "--all",
                                       "--format=json", "-o", where / name, "-p", program.pid,
                                       "--engine=agent" if name.endswith("agent") else "--engine=trap"])
               for name, program in running.items()}
    found = {}
    try:
        for name, tracer in tracers.items():
            assert tracer.wait() == 0, tracer.story()
            found[name] = json_report.load((where / name).read_text())
    finally:
        for process in [*tracers.values(), *running.values()]:
            process.end()
    return found


def functions(context):
    return [frame["function"] or "" for frame in context["stack"]]


def judged(report, word):
    return [c for c in report["contexts"] if c["verdict"] == word]


@pytest.mark.parametrize("name", with_agents(LEAKY))
def test_leaks_are_found(reports, name):
    report = reports[name]
    leaks = judged(report, "leaks")
    assert leaks, [(c["verdict"], c["evidence"], functions(c)) for c in report["contexts"]]
    for context in leaks:
        assert any(f.startswith("leaky_") for f in functions(context)), context["evidence"]
        assert "generations kept" in context["evidence"] and "an hour" in context["evidence"]
    assert report["contexts"][0] in leaks  # they come first
    assert report["verdict"] == "leaks"
    assert report["evidence"].startswith(f"{len(leaks)} call stack")


@pytest.mark.parametrize("name", with_agents(SOUND))
def test_nothing_else_leaks(reports, name):
    report = reports[name]
    assert report["summary"]["allocs"] > 20
    assert not judged(report, "leaks"), judged(report, "leaks")
    assert report["verdict"] != "leaks"


@pytest.mark.parametrize("name", with_agents(["cache"]))
def test_caches_are_known(reports, name):
    assert judged(reports[name], "cache") and "is older than" in judged(reports[name], "cache")[0]["evidence"]


def test_a_list_of_python(reports):
    """Blocks that an interpreter holds: they are all made by one function."""
    assert judged(reports["python_list_that_grows"], "leaks")
    assert not judged(reports["python_list_that_does_not"], "leaks")
