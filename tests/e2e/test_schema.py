"""JSON by its schemas in doc/, and by its own sums."""
import copy
import json
import pathlib
import subprocess

import pytest

import memtrace

jsonschema = pytest.importorskip("jsonschema")

DOC = pathlib.Path(__file__).resolve().parents[2] / "doc"
SCHEMA, REPORT_SCHEMA = (json.loads((DOC / f"{name}.schema.json").read_text()) for name in ("leaks", "report"))
NAMES = ("lost", "lost_through", "held", "perhaps")

PROGRAM = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct node {
	struct node *next;
	char text[40];
};

struct node *kept;

__attribute__((noinline, noclone)) void lose(void)
{
	struct node *a = calloc(1, sizeof(*a));

	a->next = calloc(1, sizeof(*a));
	strcpy(a->next->text, "only a lost one leads here");
	asm volatile("" ::"r"(a) : "memory");
	strcpy(malloc(100), "a text that nobody has any more");
}

int main(void)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	for (int i = 0; i < 10; i++)
		lose();
	kept = calloc(1, sizeof(*kept));
	puts("READY");
	getchar();
	for (int i = 0; i < 10; i++)
		lose();
	puts("OK");
	getchar();
	getchar();
	return 0;
}
"""


@pytest.fixture
def found(tmp_path, started):
    """(the object of `leaks --json`, the report that --leaks has put into its JSON)"""
    (tmp_path / "lose.c").write_text(PROGRAM)
    subprocess.run(["cc", "-O1", "-fno-builtin", "-o", tmp_path / "lose", tmp_path / "lose.c"], check=True)
    program = memtrace.Process([tmp_path / "lose"])
    started.append(program)
    program.wait_line("^READY$")
    output = tmp_path / "report.json"
    tracer = memtrace.Process([memtrace.MEMTRACE, "-q", "--no-symbols", "--leaks", "--format=json", "-n", "0", "-o", output,
                               "-i", "-p", program.pid])
    started.append(tracer)
    tracer.send("status")
    tracer.wait_line("peak:")
    program.send()
    program.wait_line("^OK$")
    tracer.send("leaks --json -n 0")
    tracer.send("quit")
    assert tracer.wait() == 0, tracer.story()
    text = "\n".join(tracer.out)
    answer, _ = json.JSONDecoder().raw_decode(text, text.index('{"leaks"'))
    return answer["leaks"], json.loads(output.read_text())


def check(leaks):
    jsonschema.validate(leaks, SCHEMA)
    for name in NAMES:
        assert leaks["before_attach"][name]["blocks"] <= leaks[name]["blocks"]
    for name in ("lost", "lost_through", "perhaps"):
        blocks = [block for block in leaks["blocks"] if block["class"] == name]
        assert len(blocks) == leaks[name]["blocks"] and sum(block["size"] for block in blocks) == leaks[name]["bytes"]
    assert leaks["block_count"] == len(leaks["blocks"])
    places = {block["address"] for block in leaks["blocks"]}
    assert all((block["leader"] in places) == (block["class"] == "lost_through") for block in leaks["blocks"])
    # a word left in a frame may hold one, and what it leads to
    assert 39 <= leaks["lost"]["blocks"] <= 40 and 19 <= leaks["lost_through"]["blocks"] <= 20
    assert {block["content"]["kind"] for block in leaks["blocks"] if block["content"]} >= {"node", "text"}


def test_schema(found):
    answer, report = found
    check(answer)
    check(report["leaks"])
    jsonschema.validate(report, REPORT_SCHEMA)
    frames = [frame for context in report["contexts"] for frame in context["stack"] if not frame["inlined"]]
    assert {frame["pc"] for frame in frames} == {frame["pc"] for frame in report["frames"]}  # each is used, once there
    assert len({json.dumps(frame) for frame in report["frames"]}) == len(report["frames"])
    for name, member in (("lost", "lost_blocks"), ("lost", "lost_bytes")):
        assert all(member in context for context in report["contexts"]), name
    traced = sum(block["context"] is not None for block in report["leaks"]["blocks"])
    assert sum(context["lost_blocks"] for context in report["contexts"]) == traced


def test_schema_refuses(found):
    """A member that is missing, or of another kind, is seen: the schema says something."""
    answer, _ = found
    for spoil in (lambda o: o.pop("scanned_bytes"), lambda o: o["lost"].pop("bytes"), lambda o: o.update(pause_ms="4"),
                  lambda o: o["blocks"][0].update(address=4096), lambda o: o["blocks"][0].update({"class": "gone"}),
                  lambda o: o["before_attach"].pop("held"), lambda o: o["allocators"][0].update(read=None)):
        other = copy.deepcopy(answer)
        spoil(other)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(other, SCHEMA)


def test_report_schema_of_several(found):
    _, report = found
    several = {"version": 2, "processes": [report, report]}
    jsonschema.validate(several, REPORT_SCHEMA)
    for spoil in (lambda o: o.pop("version"), lambda o: o.update(processes={}), lambda o: o["processes"][1].pop("frames"),
                  lambda o: o["processes"].append(several)):
        other = copy.deepcopy(several)
        spoil(other)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(other, REPORT_SCHEMA)


def test_report_schema_refuses(found):
    _, report = found
    for spoil in (lambda o: o.update(version=1), lambda o: o.pop("frames"), lambda o: o["frames"][0].pop("function"),
                  lambda o: o["frames"][0].update(module="/bin/x"), lambda o: o["contexts"][0].update(verdict="fine"),
                  lambda o: o["contexts"][0]["stack"].append({}), lambda o: o["summary"].pop("peak_bytes")):
        other = copy.deepcopy(report)
        spoil(other)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(other, REPORT_SCHEMA)
