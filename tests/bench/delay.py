#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""delay.py MS PORT: a line to PORT on which everything takes MS milliseconds more, each way. Its port is its first line."""
import queue
import socket
import sys
import threading
import time


def late(come, go):
    """What comes in is kept until it is due; an empty piece is the end."""
    waiting = queue.Queue(4096)

    def send():
        data = b"."
        while data:
            due, data = waiting.get()
            time.sleep(max(0, due - time.monotonic()))
            go.sendall(data)
        go.shutdown(socket.SHUT_WR)

    threading.Thread(target=send).start()
    data = b"."
    while data:
        data = come.recv(1 << 20)
        waiting.put((time.monotonic() + int(sys.argv[1]) / 1000, data))


listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
near = listener.accept()[0]
far = socket.create_connection(("127.0.0.1", int(sys.argv[2])))
for s in (near, far):
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
threading.Thread(target=late, args=(far, near)).start()
late(near, far)
