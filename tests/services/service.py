"""A service in Python: what its extension forgets leaks, 40 objects for each line on its input, and a cache grows."""
import sys, leaky
cache = {}
used_up = [bytes(5000) for i in range(100)]  # what was freed while Python started: old words still lead there
def serve():
    for i in range(40):
        leaky.serve(b"x")
        cache[len(cache)] = bytearray(3000)
serve()
print("READY", flush=True)
for line in sys.stdin:
    serve()
    print("OK", flush=True)
