"""A reader of the page that --format=html writes: what it says, and that nothing in it is markup, a script or an
address but what is meant to be."""
import html.parser
import pathlib

WEB = pathlib.Path(__file__).resolve().parent.parent.parent / "web"

TAGS = set("""html head meta title style body section h1 h2 p ul li pre figure figcaption svg line path text details
summary table thead tbody tr th td label input output small b ol footer script""".split())
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
