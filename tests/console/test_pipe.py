"""The console on a pipe or a file: no prompt, no echo, the end of it is quit."""
import json
import re
import signal
import subprocess


def run(memtrace, *options, commands="", **more):
    return subprocess.run([str(memtrace), *options], input=commands, capture_output=True,
                          text=True, timeout=60, **more)


def test_commands_of_a_pipe(memtrace, obedient):
    result = run(memtrace, "-p", str(obedient.pid), commands="status\n# nothing\n\nthreads\nstatus")
    assert result.returncode == 0
    assert "memtrace>" not in result.stdout + result.stderr
    # two of status (the last line has no newline), one of the final report
    assert result.stdout.count("HEAP SUMMARY") == 3
    assert obedient.tracer() == 0


def test_quit_leaves_the_rest_unread(memtrace, obedient):
    result = run(memtrace, "-p", str(obedient.pid), commands="quit\nstatus\nstatus\n")
    assert result.returncode == 0
    assert result.stdout.count("HEAP SUMMARY") == 1


def test_a_bad_command_is_one_line(memtrace, obedient):
    result = run(memtrace, "-q", "-p", str(obedient.pid), commands="nonsense\nmonitor x\n")
    assert result.returncode == 0
    assert result.stderr.splitlines() == [
        "memtrace: unknown command 'nonsense'; 'help' lists them",
        "memtrace: monitor: 'x' is not a time such as 500ms, 10s, 5m or 2h"]


def test_a_line_beyond_measure(memtrace, obedient):
    result = run(memtrace, "-q", "-p", str(obedient.pid), commands="x" * 100_000 + "\nstatus\n")
    assert result.returncode == 0
    assert "too long" in result.stderr
    assert result.stdout.count("HEAP SUMMARY") == 2


def test_json_alone_on_stdout(memtrace, obedient):
    result = run(memtrace, "--format=json", "-p", str(obedient.pid))
    report = json.loads(result.stdout)
    assert report["pid"] == obedient.pid
    assert "Attached" in result.stderr


def test_json_of_the_console(memtrace, obedient):
    result = run(memtrace, "-b", "-x", "report --json", "-o", "/dev/null", "-p", str(obedient.pid))
    assert json.loads(result.stdout)["pid"] == obedient.pid


def test_answers_beside_json(memtrace, obedient):
    """Standard output is the one document, whatever is asked meanwhile."""
    result = run(memtrace, "--format=json", "-b", "-x", "status", "-x", "wait 10ms", "-x", "clear", "-x", "threads",
                 "-p", str(obedient.pid))
    assert json.loads(result.stdout)["pid"] == obedient.pid
    assert result.stderr.count("HEAP SUMMARY") == 1
    assert "Counting begins anew; dropped:\n    in use: 0 bytes in 0 blocks\n" in result.stderr


def test_wait(memtrace, obedient):
    """A script takes its time: what comes meanwhile is in the next report."""
    process = subprocess.Popen([memtrace, "-q", "-b", "-x", "!echo begun", "-x", "wait 1h", "-p", str(obedient.pid)],
                               stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "begun\n"
    obedient.order("allocate 3 5")
    assert obedient.tracer() == process.pid
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert "in use: 15 bytes in 3 blocks" in out


def test_wait_comes_to_an_end(memtrace, obedient):
    result = run(memtrace, "-q", "-p", str(obedient.pid), commands="wait 100ms\nstatus\nwait 0\nquit\nnonsense\n")
    assert result.returncode == 0 and result.stderr == ""
    assert result.stdout.count("HEAP SUMMARY") == 2


def test_answers_elsewhere(memtrace, obedient, tmp_path):
    path = tmp_path / "a file"
    result = run(memtrace, "-q", "-p", str(obedient.pid),
                 commands=f"status > {path}\nthreads | sed s/^/got:/\n!cat; echo $((6 * 7))\n!exit 3\n"
                          f"status > {tmp_path}/no/such\nreport > /dev/full\nhelp | true\n")
    assert result.returncode == 0
    assert path.read_text().count("HEAP SUMMARY") == 1
    assert "got:       tid" in result.stdout
    assert "\n42\n" in result.stdout  # and cat found no input
    assert result.stdout.count("HEAP SUMMARY") == 1
    assert result.stderr.splitlines() == [
        f"memtrace: can't write {tmp_path}/no/such: No such file or directory",
        "memtrace: the report can't be written: No space left on device"]


def test_more_than_a_pipe_holds(memtrace, obedient):
    """What is slow to read holds nothing up, and nothing is lost."""
    result = run(memtrace, "-q", "-b", "-x", "modules | (sleep 0.3; wc -l)", "-x", "modules", "-p", str(obedient.pid))
    count, rest = result.stdout.split("\n", 1)
    assert int(count) == rest.split("Process ")[0].count("\n") > 5


def test_batch_does_not_read(memtrace, obedient):
    result = run(memtrace, "-b", "-x", "status", "-x", "mod", "-p", str(obedient.pid),
                 commands="nonsense\n")
    assert result.returncode == 0
    assert "nonsense" not in result.stderr
    assert result.stdout.count("HEAP SUMMARY") == 2
    assert re.search(r"libc\.so\.6", result.stdout)


def test_duration_does_not_read(memtrace, obedient):
    result = run(memtrace, "-d", "250ms", "-p", str(obedient.pid), commands="nonsense\n")
    assert result.returncode == 0
    assert "nonsense" not in result.stderr
    assert result.stdout.count("HEAP SUMMARY") == 1


def test_monitor_within_a_duration(memtrace, obedient):
    """As many as asked for come, and what has not been read is never read."""
    process = subprocess.Popen([memtrace, "-d", "1h", "-x", "monitor 100ms", "-p", str(obedient.pid)],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdin.write("nonsense\n")
    process.stdin.flush()
    for _ in range(3):
        while "HEAP SUMMARY" not in (line := process.stdout.readline()):
            assert line and obedient.tracer() == process.pid
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "HEAP SUMMARY" in out and "nonsense" not in err
    assert obedient.tracer() == 0


def test_closed_stdin(memtrace, obedient):
    result = subprocess.run(["/bin/sh", "-c", f"exec {memtrace} -p {obedient.pid} <&-"],
                            capture_output=True, text=True, timeout=60)
    assert result.returncode == 0
    assert result.stdout.count("HEAP SUMMARY") == 1


def test_closed_stdout(memtrace, obedient):
    result = subprocess.run(["/bin/sh", "-c", f"exec {memtrace} -q -b -x status -p {obedient.pid} >&-"],
                            stderr=subprocess.PIPE, text=True, timeout=60)
    assert obedient.tracer() == 0
    assert result.returncode == 0 and result.stderr == ""  # as to /dev/null


def test_reader_that_left(memtrace, obedient):
    result = subprocess.run(["/bin/sh", "-c", f"{memtrace} -q -b -p {obedient.pid} | true"],
                            stderr=subprocess.PIPE, text=True, timeout=60)
    assert obedient.tracer() == 0
    assert len(result.stderr.splitlines()) <= 1
