"""JSON reports (doc/json.md) as tests look at them: each call stack with its frames themselves, one per function, those
that are inlined before the one that they are inlined into, each with its module."""
import json


def functions_at(frame, modules):
    module = {} if frame["module"] is None else modules[frame["module"]]
    place = {name: frame[name] for name in ("pc", "offset")} | {
        "module": module.get("path"), "build_id": module.get("build_id")}
    marks = {name: frame[name] for name in ("guess", "exact") if name in frame}
    own = {name: frame[name] for name in ("function", "file", "line", "allocator") if name in frame}
    return [{**place, **marks, **line, "inlined": True} for line in frame.get("inlined", [])] + [
        {**place, **marks, **own, "inlined": False}]


def load(text):
    report = json.loads(text)
    assert report["version"] == 2
    frames = [functions_at(frame, report["modules"]) for frame in report.pop("frames")]
    for context in report["contexts"] + report.get("mapping_contexts", []):
        context["stack"] = [line for frame in context["stack"] for line in ([frame] if isinstance(frame, dict)
                                                                            else frames[frame])]
    return report
