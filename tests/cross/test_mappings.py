"""--mmap: arguments beyond the fourth, which 32-bit ARM has on the stack, arrive, and what is mapped is known."""
import re

import traced


def sums(report):
    """{name of the function of ours that mapped: (pieces, bytes)}"""
    found = {}
    for context in report["mapping_contexts"]:
        name = next((f["function"] for f in context["stack"] if (f["function"] or "").startswith("by_")), "other")
        pieces, size = found.get(name, (0, 0))
        found[name] = (pieces + context["in_use_mappings"], size + context["in_use_bytes"])
    return found


def test_all_ways(guest):
    page = int(guest.run("getconf PAGESIZE || echo 4096").output.split()[-1])
    with traced.Running(guest, "/root/targets/mapper") as mapper:
        with traced.Attached(guest, mapper.pid, options=traced.NAMED + " --mmap") as attached:
            mapper.send()
            mapper.await_output("DONE")
        mapper.send()
        mapper.await_output("RESULT")
        said = guest.run("cat /tmp/out").output
        traced.result_in(said)
        assert not attached.report["not_followed"]
        found = sums(attached.report)
        assert found.pop("other")[0] <= 8  # stacks of threads
        assert found == {name: (int(pieces), int(pages) * page)
                         for name, pieces, pages in re.findall(r"MAPPED (\w+) (\d+) (\d+)", said)}
