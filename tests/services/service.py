"""A service in Python: what its extension forgets leaks, 40 objects for each line on its input, and a cache grows."""
import sys, leaky
cache = {}
def serve():
    for i in range(40):
        leaky.serve(b"x")
        cache[len(cache)] = bytearray(3000)
serve()
print("READY", flush=True)
for line in sys.stdin:
    serve()
    print("OK", flush=True)
