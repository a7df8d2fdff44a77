"""--format=html in a Chromium: a person's clicks and keys (page.mjs) on pages of a program that does what it is told, so
that what every view has to say is known."""
import json
import os
import pathlib
import shutil
import subprocess

import pytest

from memtrace import BUILD, MEMTRACE, TARGETS, Memtrace, Process
from page import Page, changes, contexts

FS = BUILD / "memtrace-fs"
WEB = BUILD / "web"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
NODE = shutil.which("node")

# What the symbol table of a hostile program may say.
HOSTILE = "<img src=x onerror=alert(1)>"

# "name blocks size" allocates, of a negative number the latest of that name are freed.
SOURCE = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
struct kept { void *at[1000]; int count; };
#define WAY(name, ...) __attribute__((noipa)) void *name(int n) __VA_ARGS__; \\
	void *name(int n) { void *volatile p = malloc(n); return p; }
WAY(steady)
WAY(leaks)
WAY(hostile, __asm__("\\"HOSTILE\\""))
static void *(*const ways[])(int) = {steady, leaks, hostile};
static const char *const names[] = {"steady", "leaks", "hostile"};
static struct kept kept[3];
__attribute__((noipa)) void serve(int way, int n, int size)
{
	for (; n > 0; n--)
		kept[way].at[kept[way].count++] = ways[way](size);
	for (; n < 0; n++)
		free(kept[way].at[--kept[way].count]);
}
int main(void)
{
	char name[16];
	int n, size;
	setvbuf(stdin, NULL, _IONBF, 0);
	setvbuf(stdout, NULL, _IONBF, 0);
	puts("READY");
	while (scanf("%15s %d %d", name, &n, &size) == 3) {
		for (int way = 0; way < 3; way++)
			if (!strcmp(name, names[way]))
				serve(way, n, size);
		puts("DONE");
	}
	return 0;
}
""".replace("HOSTILE", HOSTILE)


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """plain: with marks a and b; compared: with what there was at mark a; large: 100 000 call stacks."""
    place = tmp_path_factory.mktemp("pages")
    (place / "p.c").write_text(SOURCE)
    subprocess.run(["gcc", "-O1", "-fno-builtin", "-o", place / "p", place / "p.c"], check=True)
    program = Process([place / "p"])
    program.wait_line("READY")
    # (whose peaks are exact)
    tool = Memtrace(program.pid, place / "report", "--engine=trap")

    def order(*orders):
        for line in orders:
            program.send(line)
            program.wait_line("DONE")

    def ask(command, answer):
        tool.send(command)
        tool.wait_line(answer)
    tool.attached()
    order("steady 3 1000", "leaks 5 40", "hostile 1 24")
    tool.send("wait 1100ms")
    ask("mark a", "Mark a")
    ask(f"save {place}/a.snapshot", "has .* call stack")
    ask(f"export html {place}/a.html", "has .* call stack")
    order("leaks 7 40", "hostile 2 24", "leaks -2 40", "steady 1 1000", "steady -1 1000")
    ask("mark b", "Mark b")
    tool.send("wait 1100ms")
    order("steady -1 1000", "hostile 1 24")
    ask(f"export html {place}/plain.html", "has .* call stack")
    ask(f"save {place}/b.snapshot", "has .* call stack")
    tool.detach()
    program.end()
    with open(place / "again.html", "wb") as out:
        subprocess.run([FS, "--report", place / "b.snapshot", "--format=html"], stdout=out, check=True)
    with open(place / "compared.html", "wb") as out:
        subprocess.run([FS, "--report", place / "a.snapshot", place / "b.snapshot", "--format=html"], stdout=out, check=True)
    subprocess.run([MEMTRACE, "-q", "--format=html", "-o", place / "large.html", TARGETS / "heartbeat", "1"], check=True,
                   input=b"stacks\nend\n", stdout=subprocess.DEVNULL, timeout=60)
    return place


@pytest.fixture(scope="module")
def seen(pages):
    if not CHROMIUM or not NODE:
        pytest.skip("needs a Chromium and node")
    if not (WEB / "node_modules" / "playwright-core").exists():
        pytest.skip("needs playwright-core: make check-web")
    shots = pathlib.Path(os.environ.get("MEMTRACE_SHOTS", pages))
    done = subprocess.run([NODE, pathlib.Path(__file__).with_name("page.mjs"), WEB, CHROMIUM, pages / "plain.html",
                           pages / "compared.html", pages / "a.html", pages / "large.html", shots], capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    if os.environ.get("MEMTRACE_SHOTS"):
        print({k: v for k, v in found["large"].items() if k in ("ms", "frame", "elements")})
    return found


def test_marks_are_in_a_snapshot(pages):
    """The page that is made of one, as of a device's, has those of the session; each what was done since the one before."""
    first, again = (Page((pages / name).read_text()).data for name in ("plain.html", "again.html"))
    assert [mark["name"] for mark in again["marks"]] == ["a", "b"]
    assert again["marks"] == first["marks"] and again["contexts"]["allocs"] == first["contexts"]["allocs"]
    ids = {context["stack"][1][0]: context["id"] for context in contexts(first)}
    assert [changes(mark["changes"]) for mark in again["marks"]] == [
        {ids["steady"]: (3, 0, 3000, 0), ids["leaks"]: (5, 0, 200, 0), ids[HOSTILE]: (1, 0, 24, 0)},
        {ids["steady"]: (1, 1, 1000, 1000), ids["leaks"]: (7, 2, 280, 80), ids[HOSTILE]: (2, 0, 48, 0)}]


def without_ids(row):
    return [*row[:-1], row[-1].split(" #")[0]]


def names(rows):
    return [without_ids(row)[-1] for row in rows]


def test_nothing_else_happens(seen):
    """No request, no dialog, no word on the console: so nothing against its policy."""
    assert seen["troubles"] == []


def test_table(seen):
    rows = seen["plain"]["rows"]
    assert [(row[1], row[2], row[3], row[4], without_ids(row)[-1]) for row in rows] == [
        ("1.95 KiB", "2", "4", "3.91 KiB", "steady"), ("400 bytes", "10", "12", "480 bytes", "leaks"),
        ("96 bytes", "4", "4", "96 bytes", HOSTILE)]
    assert names(seen["plain"]["byAllocations"]) == ["leaks", "steady", HOSTILE]
    assert names(seen["plain"]["byAllocationsAgain"]) == ["steady", HOSTILE, "leaks"]


def test_search(seen):
    plain = seen["plain"]
    assert names(plain["found"]) == [HOSTILE]
    assert plain["foundSaid"][0] == "1 of 3 call stacks: 96 bytes in 4 blocks; 3.8 % of the tree"


def test_brush(seen):
    """Of the orders between the marks; and since the second one."""
    plain = seen["plain"]
    assert [choice.split(" (")[0] for choice in plain["chosen"]] == ["mark a", "mark b"]
    assert [without_ids(row)[1:7] + names([row]) for row in plain["brushed"]] == [
        ["+200 bytes", "+5", "7", "2", "400 bytes", "10", "leaks"], ["+48 bytes", "+2", "2", "0", "96 bytes", "4", HOSTILE],
        ["0 bytes", "0", "1", "1", "1.95 KiB", "2", "steady"]]
    assert plain["brushedSaid"][0].startswith("3 of 3 call stacks: +248 bytes in +7 blocks, from mark a (")
    assert [without_ids(row)[1:5] + names([row]) for row in plain["since"]] == [
        ["+24 bytes", "+1", "1", "0", HOSTILE], ["\u22121000 bytes", "\u22121", "0", "1", "steady"]]


def test_tree(seen):
    plain = seen["plain"]
    root, start, zoomed = plain["tree"]
    assert zoomed.endswith(": 2.44 KiB, 100 %, 3 call stacks") and zoomed == start
    assert plain["zoomed"]
    assert plain["leaf"].startswith("leaks (in ") and plain["leaf"].endswith(": 10 blocks, 62.5 %, 1 call stack")


def test_page_of_a_context(seen):
    context = seen["plain"]["context"]
    assert context["title"].startswith("leaks #") and not context["others"] and not seen["plain"]["back"]
    facts = dict(context["facts"])
    assert facts["In use"] == "400 bytes in 10 blocks" and facts["Most in use"] == "480 bytes"
    assert facts["Allocated, freed"] == "12 blocks (480 bytes), 2 blocks (80 bytes)"
    assert facts["In use per allocation"] == "33.33 bytes"
    assert [line.split(" ")[0] for line in context["stack"]][1:4] == ["leaks", "serve", "main"]
    assert sum(int(row[1]) for row in context["generations"]) == 12 and sum(int(row[2]) for row in context["generations"]) == 2
    assert sum(int(row[3]) for row in context["generations"]) == 10


def test_comparison(seen):
    compared = seen["compared"]
    assert "2 call stacks have more in use: +272 bytes in +8 blocks." in compared["sentence"]
    assert [without_ids(row)[1:3] + names([row]) for row in compared["rows"]] == [
        ["+200 bytes", "+5", "leaks"], ["+72 bytes", "+3", HOSTILE], ["\u22121000 bytes", "\u22121", "steady"]]
    assert names(compared["everything"]) == ["steady", "leaks", HOSTILE]


def test_an_earlier_page(seen):
    """Says what memtrace-fs says of the same two moments; what is no page is refused in words."""
    assert seen["earlier"]["rows"] == seen["compared"]["rows"]
    assert seen["earlier"]["refused"] == "<i>x is no page of memtrace"


def test_without_a_script_and_on_paper(seen):
    assert seen["withoutScript"]["visible"] == [True, 0]
    assert seen["plain"]["printed"] == [True, False]


def test_dark_and_narrow(seen):
    assert seen["narrow"] == {"wider": 0, "paper": "rgb(22, 22, 22)"}


def test_large(seen, pages):
    """100 000 call stacks: rows and boxes exist where they are seen."""
    large = seen["large"]
    assert large["said"].startswith("100,00") and large["last"][0] in ("100,000", "100,001", "100,002")
    assert large["elements"] < 20000
    assert (pages / "large.html").stat().st_size < 40e6
