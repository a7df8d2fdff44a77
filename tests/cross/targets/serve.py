"""Answers datagrams on port 69: each with the same work, through much of the interpreter."""
import _socket
import gc
import hashlib
import re


class Row:
    def __init__(self, text):
        self.text = text

    def __lt__(self, other):
        return self.text < other.text

    def __repr__(self):
        return "<" + self.text * 4 + ">"


def words(data):
    yield from (match.group() for match in re.finditer(r"\w+", data))


def work(data):
    rows = [Row(word) for word in words(data.decode() * 2)]
    rows.sort()
    table = {row.text * (i % 7): [repr(row)] * 9 for i, row in enumerate(rows)}
    text = ",".join(map(str, table.values()))
    return hashlib.sha256(re.sub("(b+)", lambda match: match.group(1).upper() * 9, text).encode()).digest()


gc.disable()  # every answer takes the same way
server = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
server.bind(("0.0.0.0", 69))
print("READY", flush=True)
while True:
    data, sender = server.recvfrom(2000)
    server.sendto(work(data), sender)
