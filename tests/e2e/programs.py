"""Real programs whose allocations are the same in every run: what they are given."""
import os
import socket
import subprocess

import memtrace

PYTHON = "/usr/bin/python3"

C_FILE = r"""
#include <stdio.h>
#include <stdlib.h>
struct item { int key; char *name; struct item *next; };
static int sum(const struct item *item)
{
	int total = 0;
	for (; item; item = item->next)
		total += item->key % 7 ? item->key : -1;
	return total;
}
int main(int argc, char **argv)
{
	struct item *list = NULL;
	for (int i = 0; i < argc * 100; i++) {
		struct item *one = malloc(sizeof(*one));
		*one = (struct item){i, argv[i % argc], list};
		list = one;
	}
	printf("%d\n", sum(list));
	return 0;
}
"""

PYTHON_TEXT = """
import json, re
d = {str(i): [i, str(i) * 3, {'k': i}] for i in range(SIZE)}
t = json.dumps(d, sort_keys=True)
assert json.loads(t) == d
print(len(t), len(re.findall(r'\\d+', t)))
"""

SQL_TEXT = """
create table t(a integer primary key, b text);
with recursive c(x) as (select 1 union all select x + 1 from c where x < SIZE)
    insert into t select x, hex(x * 7919) from c;
create index i on t(b);
select count(*), sum(length(b)), max(b) from t where b like '%3%' group by a % 5;
update t set b = b || 'x' where a % 3 = 0;
select group_concat(b) from (select b from t order by b desc limit 20);
pragma integrity_check;
"""

PERL_TEXT = ("my %h; $h{$_} = [map { $_ x 3 } 1..5] for 1..SIZE; "
             "my @k = sort { $a <=> $b } keys %h; my $t = join ',', map { \"$_=@{$h{$_}}\" } @k; "
             "my $n = () = $t =~ /(\\d+)=/g; print \"$n\\n\";")


def cc1():
    return subprocess.run(["gcc", "-print-prog-name=cc1"], capture_output=True, text=True,
                          check=True).stdout.strip()


def cc1_argv(directory, header="stdio.h"):
    """cc1 on a preprocessed file, so that it reads nothing else."""
    source = directory / "case.c"
    source.write_text(C_FILE)
    done = directory / "case.i"
    subprocess.run(["gcc", "-E", "-o", done, source], check=True)
    return [cc1(), "-quiet", "-O2", "-fpreprocessed", str(done), "-o", str(directory / "case.s")]


def python_argv(size):
    return [PYTHON, "-S", "-s", "-c", PYTHON_TEXT.replace("SIZE", str(size))]


def sqlite_argv(size):
    return ["sqlite3", ":memory:", SQL_TEXT.replace("SIZE", str(size))]


def perl_argv(size):
    return ["perl", "-e", PERL_TEXT.replace("SIZE", str(size))]


def steady_env(**more):
    """Surroundings in which a program allocates the same in every run."""
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LC_ALL": "C", "PYTHONHASHSEED": "0",
           "PERL_HASH_SEED": "0", "PERL_PERTURB_KEYS": "0", "PYTHONMALLOC": "malloc",
           "PYTHONDONTWRITEBYTECODE": "1", "GIT_CONFIG_NOSYSTEM": "1"}
    if memtrace.SAN:
        # What is preloaded into the program comes before libasan in memtrace.
        env["ASAN_OPTIONS"] = "verify_asan_link_order=0"
    env.update(more)
    return env


def git_repository(directory):
    """A small history, the same whenever it is made."""
    env = steady_env(GIT_AUTHOR_DATE="2020-01-01T00:00:00Z", GIT_COMMITTER_DATE="2020-01-01T00:00:00Z",
                     GIT_AUTHOR_NAME="a", GIT_AUTHOR_EMAIL="a@b", GIT_COMMITTER_NAME="a",
                     GIT_COMMITTER_EMAIL="a@b")
    where = directory / "history"

    def git(*args):
        subprocess.run(["git", "-C", where, *args], check=True, env=env, stdout=subprocess.DEVNULL)

    where.mkdir()
    git("init", "-q")
    for number in range(4):
        for name in ("one", "two", "three"):
            text = "".join(f"{name} {line * number}\n" for line in range(200))
            (where / name).write_text(text)
        git("add", ".")
        git("commit", "-q", "-m", f"number {number}")
    return where


BASH_TEXT = """
for i in {1..200}; do a[$i]=x$i; s="$s${a[$i]}"; done
f() { local n=$1; (( n > 0 )) && f $((n - 1)); }
f 30
echo ${#s} ${a[@]/x/y} | { read -r line; echo ${#line}; }
case $s in *x77*) echo yes;; esac
"""


class RedisSocket:
    """A redis-server that listens on nothing but the socket `path`, and its only client."""

    @staticmethod
    def command(path):
        return ["redis-server", "--port", "0", "--unixsocket", path, "--save", "", "--dir",
                os.path.dirname(path)]

    def __init__(self, process, path):
        process.wait_line("eady to accept connections|now ready to accept")
        self.client = socket.socket(socket.AF_UNIX)
        self.client.connect(path)
        self.replies = self.client.makefile("rb")

    def push_lists(self):
        for i in range(50):
            self.client.sendall(b"RPUSH list%d %s\r\n" % (i, b"x" * (10 * i + 1)))
            assert self.replies.readline().startswith(b":")

    def flush(self):
        self.client.sendall(b"FLUSHALL\r\n")
        assert self.replies.readline() == b"+OK\r\n"
