"""--format=html: a page that says what the JSON report of the same capture says, is markup where we mean it alone, and
asks nobody for anything."""
import base64
import hashlib
import re
import subprocess

import viewers
from memtrace import MEMTRACE
from page import WEB, Page, contexts
from test_viewers import capture, case, exported, hostile, printed, shown  # noqa: F401 (fixtures)


def place(frame):
    where = f"{frame['file']}:{frame['line'] or 0}" if frame["file"] else f"in {frame['module'] or 'no module'}"
    return shown(f"{viewers.label(frame)} ({where})") + (" inlined" if frame["inlined"] else "")


def lines_of(context):
    return tuple(place(f) for f in context["stack"]) + tuple(viewers.cut_of(context))


def test_says_what_the_report_says(case):
    report = case[1]
    text = exported(case, "html").read_text()
    page = Page(text)
    used = [c for c in report["contexts"] if c["in_use_blocks"]]
    rows = [[int(value) if value else None for value, _ in row] for row in page.rows["stacks"][1:]]
    assert [row[0] for row in rows] == list(range(1, len(used) + 1))
    seen = report["engine"] == "agent"  # whose peaks are of what was looked at
    assert f"<th>Most {'seen ' if seen else ''}in use<th>Verdict" in text
    assert page.data.get("peaks_seen", 0) == seen
    stacks = [tuple(re.sub(r"^0x[0-9A-F]+: ", "", line) for line in stack) for stack in page.stacks]
    found = [(*row[1:5], cells[5][1], stack) for row, cells, stack in zip(rows, page.rows["stacks"][1:], stacks)]
    expected = [(c["in_use_bytes"], c["in_use_blocks"], c["allocs"], c["peak_bytes"], c["verdict"], lines_of(c))
                for c in used]
    assert sorted(found) == sorted(expected)
    assert [f[0] for f in found] == [e[0] for e in expected]  # ranked as there
    assert f"in use: {report['summary']['in_use_bytes']} bytes in" in page.sections["totals"]
    modules = [(cells[0][1].removesuffix(" (unloaded)"), cells[1][1]) for cells in page.rows["modules"][1:]]
    assert modules == [(m["path"], m["build_id"] or "none") for m in report["modules"]]
    threads = [(int(c[0][0]), c[1][1], int(c[3][0]), int(c[4][0])) for c in page.rows["threads"][1:]]
    assert threads == [(t["tid"], t["name"], t["allocs"], t["frees"]) for t in report["threads"]]
    assert len(used) < 200  # (more have no row of their own)
    check_data(page.data, report)
    assert page.headline and page.headline in " ".join(printed(case[0] / "json", "--format=text", case[0] / "nothing")
                                                       .decode().split())


def check_data(data, report):
    """All call stacks, whatever is in use of them."""
    places = [[place_of(line) for line in c["stack"]] for c in contexts(data)]
    found = [(c["id"], c["allocated"] - c["freed"], c["allocs"] - c["frees"], c["allocs"], c["peak"],
              data["verdicts"][c["verdict"]] if c["verdict"] >= 0 else None, data["texts"][c["evidence"]], stack)
             for c, stack in zip(contexts(data), places)]
    expected = [(c["id"], c["in_use_bytes"], c["in_use_blocks"], c["allocs"], c["peak_bytes"], c["verdict"],
                 c["evidence"] or "", list(lines_of(c))) for c in report["contexts"]]
    assert sorted(found, key=lambda c: c[0]) == sorted(expected, key=lambda c: c[0])
    assert set(data["ranked"]) == {c["id"] for c in report["contexts"] if c["in_use_blocks"]}
    assert data["pid"] == report["pid"]


def place_of(line):
    if len(line) == 1:
        return line[0]
    name, file, number, inlined, module, _ = line
    where = f"{file}:{number}" if file else f"in {module or 'no module'}"
    return f"{name} ({where})" + (" inlined" if inlined else "")


def test_nothing_of_it_is_anybody_elses(case):
    """(page.Page has seen to tags and attributes)"""
    text = exported(case, "html").read_text()
    page = Page(text)
    script, style = (WEB / "page.js").read_text(), (WEB / "page.css").read_text()
    assert page.scripts[1:] == [script] and page.styles == [style]
    assert not re.search(r"</|<!--|fetch|import\(|https?:(?!//www.w3.org/2000/svg)|innerHTML|eval\(|XMLHttp|WebSocket", script)
    assert not re.search(r"url\(|@import|<", style)
    hashes = ["sha256-" + base64.b64encode(hashlib.sha256(part.encode()).digest()).decode() for part in (style, script)]
    assert (f"content=\"default-src 'none'; style-src '{hashes[0]}'; script-src '{hashes[1]}'; "
            "base-uri 'none'; form-action 'none'\"") in text
    assert not re.search("[<>&]", page.scripts[0])
    rest = text.replace(script, "").replace(style, "")
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]", rest)
    if case[1]["command"][0] == "./x":
        assert "&lt;script&gt;&amp;amp;&lt;/script&gt;" in rest and r"\xe2\x80\xae" in rest


def test_history_and_what_is_not_known(tmp_path):
    """As long as two samples; and of JSON, which has no course, and a report that left stacks out."""
    subprocess.run([MEMTRACE, "-q", "--format=html", "-o", tmp_path / "page", "-s", "2", "-x", "wait 2500ms", "-x", "export json "
                    f"{tmp_path}/json", "-b", "/bin/sleep", "3"], check=True, stdin=subprocess.DEVNULL, timeout=60)
    page = Page((tmp_path / "page").read_text())
    assert [name for name, _ in page.paths] == ["use", "rss"]
    cut = sum(line.startswith("[stack cut: ") for stack in page.stacks for line in stack)
    assert cut and f"how {cut} of {len(page.stacks)} call stacks begin: each says why" in page.items
    assert re.fullmatch("what was allocated before [0-9-]+ [0-9:]+ UTC: it is in no count", page.items[0])
    (tmp_path / "nothing").mkdir()
    few = tmp_path / "few"
    few.write_bytes(printed(tmp_path / "json", "--format=json", "-n", "1", tmp_path / "nothing"))
    page = Page(printed(few, "--format=html", tmp_path / "nothing").decode())
    assert not page.paths and "Not known" in page.sections["history"]
    assert page.stacks[-1] == ["[left out of the report]"]
    assert any("had left out" in item for item in page.items)


