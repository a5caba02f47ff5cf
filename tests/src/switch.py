"""The switch between the hosts of a test: see hosts.rs, which starts it.

Reads one line of JSON that says what there is, answers `ready`, then reads a line for each change of the links, and
ends with its standard input. Packets are IPv4; the host is the last byte of the address less one.
"""

import ctypes
import fcntl
import heapq
import json
import os
import random
import select
import socket
import struct
import sys
import threading
import time

CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
PACKETS_MAX = 20_000  # on the way, all links together; more are lost, as a full queue loses them

libc = ctypes.CDLL(None, use_errno=True)
own_namespace = os.open("/proc/self/ns/net", os.O_RDONLY)


def enter(descriptor):
    """Moves this thread, and the sockets that it opens from now on, into a namespace."""
    if libc.setns(descriptor, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def open_device(namespace, device):
    enter(namespace)
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH", device.encode(), IFF_TUN | IFF_NO_PI))
    enter(own_namespace)
    return tun


def pump(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass
    for end in (source, sink):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def relay(listener, namespace, port):
    """Hands connections to a port of this host on to the same port of 127.0.0.1 in a namespace."""
    while True:
        outside, _ = listener.accept()
        try:
            enter(namespace)
            inside = socket.create_connection(("127.0.0.1", port), timeout=5)
            inside.settimeout(None)
        except OSError:
            outside.close()
            continue
        finally:
            enter(own_namespace)
        for ends in ((outside, inside), (inside, outside)):
            threading.Thread(target=pump, args=ends, daemon=True).start()


def switch(devices, links, seed):
    """`links[0]` is from whom to whom [delay, jitter, loss] in seconds and as a probability, or null for a cut."""
    draw, queue, number = random.Random(seed), [], 0
    while True:
        wait = max(0.0, queue[0][0] - time.monotonic()) if queue else 1.0
        readable, _, _ = select.select(devices, [], [], min(wait, 1.0))
        for device in readable:
            origin = devices.index(device)
            for _ in range(64):
                try:
                    packet = os.read(device, 65536)
                except OSError:
                    break
                to = packet[19] - 1 if len(packet) > 19 and packet[0] >> 4 == 4 else -1
                link = links[0][origin][to] if 0 <= to < len(devices) else None
                if link is None or draw.random() < link[2] or len(queue) >= PACKETS_MAX:
                    continue
                number += 1
                heapq.heappush(queue, (time.monotonic() + link[0] + draw.random() * link[1], number, to, packet))
        now = time.monotonic()
        while queue and queue[0][0] <= now:
            _, _, to, packet = heapq.heappop(queue)
            try:
                os.write(devices[to], packet)
            except OSError:
                pass  # a device that takes nothing loses the packet


def main():
    plan = json.loads(sys.stdin.readline())
    namespaces = [os.open(f"/run/netns/{name}", os.O_RDONLY) for name in plan["namespaces"]]
    devices = [open_device(namespace, plan["device"]) for namespace in namespaces]
    for namespace, port in zip(namespaces, plan["ports"]):
        listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=relay, args=(listener, namespace, port), daemon=True).start()
    links = [plan["links"]]
    threading.Thread(target=switch, args=(devices, links, plan["seed"]), daemon=True).start()
    print("ready", flush=True)
    for line in sys.stdin:
        links[0] = json.loads(line)
        print("done", flush=True)


main()
