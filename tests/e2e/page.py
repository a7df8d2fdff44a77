"""A reader of the page that --format=html writes: what it says, and that nothing in it is markup, a script or an
address but what is meant to be; and of the data in it (doc/page.md)."""
import base64
import html.parser
import json
import pathlib

WEB = pathlib.Path(__file__).resolve().parent.parent.parent / "web" / "dist"

TAGS = set("""html head meta title style body section div h1 h2 p ul li pre figure figcaption svg line path text details
summary table thead tbody tr th td small b ol footer script""".split())
ATTRIBUTES = set("""lang charset http-equiv content name id class hidden type data-v title viewbox role aria-label x1
y1 x2 y2 x y text-anchor d""".split())


class Page(html.parser.HTMLParser):
    """sections: {id: text}; rows: {id of the section: [[(data-v, text) of each cell]]}; stacks: [[line]] of
    the call stacks, beside rows["stacks"]; scripts, styles: their texts."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.sections, self.rows, self.stacks, self.scripts, self.styles = {"": ""}, {}, [], [], []
        self.headline, self.items, self.paths, self.summaries = "", [], [], []
        self.section, self.into = "", None
        self.feed(text)
        self.close()
        self.data = json.loads(self.scripts[0])

    def handle_starttag(self, tag, attributes):
        assert tag in TAGS, tag
        values = dict(attributes)
        assert set(values) <= ATTRIBUTES, values
        self.into = tag
        if tag == "section":
            self.section = values["id"]
            self.sections[self.section] = ""
            self.rows[self.section] = []
        elif tag == "tr":
            self.rows[self.section].append([])
        elif tag == "td":
            self.rows[self.section][-1].append([values.get("data-v"), ""])
        elif tag == "path":
            self.paths.append((values["class"], values["d"]))
        else:
            for name, place in {"li": self.items, "summary": self.summaries, "script": self.scripts,
                                "style": self.styles}.items():
                if tag == name:
                    place.append("")
            if tag == "details" and self.section == "stacks":
                self.stacks.append([])
            if tag == "li" and self.section == "stacks":
                self.stacks[-1].append("")

    def handle_endtag(self, tag):
        if tag == "section":
            self.section = ""
        self.into = None

    def handle_data(self, data):
        self.sections[self.section] += data
        if self.into == "h1":
            self.headline += data
        elif self.into in ("td", "b"):
            self.rows[self.section][-1][-1][1] += data.rstrip("\n")
        elif self.into in ("li", "summary", "script", "style"):
            {"li": self.items, "summary": self.summaries, "script": self.scripts,
             "style": self.styles}[self.into][-1] += data
            if self.into == "li" and self.section == "stacks":
                self.stacks[-1][-1] += data.rstrip("\n")

    def handle_comment(self, data):
        raise AssertionError(data)

    handle_pi = unknown_decl = handle_comment


def numbers(text):
    """Those of LEB128 in base64."""
    value = shift = 0
    for byte in base64.b64decode(text, validate=True):
        value |= (byte & 127) << shift
        shift += 7
        if not byte & 128:
            yield value
            value = shift = 0


def changes(text):
    """{id: (allocs, frees, allocated bytes, freed bytes)}."""
    found, values, id_ = {}, iter(numbers(text)), -1
    for step in values:
        id_ += step
        found[id_] = tuple(next(values) for _ in range(4))
    return found


def lines_of(data, node):
    """Of the stack that ends at a node, leaf first: (name, file, line, inlined, module, pc); the last may be what it
    is cut by, alone."""
    texts, frames, lines, nodes = data["texts"], data["frames"], data["lines"], data["nodes"]
    if "first" not in frames:
        frames["first"] = [0]
        for many in frames["lines"]:
            frames["first"].append(frames["first"][-1] + many)
    found = []
    while node >= 0:
        frame = nodes["frame"][node]
        for k in range(frames["first"][frame], frames["first"][frame + 1]):
            module = frames["module"][frame]
            found.append((texts[lines["name"][k]], texts[lines["file"][k]], lines["line"][k], bool(lines["inlined"][k]),
                          data["modules"][module - 1] if module else "", frames["pc"][frame]))
        back = nodes["caller"][node]
        node = node - back if back > 0 else back - 1
    if node < -1 or not found:
        found.append((data["ends"][-1 - node],))
    return found


def contexts(data):
    """A dictionary each, with "stack" as lines_of()."""
    columns = data["contexts"]
    for values in zip(*columns.values()):
        context = dict(zip(columns, values))
        yield {**context, "stack": lines_of(data, context["node"])}
