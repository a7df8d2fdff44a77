"""A tap device in a network namespace: run in the namespace, with a socket as its input that
the device is handed out by; the namespace is gone when this process and the device are.

    unshare --net python3 tap.py 10.78.0.1/24
"""
import fcntl
import os
import socket
import struct
import subprocess
import sys

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000


def main():
    device = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", b"tap0", IFF_TAP | IFF_NO_PI))
    for command in ("link set lo up", f"addr add {sys.argv[1]} dev tap0", "link set tap0 up"):
        subprocess.run(["ip", *command.split()], check=True)
    peer = socket.socket(fileno=0)
    socket.send_fds(peer, [b"x"], [device])
    os.close(device)
    peer.recv(1)


main()
