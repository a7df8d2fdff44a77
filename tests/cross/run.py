"""Runs the tests of all CPUs, two guests at a time (CROSS_JOBS: another number): an
emulated machine of two CPUs seldom uses more than one of ours.  What a run prints is shown
when it ends; the status is 0 when all have passed.
"""
import os
import pathlib
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).parent
CPUS = os.environ.get("CROSS_CPUS", "armhf armel arm64").split()
JOBS = int(os.environ.get("CROSS_JOBS", "2"))


def start(cpu, folder):
    log = folder / f"{cpu}.log"
    with log.open("w") as out:
        process = subprocess.Popen([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--durations=8", HERE],
                                   env={**os.environ, "CROSS_CPUS": cpu}, stdout=out, stderr=subprocess.STDOUT,
                                   stdin=subprocess.DEVNULL)
    return process, cpu, log, time.monotonic()


def main():
    folder = pathlib.Path(os.environ["O"]) / "cross"
    folder.mkdir(parents=True, exist_ok=True)
    waiting, running, failed = list(CPUS), [], []
    while waiting or running:
        while waiting and len(running) < JOBS:
            running.append(start(waiting.pop(0), folder))
        time.sleep(0.2)
        for run in [run for run in running if run[0].poll() is not None]:
            process, cpu, log, begin = run
            running.remove(run)
            print(f"== {cpu}, {time.monotonic() - begin:.0f} s\n{log.read_text(errors='replace')}", flush=True)
            if process.returncode:
                failed.append(cpu)
    if failed:
        sys.exit(f"failed: {' '.join(failed)}")


main()
