"""A file system whose server may stop answering: FUSE, spoken by hand over /dev/fuse.

    python3 stuck_fs.py MOUNTPOINT FILE...     the files, read-only, in one folder

Says READY; at a line on stdin it answers nothing any more and says STUCK; at the next it answers
all, those who wait first, and says FREE.  At the end of stdin it ends, and with it the file system.
The protocol: linux/fuse.h.
"""
import ctypes
import os
import struct
import sys
import threading

LOOKUP, FORGET, GETATTR, OPEN, READ, STATFS, RELEASE, FLUSH, INIT = 1, 2, 3, 14, 15, 17, 18, 25, 26
OPENDIR, READDIR, RELEASEDIR, ACCESS, INTERRUPT, BATCH_FORGET = 27, 28, 29, 34, 36, 42
ENOENT, ENOSYS, ROOT = 2, 38, 1


class Server:
    def __init__(self, point, paths):
        self.files = {os.path.basename(p): open(p, "rb").read() for p in paths}
        self.names = sorted(self.files)
        self.stuck = False
        self.waiting = []
        self.fd = os.open("/dev/fuse", os.O_RDWR)
        options = f"fd={self.fd},rootmode=40000,user_id=0,group_id=0,allow_other"
        if ctypes.CDLL(None, use_errno=True).mount(b"stuck", point.encode(), b"fuse.stuck", 0, options.encode()):
            raise OSError(ctypes.get_errno(), "mount")

    def attributes(self, node):
        size = 0 if node == ROOT else len(self.files[self.names[node - 2]])
        mode = 0o40755 if node == ROOT else 0o100755
        return struct.pack("<QQQQQQIIIIIIIIII", node, size, (size + 511) // 512, 0, 0, 0, 0, 0, 0, mode,
                           2 if node == ROOT else 1, 0, 0, 0, 4096, 0)

    def entries(self, first, size):
        """Of the one folder, from a number on, as many as there is room for."""
        found = b""
        for number, name in list(enumerate(self.names))[first:]:
            entry = struct.pack("<QQII", number + 2, number + 1, len(name), 8) + name.encode()
            entry += bytes(-len(entry) % 8)
            if len(found) + len(entry) > size:
                break
            found += entry
        return found

    def answer(self, kind, node, body):
        """Bytes, or an error number; None: there is no answer to this."""
        if kind == INIT:
            return struct.pack("<IIIIHHIIHHIIIIII", 7, 31, 65536, 0, 0, 0, 65536, 1, 0, 0, 0, 0, 0, 0, 0, 0)
        if kind == LOOKUP:
            name = body.split(b"\0")[0].decode()
            if name not in self.files:
                return ENOENT
            node = self.names.index(name) + 2
            return struct.pack("<QQQQII", node, 0, 0, 0, 0, 0) + self.attributes(node)
        if kind == GETATTR:
            return struct.pack("<QII", 0, 0, 0) + self.attributes(node)
        if kind in (OPEN, OPENDIR):
            return struct.pack("<QII", 0, 0, 0)
        if kind == READ:
            _, offset, size = struct.unpack_from("<QQI", body)
            return self.files[self.names[node - 2]][offset:offset + size]
        if kind == READDIR:
            _, offset, size = struct.unpack_from("<QQI", body)
            return self.entries(offset, size)
        if kind in (FLUSH, RELEASE, RELEASEDIR, ACCESS):
            return b""
        return None if kind in (FORGET, BATCH_FORGET, INTERRUPT) else ENOSYS

    def reply(self, request):
        _, kind, unique, node = struct.unpack_from("<IIQQ", request)
        answer = self.answer(kind, node, request[40:])
        if answer is None:
            return
        error, data = (-answer, b"") if isinstance(answer, int) else (0, answer)
        try:
            os.write(self.fd, struct.pack("<IiQ", 16 + len(data), error, unique) + data)
        except FileNotFoundError:
            pass  # who asked is gone

    def serve(self):
        while True:
            request = os.read(self.fd, 1 << 20)
            if self.stuck:
                self.waiting.append(request)
            else:
                self.reply(request)

    def free(self):
        self.stuck = False
        while self.waiting:
            self.reply(self.waiting.pop(0))


def main(point, *paths):
    server = Server(point, paths)
    threading.Thread(target=server.serve, daemon=True).start()
    print("READY", flush=True)
    if sys.stdin.readline():
        server.stuck = True
        print("STUCK", flush=True)
    if sys.stdin.readline():
        server.free()
        print("FREE", flush=True)
        sys.stdin.readline()
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
