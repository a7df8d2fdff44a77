"""Readers of other people's formats, by their specifications: each gives what a file says of its call stacks,
as {(outermost, ..., leaf): counters}.  They complain of what the format's own reader would stumble over."""
import collections
import gzip
import json
import re


def label(frame):
    """What an export calls a frame of the JSON report."""
    name = frame["function"] or f"{(frame['module'] or '').rsplit('/', 1)[-1] or '[no module]'}+{frame['offset']}"
    return name + (" (guessed)" if frame.get("guess") and not frame["inlined"] else "")


def cut_of(context):
    return [] if context["stack_end"] == "root" and context["stack"] else [f"[stack cut: {context['stack_end']}]"]


def of_json(report, name=label, skip=False, counters=("in_use_bytes",)):
    """What the JSON report says, the same way; skip: without the way into the allocator."""
    stacks = collections.Counter()
    for context in report["contexts"]:
        stack = context["stack"]
        if skip:
            stack = without_allocator(stack)
        key = (*cut_of(context), *(name(f) for f in reversed(stack)))
        stacks[key] += sum(context[c] for c in counters)
    return +stacks


def without_allocator(stack):
    """Leaf frames are left out as long as all functions at an address are the allocator's."""
    frames, begin = [], 0
    for i, line in enumerate(stack):
        if not line["inlined"]:
            frames.append(stack[begin:i + 1])
            begin = i + 1
    for i, frame in enumerate(frames):
        if not all(line.get("allocator") for line in frame):
            return [line for f in frames[i:] for line in f]
    return stack


# ---- pprof: profile.proto ----------------------------------------------------------------------

def _varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 0x7f) << shift
        shift += 7
        at += 1
        if not data[at - 1] & 0x80:
            return value, at


def message(data):
    """A protocol buffer: {field: [values]}; bytes stay bytes."""
    fields, at = collections.defaultdict(list), 0
    while at < len(data):
        tag, at = _varint(data, at)
        value, at = _varint(data, at)
        assert tag & 7 in (0, 2), "only varints and what has a length"
        if tag & 7 == 2:
            assert at + value <= len(data)
            value, at = data[at:at + value], at + value
        fields[tag >> 3].append(value)
    return fields


def packed(data):
    values, at = [], 0
    while at < len(data):
        value, at = _varint(data, at)
        values.append(value)
    return values


class Pprof:
    def __init__(self, path):
        profile = message(gzip.decompress(path.read_bytes()))
        self.strings = [s.decode() for s in profile[6]]
        assert self.strings[0] == "" and len(set(self.strings)) == len(self.strings)
        self.types = [tuple(self.strings[message(t)[i][0]] for i in (1, 2)) for t in profile[1]]
        self.default = self.strings[profile[14][0]]
        self.comment = self.strings[profile[13][0]]
        self.time, self.duration = profile[9][0], profile[10][0]
        self.functions = self._by_id(profile[5])
        self.mappings = self._by_id(profile[3])
        self.locations = self._by_id(profile[4])
        self.samples = [message(s) for s in profile[2]]

    @staticmethod
    def _by_id(messages):
        found = {m[1][0]: m for m in map(message, messages)}
        assert len(found) == len(messages) and 0 not in found
        return found

    def text(self, message_, field):
        return self.strings[message_[field][0]]

    def lines(self, location):
        """[(function, file, line)], innermost first."""
        for line in map(message, self.locations[location][4]):
            function = self.functions[line[1][0]]
            yield self.text(function, 2), self.text(function, 4), (line[2] or [0])[0]

    def stacks(self, value):
        """By the number of the sample type."""
        found = collections.Counter()
        for sample in self.samples:
            names = [line[0] for at in packed(sample[1][0]) for line in self.lines(at)]
            values = packed(sample[2][0])
            assert len(values) == len(self.types)
            found[tuple(reversed(names))] += values[value]
        return +found

    def modules(self):
        """{path: {(begin, end, build-id)}}, the main one first."""
        found = {}
        for m in self.mappings.values():
            found.setdefault(self.text(m, 5), set()).add((m[2][0], m[3][0], self.text(m, 6)))
        return found

    def addresses(self):
        """Each location with an address is within its mapping."""
        for location in self.locations.values():
            if location[2]:
                mapping = self.mappings[location[2][0]]
                assert mapping[2][0] <= location[3][0] < mapping[3][0]
        return sorted(at[3][0] for at in self.locations.values() if at[3])


# ---- the others ---------------------------------------------------------------------------------

def speedscope(path):
    """{name of the profile: stacks}; by file-format-schema.json."""
    file = json.loads(path.read_text())
    assert file["$schema"] == "https://www.speedscope.app/file-format-schema.json"
    frames = file["shared"]["frames"]
    assert all(set(f) <= {"name", "file", "line", "col"} and isinstance(f["name"], str) for f in frames)
    found = {}
    for profile in file["profiles"]:
        assert profile["type"] == "sampled" and len(profile["samples"]) == len(profile["weights"])
        assert profile["startValue"] == 0 and profile["endValue"] == sum(profile["weights"])
        assert profile["unit"] in ("none", "nanoseconds", "microseconds", "milliseconds", "seconds", "bytes")
        stacks = found[profile["name"]] = collections.Counter()
        for sample, weight in zip(profile["samples"], profile["weights"]):
            stacks[tuple(frames[i]["name"] for i in sample)] += weight
    return found


def heaptrack(path):
    """(stacks by bytes, by blocks, command): version 2, every number defined before it is used."""
    strings, ips, traces, infos = [None], [None], [()], []
    live, sizes, blocks, last = collections.Counter(), collections.Counter(), collections.Counter(), 0
    lines = path.read_text().split("\n")
    assert lines.pop() == "" and lines[0] == "v 10400 2" and lines[1].startswith("X ")
    for line in lines[2:]:
        kind, _, rest = line.partition(" ")
        if kind == "s":
            strings.append(rest)
            continue
        numbers = [int(n, 16) for n in rest.split(" ")]
        if kind == "i":
            assert len(numbers) >= 2 and len(numbers[2:]) % 3 == 0
            ips.append([strings[n] for n in numbers[2::3]])
            assert numbers[1] < len(strings) and all(n < len(strings) for n in numbers[3::3])
        elif kind == "t":
            traces.append(traces[numbers[1]] + tuple(reversed(ips[numbers[0]])))
        elif kind == "a":
            infos.append((numbers[0], traces[numbers[1]]))
        elif kind == "+":
            live[numbers[0]] += 1
        elif kind == "c":
            assert numbers[0] >= last
            last = numbers[0]
        else:
            assert kind in "IR", line
    for info, count in live.items():
        sizes[infos[info][1]] += infos[info][0] * count
        blocks[infos[info][1]] += count
    return +sizes, blocks, lines[1][2:]


PLACE = re.compile(r"0x[0-9A-F]+: (.*) \((?:in (.*)|(.*):(\d+))\)|(?:0x0: )?(\[.*\])", re.S)


def place(text):
    """(function, module, file, line) of a line of valgrind's tools."""
    function, module, file, line, none = PLACE.fullmatch(text).groups()
    return none or function, module, file, line


def dhat(path):
    """{field: stacks}, for the fields that count."""
    file = json.loads(path.read_text())
    assert (file["dhatFileVersion"], file["mode"], file["ftbl"][0]) == (2, "heap", "[root]")
    assert isinstance(file["te"], int) and file["tg"] <= file["te"]
    found = {name: collections.Counter() for name in ("tb", "tbk", "mb", "gb", "gbk", "eb", "ebk")}
    seen = set()
    for point in file["pps"]:
        assert tuple(point["fs"]) not in seen  # its reader asserts it
        seen.add(tuple(point["fs"]))
        key = tuple(place(file["ftbl"][i])[0] for i in reversed(point["fs"]))
        for name, stacks in found.items():
            stacks[key] += point[name]
    return {name: +stacks for name, stacks in found.items()}


def massif(path):
    """(stacks, without those below the threshold, whose bytes are under None; [(time, bytes, extra)] of
    the snapshots; the command)."""
    lines = [line for line in re.sub(r"#.*", "", path.read_text()).split("\n") if line.strip()]
    assert lines[0].startswith("desc:") and lines[1].startswith("cmd:") and lines[2] == "time_unit: ms"
    stacks, course, at = collections.Counter(), [], 3

    def tree(depth, path):
        nonlocal at
        match = re.fullmatch(r"( *)n(\d+): (\d+) (.*)", lines[at])
        indent, children, size, text = match.groups()
        assert len(indent) == depth
        at += 1
        size = int(size)
        if re.fullmatch(r"in \d+ places?, all below massif's threshold \(0\.10%\)", text):
            stacks[None] += size
            return size
        here = path + (place(text)[0],) if depth else ()
        inside = sum(tree(depth + 1, here) for _ in range(int(children)))
        assert inside <= size
        if size > inside:
            assert depth, "all bytes are somebody's"
            stacks[tuple(reversed(here))] += size - inside
        return size

    while at < len(lines):
        values = dict(line.split("=") for line in lines[at:at + 6])
        course.append((int(values["time"]), int(values["mem_heap_B"]), int(values["mem_heap_extra_B"])))
        at += 6
        if values["heap_tree"] == "detailed":
            assert tree(0, ()) == course[-1][1]
    return stacks, course, lines[1][4:].strip()


def gperftools(path):
    """({addresses, outermost first: (blocks, bytes, allocs, allocated)}, total, mappings)."""
    head, maps = path.read_text().split("\nMAPPED_LIBRARIES:\n")
    row = re.compile(r" *(\d+): +(\d+) \[ *(\d+): +(\d+)\] @(.*)")
    lines = head.splitlines()
    total = row.fullmatch(lines[0].removeprefix("heap profile: "))
    assert total[5] == " heapprofile"
    stacks = {}
    for line in lines[1:]:
        match = row.fullmatch(line)
        addresses = tuple(int(a, 16) for a in reversed(match[5].split()))
        values = tuple(map(int, match.groups()[:4]))
        stacks[addresses] = tuple(a + b for a, b in zip(values, stacks.get(addresses, (0, 0, 0, 0))))
    return stacks, tuple(map(int, total.groups()[:4])), [
        re.fullmatch(r"([0-9a-f]+)-([0-9a-f]+) r-xp ([0-9a-f]+) 00:00 0 (.*)", line).groups() for line in maps.splitlines()]
