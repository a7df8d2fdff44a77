"""Call stacks are exact: every frame that has unwind data equals libdwfl's.

memtrace records sampled stacks with the registers and stack bytes they were walked
from; stack_oracle walks the same bytes with elfutils.  A recorder that owes memtrace
nothing (int3, single-step, libunwind) shows first that the oracle itself is right.
"""
import json
import struct
import subprocess

import pytest

import memtrace
import programs

ORACLE = memtrace.BUILD / "tests" / "e2e" / "stack_oracle"
RECORDER = memtrace.BUILD / "tests" / "e2e" / "stack_recorder"
TORTURE_ROUNDS = "60"


def judge(path):
    run = subprocess.run([ORACLE, path], capture_output=True, text=True, timeout=100)
    assert run.returncode in (0, 1), run.stderr
    verdict = json.loads(run.stdout.splitlines()[-1])
    verdict["story"] = run.stderr
    return verdict


# ---- the oracle itself ----------------------------------------------------------

def recorded(tmp_path, every, argv, **env):
    if not RECORDER.exists():
        pytest.skip("libunwind-ptrace is not installed")
    path = tmp_path / "stacks"
    subprocess.run([RECORDER, path, str(every), *map(str, argv)], check=True, timeout=60,
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=programs.steady_env(**env))
    return path


@pytest.mark.parametrize("name, argv", [
    ("adversary", [memtrace.TARGETS / "adversary", "400"]),
    ("perl", programs.perl_argv(300)),
    ("sqlite3", programs.sqlite_argv(100)),
    ("python3", programs.python_argv(20)),
])
def test_oracle_agrees_with_libunwind(tmp_path, name, argv):
    verdict = judge(recorded(tmp_path, 7, argv))
    assert verdict["samples"] > 50 and verdict["compared"] > 8 * verdict["samples"]
    assert verdict["differences"] == 0, verdict


def samples(data):
    """(offset of the sample's payload, number of frames) of a recording."""
    at = 0
    while at < len(data):
        kind, length = struct.unpack_from("<II", data, at)
        if kind == 2:
            yield at + 8, struct.unpack_from("<4I", data, at + 8)[2]
        at += 8 + length


def test_oracle_sees_wrong_frames(tmp_path):
    path = recorded(tmp_path, 11, [memtrace.TARGETS / "adversary", "40"])
    data = bytearray(path.read_bytes())
    assert judge(path)["differences"] == 0
    changed = 0
    for offset, frames in samples(data):
        pcs = offset + 16 + 17 * 8
        kind = changed % 3
        if kind == 0:  # another return address
            data[pcs + 8 * (frames // 2)] ^= 4
        elif kind == 1:  # a frame said to be guessed
            data[pcs + 8 * (frames // 2) + 7] |= 0x80
        else:  # said to be whole where two frames are one
            data[pcs + 16:pcs + 24] = data[pcs + 24:pcs + 32]
        changed += 1
    path.write_bytes(data)
    verdict = judge(path)
    assert changed > 9 and verdict["differences"] == changed == verdict["samples"]


# ---- memtrace -------------------------------------------------------------------

def launched(tmp_path, every, argv, **env):
    path = tmp_path / "stacks"
    status, _, report = memtrace.launch(
        tmp_path / "report.json", argv, f"--record-stacks={path}", f"--record-every={every}",
        "--stack-depth=512", "--no-symbols", env=programs.steady_env(**env))
    assert status == 0
    report.consistent()
    verdict = judge(path)
    print(argv[0], {k: v for k, v in verdict.items() if k != "story"})
    return verdict


def exact(verdict, fewest):
    assert verdict["differences"] == 0, verdict
    assert verdict["samples"] >= fewest
    assert verdict["compared"] > 3 * verdict["samples"]
    assert verdict["stubs"] <= verdict["samples"] / 20


@pytest.mark.limit(120)
def test_real_programs(tmp_path):
    """python3, cc1, perl and sqlite3: 10 000 samples, not one frame another."""
    cases = [
        (5, programs.python_argv(600)),
        (4, programs.cc1_argv(tmp_path)),
        (4, programs.perl_argv(1500)),
        (1, programs.sqlite_argv(800)),
    ]
    total = 0
    for every, argv in cases:
        verdict = launched(tmp_path, every, argv)
        exact(verdict, 1000)
        total += verdict["samples"]
    assert total >= 10000


def test_adversary(tmp_path):
    exact(launched(tmp_path, 1, [memtrace.TARGETS / "adversary", "600"]), 2000)


def test_torture(tmp_path):
    exact(launched(tmp_path, 1, [memtrace.TARGETS / "torture", TORTURE_ROUNDS]), 800)


def test_exceptions_and_threads(tmp_path):
    exact(launched(tmp_path, 1, [memtrace.TARGETS / "operators", "20"]), 500)
    exact(launched(tmp_path, 3, [memtrace.TARGETS / "threads", "4", "500"]), 600)


def test_attached(target, attach, tmp_path):
    """The same stacks when attached to, and with a limit on depth."""
    process = target("adversary", "300")
    path = tmp_path / "stacks"
    tracer = attach(process.pid, f"--record-stacks={path}", "--record-every=1", "--stack-depth=4")
    process.go_on()
    process.done()
    tracer.detach().consistent()
    process.go_on()
    process.result()
    verdict = judge(path)
    exact(verdict, 1000)
    assert verdict["deepest"] == 4
