#!/usr/bin/env python3
"""Holds the files of src/ to be layers: none calls, or reads a variable of, one that in the end
calls it back.  What a file wants of which other one the symbols of its object file say
(nm), so it is run on a build folder; one by a compiler that emits machine code into objects (no
-flto)."""
import os
import pathlib
import subprocess
import sys

DEFINED = set("TDBRVWG")


def symbols(build, paths):
    """path, symbol, kind of all of them."""
    nm = [os.environ.get("NM", "nm"), "-P", "-A", *paths]
    for line in subprocess.run(nm, capture_output=True, text=True, check=True, cwd=build).stdout.splitlines():
        path, rest = line.split(": ", 1)
        yield path, *rest.split()[:2]


def uses(build, root):
    """Of each file that has an object (and a source still): those whose symbols it uses, and which."""
    names = {}
    for path in sorted((build / "src").rglob("*.o")):
        name = path.relative_to(build).with_suffix(".c").as_posix()
        if (root / name).exists():
            names[path.relative_to(build).as_posix()] = name
    if not names:
        return {}
    rows = [(names[path], symbol, kind) for path, symbol, kind in symbols(build, names)]
    where = {symbol: name for name, symbol, kind in rows if kind in DEFINED and symbol != "main"}
    graph = {name: {} for name in names.values()}
    for name, symbol, kind in rows:
        if kind == "U" and symbol in where:
            graph[name].setdefault(where[symbol], []).append(symbol)
    return graph


def reachable(graph, start):
    seen, todo = set(), [start]
    while todo:
        for other in graph[todo.pop()]:
            if other not in seen:
                seen.add(other)
                todo.append(other)
    return seen


def circles(graph):
    reach = {name: reachable(graph, name) for name in graph}
    found = {frozenset(b for b in reach[a] if a in reach[b]) for a in graph if a in reach[a]}
    return sorted(sorted(circle) for circle in found)


def main():
    build = pathlib.Path(sys.argv[1])
    graph = uses(build, pathlib.Path(__file__).parent.parent)
    if not graph:
        print(f"circles: no objects in {build}/src")
        return 1
    found = circles(graph)
    for circle in found:
        print(f"circle of {', '.join(circle)}:")
        for name in circle:
            for other in circle:
                if other in graph[name]:
                    print(f"  {name} -> {other}: {', '.join(graph[name][other])}")
    print(f"circles: {f'{len(found)} found' if found else f'none among {len(graph)} files'}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
