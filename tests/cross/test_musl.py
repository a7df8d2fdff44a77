"""musl: what is traced, and what traces."""
import pytest

import traced


@pytest.mark.parametrize("program", ["memtrace", "memtrace-musl"])
@pytest.mark.parametrize("kind", ["musl", "musl-static"])
def test_counts(guest, program, kind):
    output, report = traced.launch(guest, f"/root/threads-{kind} 3 100", program=f"/root/{program}")
    result = traced.result_in(output)
    own = [c for c in report["contexts"] if any(f["function"] in ("pool_alloc", "pass_on", "work", "churn")
                                                for f in c["stack"])] or report["contexts"]
    assert sum(c["allocs"] for c in own) >= result["allocs"]
    assert report["summary"]["frees"] >= result["frees"]
    assert report["summary"]["lost_events"] == 0
