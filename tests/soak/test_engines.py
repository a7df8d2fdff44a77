"""Stacks and counts of the agent against the trap's, frame by frame, over a million allocations of real programs.

SIZE (1) multiplies what they do."""
import os
import subprocess

import pytest

import programs
from test_both_engines import both
from test_counts import fixed_addresses

SIZE = int(os.environ.get("SIZE", "1"))

THROWS = r"""
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>
#include <cstdio>
#include <cstdlib>
struct failure : std::runtime_error {
	std::vector<int> way;
	failure(const std::string &what, int depth) : std::runtime_error(what), way(depth) {}
};
static unsigned seed = 1;
static unsigned any(unsigned below) { return (seed = seed * 1664525 + 1013904223) / 65536 % below; }
struct node { std::string name; std::unique_ptr<node> below; };
__attribute__((noinline)) static std::unique_ptr<node> build(int depth)
{
	auto made = std::make_unique<node>();
	made->name = std::string(20 + any(200), 'x');
	if (any(40) == 0)
		throw failure("at depth " + std::to_string(depth) + std::string(30, '.'), depth + 1);
	if (depth && any(3))
		made->below = build(depth - 1);
	else if (depth)
		try {
			made->below = build(depth - 1);
		} catch (const failure &f) {
			made->name += f.what();
			if (any(2))
				throw;
		}
	return made;
}
int main(int, char **argv)
{
	std::map<int, std::vector<std::unique_ptr<node>>> kept;
	size_t caught = 0, length = 0;
	for (int i = 0; i < std::atoi(argv[1]); i++)
		try {
			kept[any(50)].push_back(build(12));
			if (any(20) == 0)
				kept.erase(any(50));
		} catch (const std::exception &e) {
			caught++;
			length += std::string(e.what()).size();
		}
	std::printf("%zu %zu\n", caught, length);
}
"""


def throws(directory):
    program = directory / "throws"
    subprocess.run(["g++", "-O2", "-o", program, "-xc++", "-"], check=True, text=True, input=THROWS)
    return [program, str(45000 * SIZE)]


def cc1(directory):
    """A file of many functions: a compiler has thousands of call stacks."""
    argv = programs.cc1_argv(directory)
    source = directory / "case.i"
    one = "\n".join(f"int f{i}(int *a, int n) {{ int s = {i}; for (int k = 0; k < n; k++) s += a[k] * {i % 7} ^ (s >> {i % 5});"
                    f" return s > 9 ? f{max(0, i - 1)}(a, n / 2) : s; }}" for i in range(150 * SIZE))
    source.write_text(source.read_text() + one + "\n")
    return argv


PROGRAMS = {
    "python3": lambda directory: programs.python_argv(25000 * SIZE),
    "perl": lambda directory: programs.perl_argv(70000 * SIZE),
    "cc1": cc1,
    "sqlite3": lambda directory: programs.sqlite_argv(420000 * SIZE),
    "throws": throws,
}


@pytest.mark.limit(3600)
@pytest.mark.parametrize("name", PROGRAMS)
def test_same_stacks(tmp_path, name):
    _, report = both(tmp_path, PROGRAMS[name](tmp_path), preexec_fn=fixed_addresses, env=programs.steady_env(),
                     timeout=3600)
    summary = report["summary"]
    stacks = len(report["contexts"])
    ends = {}
    for context in report["contexts"]:
        ends[context["stack_end"]] = ends.get(context["stack_end"], 0) + context["allocs"]
    print(f"{name}: {summary['allocs']} allocations, {summary['frees']} frees, {stacks} call stacks {ends},"
          f" {report['stopped_calls']} calls stopped; 0 differences")
