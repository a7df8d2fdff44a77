"""Allocators that call one another: only the outermost call is the program's."""
import os

import pytest

import memtrace
import programs

LAYERS = {
    "headed": {"LD_PRELOAD": str(memtrace.TARGETS / "headed_preload.so")},
    "late": {"LD_PRELOAD": str(memtrace.TARGETS / "headed_preload.so"), "HEADED": "late"},
    "check": {"LD_PRELOAD": "libc_malloc_debug.so.0", "MALLOC_CHECK_": "3"},
}


def env_of(layer):
    return dict(os.environ, **LAYERS[layer])


def tally(result):
    return {name: result[name] for name in memtrace.Report.NAMES}


@pytest.mark.parametrize("layer", ["headed", "late", "check"])
@pytest.mark.parametrize("argv", [("threads", "6", "500"), ("entries", "5"), ("operators", "5"), ("jumps", "5")],
                         ids=lambda argv: argv[0])
def test_followed(follow, layer, argv):
    if (layer, argv[0]) == ("check", "entries"):
        pytest.skip("glibc's own: a failed posix_memalign writes its result there")
    result, report = follow(*argv, env=env_of(layer))
    assert report["summary"]["frees_of_unknown"] == 0
    assert report.counts() == tally(result)
    assert not report["not_followed"]


@pytest.mark.parametrize("layer", ["headed", "late"])
def test_blocks_from_before(target, attach, layer):
    """Each is freed by the program once, however many calls of layers that takes."""
    process = target("unknown", env=env_of(layer))
    tracer = attach(process.pid)
    process.go_on()
    process.done()
    report = tracer.detach().consistent()
    process.go_on()
    summary = report["summary"]
    assert (summary["frees_of_unknown"], summary["frees"], summary["allocs"]) == (process.result()["frees"], 0, 0)


@pytest.mark.parametrize("name", ["sqlite3", "perl", "python3"])
def test_programs(tmp_path, name):
    """The same numbers with a layer as without; their environments are of the same length."""
    argv = {"sqlite3": programs.sqlite_argv(50), "perl": programs.perl_argv(50), "python3": programs.python_argv(5)}[name]
    counts = []
    for library, how in (("/plain", "none"), ("headed", "none"), ("headed", "late")):
        wrapped = ["env", f"LD_PRELOAD={memtrace.TARGETS}/{library}_preload.so", f"HEADED={how}", *argv]
        status, _, report = memtrace.launch(tmp_path / f"{library.strip('/')}-{how}", wrapped, "--no-symbols",
                                            env=programs.steady_env())
        assert status == 0
        assert report.consistent()["summary"]["frees_of_unknown"] == 0
        counts.append(report.counts())
    assert counts[1]["allocs"] > 100
    assert counts[1] == counts[0]
    # (the thread that gives back is one more block)
    assert (counts[2]["allocs"], counts[2]["frees"]) == (counts[0]["allocs"] + 1, counts[0]["frees"])


@pytest.mark.parametrize("depth", ["1", "64"])
@pytest.mark.parametrize("how", ["alloc", "jump", "fork", "dirty"])
def test_interrupted(follow, how, depth):
    """A signal handler's calls are the program's, also where it interrupts malloc."""
    result, report = follow("interrupted", how, "20", options=("-s", depth))
    assert report["summary"]["frees_of_unknown"] == 0
    assert report.counts() == tally(result)


@pytest.mark.parametrize("how", ["mcheck", "mtrace", "plain"])
def test_debugged(follow, tmp_path, how):
    env = dict(os.environ, LD_PRELOAD="libc_malloc_debug.so.0", MALLOC_TRACE=str(tmp_path / "trace"))
    result, report = follow("debugged", how, "20", env=env)
    assert report["summary"]["frees_of_unknown"] == 0
    assert report.counts() == tally(result)


def test_thread_that_ends_within(follow):
    """What its realloc had taken is a block again (beside it: what pthread_create keeps)."""
    result, report = follow("interrupted", "end", "20")
    assert report["summary"]["frees_of_unknown"] == 0
    assert report["summary"]["frees"] == result["frees"] == 20
    assert report.through("round_of_end")["frees"] >= 20


def test_chosen_at_run_time(follow):
    """IFUNC symbols, and one without a type: they are functions."""
    env = dict(os.environ, LD_PRELOAD=str(memtrace.TARGETS / "chosen_preload.so"))
    result, report = follow("threads", "4", "200", env=env)
    assert report["not_followed"] == []
    assert report["summary"]["frees_of_unknown"] == 0
    assert report.counts() == tally(result)
