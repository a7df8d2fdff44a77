"""The same programs, every call stopped at a trap and most of them counted in the process itself:
the same call stacks with the same counts, and the same totals."""
import shutil

import pytest

import memtrace
import programs
from test_counts import fixed_addresses

TARGETS = memtrace.TARGETS
COUNTS = ("allocs", "frees", "in_use_blocks", "in_use_bytes", "allocated_bytes")


def contexts(report):
    """What each call stack has counted; a frame is a place in a module's file."""
    sums = {}
    for context in report["contexts"]:
        stack = tuple((frame.get("build_id"), frame.get("offset"), frame.get("guess")) for frame in context["stack"])
        key = stack, context["stack_end"]
        assert key not in sums
        sums[key] = {name: context[name] for name in COUNTS}
    return sums


def run(tmp_path, engine, argv, **popen):
    status, lines, report = memtrace.launch(tmp_path / engine, argv, "--no-symbols", f"--engine={engine}", **popen)
    assert status == 0
    assert report["engine"] == engine
    return lines, report.consistent()


def both(tmp_path, argv, **popen):
    (_, traps), (lines, agents) = (run(tmp_path, engine, argv, **popen) for engine in ("trap", "agent"))
    assert contexts(traps) == contexts(agents)
    for name in ("allocs", "frees", "allocated_bytes", "freed_bytes", "frees_of_unknown", "lost_events"):
        assert traps["summary"][name] == agents["summary"][name], name
    return lines, agents


@pytest.mark.parametrize("argv", [
    ("threads", "4", "500"),
    ("operators",),
    ("deep",),
    ("plugins", TARGETS, "5"),
    ("threads-static", "2", "300"),
    ("threads-musl", "2", "300"),
], ids=lambda argv: argv[0])
def test_targets(tmp_path, argv):
    program = TARGETS / argv[0]
    if not program.exists():
        pytest.skip(f"no {argv[0]} here")
    lines, report = both(tmp_path, [program, *argv[1:]])
    result = memtrace.parse_result(lines)
    if "allocs" in result:
        assert report["summary"]["allocs"] >= result["allocs"] > 0


@pytest.mark.parametrize("name", ["threads", "threads-static", "threads-musl"])
def test_few_calls_stop(tmp_path, name):
    """What is learned from the first calls of a stack holds for all others."""
    if not (TARGETS / name).exists():
        pytest.skip(f"no {name} here")
    _, report = run(tmp_path, "agent", [TARGETS / name, "4", "5000"])
    calls = report["summary"]["allocs"] + report["summary"]["frees"]
    assert calls >= 40000
    assert 0 < report["stopped_calls"] < calls / 10


def test_all_calls_stop_at_the_trap(tmp_path):
    assert "stopped_calls" not in run(tmp_path, "trap", [TARGETS / "threads", "1", "5"])[1]


@pytest.mark.parametrize("name", ["python3", "perl", "sqlite3"])
def test_programs(tmp_path, name):
    argv = {"python3": programs.python_argv(15), "perl": programs.perl_argv(200),
            "sqlite3": programs.sqlite_argv(300)}[name]
    if not shutil.which(argv[0]):
        pytest.skip(f"no {name} here")
    env = {"PATH": "/usr/bin:/bin", "PYTHONHASHSEED": "0", "PERL_HASH_SEED": "0"}
    both(tmp_path, argv, preexec_fn=fixed_addresses, env=env)
