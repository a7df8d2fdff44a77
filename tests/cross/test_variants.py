"""Programs however built: A32, T32 and A64, with frame pointers and without, with signed return
addresses, static, musl; their calls counted exactly, their stacks walked by what is in the
guest alone."""
import pytest

import build
import traced


def names_of(context):
    return [frame["function"] for frame in context["stack"]]


def check_chain(report, may_end):
    """Every stack is the known one, by the names in the program's own symbol table.  may_end:
    or its beginning, and says so: a signal interrupted a leaf of a library that has no
    unwind data and no symbol for it."""
    contexts = {context["allocated_bytes"]: context for context in report["contexts"]}
    chains = {501: ["leaf", "middle", "main"], 502: ["leaf", "with_alloca", "main"],
              503: ["leaf", "middle", "busy", "main"], 505: ["leaf", "middle"] + 21 * ["deeper"] + ["main"],
              1010: ["leaf", "on_signal", "interrupted", "main"]}
    own = {"leaf", "middle", "main", "with_alloca", "busy", "deeper", "on_signal", "interrupted"}
    for size, expected in chains.items():
        assert size in contexts, f"{size} is not in {sorted(contexts)}"
        names = names_of(contexts[size])
        assert names[0] in ("malloc", "__malloc")  # (of riscv64's static libc the linker makes the first a local name)
        found = [name for name in names if name in own]
        if contexts[size]["stack_end"] != "root" and may_end:
            expected = expected[:len(found)]
        assert found == expected, f"{size}: {names}"


@pytest.mark.of_cpu(lambda cpu: list(build.VARIANTS[cpu]))
def test_entries(guest, name):
    output, report = traced.launch(guest, f"/root/entries-{name} 3")
    result = traced.result_in(output)
    # Beside the program's own calls there are those of its start and of stdio.
    for count in ("allocs", "frees"):
        assert 0 <= report["summary"][count] - result[count] <= 8, (report["summary"], result)


@pytest.mark.of_cpu(lambda cpu: [*build.VARIANTS[cpu], *build.MUSL])
def test_stacks(guest, name):
    _, report = traced.launch(guest, f"/root/chain-{name}", options=traced.NAMED)
    check_chain(report, name == "musl")
