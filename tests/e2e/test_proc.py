"""A /proc that is another pid namespace's, is not there, or can't be written to: memtrace says
what to mount before it touches anything, or does without."""
import json
import os
import shutil
import subprocess

import pytest

import memtrace

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root makes such namespaces")

FOREIGN = "/proc is of another pid namespace"
MISSING = "/proc is not mounted: mount -t proc proc /proc"


def unshare(*how, shell):
    return subprocess.run(["unshare", "--fork", "--kill-child", *how, "sh", "-c", shell], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=memtrace.PATIENCE)


def test_launch_with_a_foreign_proc():
    done = unshare("--pid", shell=f"{memtrace.MEMTRACE} -q echo started; echo $?")
    assert FOREIGN in done.stderr and "unshare --mount-proc" in done.stderr
    assert done.stdout == "1\n"


def test_attach_with_a_foreign_proc():
    """Process 3 in there is a sleep; /proc/3 is somebody else's."""
    done = unshare("--pid", shell=f"""
        sleep 1000 & pid=$!
        {memtrace.MEMTRACE} -b -p $pid; echo attach $?
        {memtrace.MEMTRACE} --doctor -p $pid --no-symbols; echo doctor $?
        kill -0 $pid && echo alive""")
    assert FOREIGN in done.stderr
    assert "attach 1" in done.stdout and "doctor 1" in done.stdout and "alive" in done.stdout
    assert f"FAIL  proc          {FOREIGN}" in done.stdout


def test_own_proc_in_a_namespace():
    done = unshare("--pid", "--mount-proc", shell=f"{memtrace.MEMTRACE} -q --format=json -n 0 true")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stderr)["summary"]


def test_other_users_hidden(tmp_path):
    """What a user's processes descend from is root's, and not seen: they are found by name none the less."""
    os.chmod(shutil.copy("/bin/sleep", tmp_path / "odd-sleep"), 0o755)
    done = unshare("--pid", "--mount", shell=f"""
        mount -t proc -o hidepid=2 proc /proc
        mount -t tmpfs none /mnt; chmod 755 /mnt; cp {memtrace.MEMTRACE} {tmp_path}/odd-sleep /mnt/
        sh -c "setpriv --reuid 1000 --regid 1000 --clear-groups sh -c '
            ls -d /proc/1; /mnt/odd-sleep 1000 & /mnt/memtrace --doctor --no-symbols -p odd-sleep'; true"; true""")
    assert "No such file" in done.stderr, done.stdout + done.stderr
    assert "memtrace can attach to pid" in done.stdout, done.stdout + done.stderr


def test_no_proc():
    done = unshare("--mount", shell=f"umount -l /proc; {memtrace.MEMTRACE} -q echo started; "
                                    f"{memtrace.MEMTRACE} -b -p $$; {memtrace.MEMTRACE} --doctor")
    assert done.stderr.count(MISSING) == 2 and "FAIL  proc          /proc is not mounted" in done.stdout
    assert "started" not in done.stdout


@pytest.mark.limit(120)
def test_read_only_proc(target, started, tmp_path):
    """Code is written word by word, and put back so."""
    process = target("storm", "-t", "4", "-b", "-p")
    tracer = memtrace.Memtrace(process.pid, tmp_path / "report", "--no-symbols", command=[
        "unshare", "--mount", "sh", "-c", 'mount -o remount,ro,bind /proc && exec "$@"', "sh"])
    started.append(tracer)
    tracer.attached()
    tracer.detach().consistent()
    process.go_on()
    process.result()
