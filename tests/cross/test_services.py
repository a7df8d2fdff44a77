"""Services that leak, and keep a cache, as they would be met on a device: stripped, and running before anybody looks."""
import re
import subprocess

import pytest

import build
import traced

PYTHON = "cd /root/services; PYTHONHASHSEED=1 exec /usr/bin/{} -B -S service.py"
# How many blocks a line on its input makes, of each kind: it is the leak if (from, to) of them are lost, and nothing
# of the cache is; the function that forgets; of how many bytes each block of the cache is.
SERVICES = {
    "loop": (100, "loop", "fail", 1000),
    "loop-musl": (100, "loop-musl", "fail", 1000),
    "cycle": (50, "cycle", "serve", None),
    "python": (40, "leaky.so", "serve", 3000),
}


def command(guest, name):
    return f"sh -c '{PYTHON.format(build.python_of(guest.name))}'" if name == "python" else f"/root/services/{name}"


def code_of(guest, module, function):
    """(begin, end) of it in the module, by what was not stripped."""
    said = subprocess.run(["readelf", "-sW", "--demangle", build.services(guest.name) / module], capture_output=True, text=True,
                          check=True).stdout
    value, size = re.search(rf"\d+: ([0-9a-f]+) +(\d+) FUNC +\S+ +\S+ +\S+ {function}(?:\(\))?$", said, re.M).groups()
    return int(value, 16) & ~1, int(value, 16) + int(size)


def passes(context, module, code):
    return any(frame["module"].endswith(f"/{module}") and code[0] <= int(frame["offset"], 16) <= code[1]
               for frame in context["stack"] if frame["module"])


@pytest.mark.of_cpu(lambda cpu: {"arm64": list(SERVICES), "armhf": ["loop", "loop-musl", "cycle"]}.get(cpu, []))
def test_service(guest, name):
    count, module, function, size = SERVICES[name]
    if not (build.services(guest.name) / module).exists():
        pytest.skip("no C++ compiler for it")
    with traced.Running(guest, command(guest, name)) as process:
        with traced.Attached(guest, process.pid, options="--no-symbols --leaks -i") as attached:
            process.send()
            process.await_output("^OK")
    first, *others = attached.report["contexts"]
    assert passes(first, module, code_of(guest, module, function)), first
    assert count - 3 <= first["lost_blocks"] <= first["in_use_blocks"] == count, first
    kept = [c for c in others if c["held_blocks"] == c["in_use_blocks"] == count and
            (not size or size <= c["in_use_bytes"] / count <= size + 1)]
    assert kept and all(c["lost_blocks"] == 0 for c in kept), others
    assert name == "python" or kept[0]["held_by"].startswith(f"{name} .bss 0x"), kept
    lost = attached.report["leaks"]["before_attach"]
    few = count // 4 if name == "python" else 3  # old words in its memory for small objects lead to some
    assert lost["lost"]["blocks"] + lost["lost_through"]["blocks"] >= count - few, lost
