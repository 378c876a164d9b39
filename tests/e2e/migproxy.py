#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Between the two sides of a migration: knows greetings and records, and spoils one of them.

migproxy.py PORT SIDE:RECORD[:NTH] ACTION [ARGUMENT]...

Listens on a free port of 127.0.0.1 (its first line), hands on to PORT. The NTH
(1) RECORD of SIDE (S source, T target; "greeting", a name as in docs/WIRE.md
with - for blanks, or a number) gets this ACTION:

  pass            nothing (each record is a line on standard output anyhow)
  cut             is lost, and both connections with it (RST)
  cut-after       goes on, then the same
  hangup          is lost, then end of file both ways
  half            is lost, then end of file towards its receiver only; the rest stays open
  stall           is lost, nothing moves any more, nobody hangs up
  stall-after     goes on, then the same
  kill PID        SIGKILLs PID, which must live when the proxy starts, when it has come; hands nothing on
  kill-before PID SIGKILLs PID, then hands it on
  kill-after PID  hands it on, then SIGKILLs PID
  kill-child PID  SIGKILLs the only child of PID when it has come, hands it on
  flip OFF [BIT]  a bit of it is another one
  set OFF HEX     bytes of it are others (negative: from its end)
  cut-at N        only N bytes of it, then end of file
  body HEX        another body, of its own length
  head HEX        another head
  drop            is lost
  dup             comes twice
  swap            comes after the next one
  insert TYPE HEX another record comes before it
  replay          once more, right before the next "end"
  keep FILE       goes to FILE instead, and both connections are cut
  from FILE       the one of FILE comes instead
  run CMD         the shell command runs while it is held back
"""
import os
import signal
import socket
import struct
import subprocess
import sys
import threading

NAMES = {1: "offer", 2: "answer", 3: "start", 4: "ready", 5: "sealed-pages", 6: "plain-pages", 7: "zero-pages",
         8: "stopped", 9: "shared-pages", 10: "VMSA", 11: "vCPU", 12: "machine", 13: "devices", 14: "end",
         15: "prepared", 16: "commit", 17: "running", 18: "fail",
         19: "sync", 20: "synced"}
lock = threading.Lock()
stalled = threading.Event()
done = threading.Event()
ends = []


def say(text):
    with lock:
        print(text, flush=True)


def read_all(sock, count):
    data = bytearray()
    while len(data) < count:
        more = sock.recv(min(count - len(data), 1 << 20))
        if not more:
            return bytes(data)
        data += more
    return bytes(data)


def records(sock):
    """(name, bytes) of what comes; a piece at the end is called "piece"."""
    first = read_all(sock, 16)
    if first.startswith(b"csvvmm "):  # the tunnels' own hello
        yield "hello", first
        first = b""
    greeting = first + read_all(sock, 32 - len(first))
    if len(greeting) < 32:
        if greeting:
            yield "piece", greeting
        return
    yield "greeting", greeting
    while True:
        head = read_all(sock, 8)
        if len(head) < 8:
            break
        kind, _, length = struct.unpack("<HHI", head)
        body = read_all(sock, length)
        if len(body) < length:
            yield "piece", head + body
            return
        yield NAMES.get(kind, str(kind)), head + body
    if head:
        yield "piece", head


def reset():
    for sock in ends:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # Somebody may be reading it: a close() alone would wait for him.
        try:
            sock.shutdown(socket.SHUT_RD)
        except OSError:
            pass
        sock.close()
    done.set()


def hang_up():
    for sock in ends:
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
    done.set()


def record(kind, body):
    return struct.pack("<HHI", kind, 0, len(body)) + body


class Process:
    """One that lives now: never another one that got its number later."""
    def __init__(self, pid):
        self.pid = int(pid)
        self.fd = os.pidfd_open(self.pid)

    def kill(self):
        signal.pidfd_send_signal(self.fd, signal.SIGKILL)

    def only_child(self):
        with open("/proc/%d/task/%d/children" % (self.pid, self.pid), encoding="ascii") as f:
            child, = map(Process, f.read().split())
        # While the parent lives, what was its child is still its.
        signal.pidfd_send_signal(self.fd, 0)
        return child


class Direction:
    def __init__(self, side, source, sink, plan):
        self.victim = Process(plan[3][0]) if plan[2].startswith("kill") else None
        self.side, self.source, self.sink = side, source, sink
        self.at, self.nth, self.action, self.args = plan
        self.seen = 0
        self.held = b""
        self.kept = b""

    def send(self, data):
        if not stalled.is_set():
            self.sink.sendall(data)

    def spoil(self, data):
        """The record that was meant. Return: what goes on instead."""
        a, args = self.action, self.args
        say("did %s" % a)
        if a == "cut":
            reset()
        elif a == "cut-after":
            self.send(data)
            reset()
        elif a == "hangup":
            hang_up()
        elif a == "half":
            self.sink.shutdown(socket.SHUT_WR)
            self.send = lambda data: None
        elif a in ("stall", "stall-after"):
            if a == "stall-after":
                self.send(data)
            stalled.set()
        elif a == "kill":
            self.victim.kill()
            hang_up()
        elif a == "kill-after":
            self.send(data)
            self.victim.kill()
        elif a == "kill-before":
            self.victim.kill()
            return data
        elif a == "kill-child":
            self.victim.only_child().kill()
            return data
        elif a == "flip":
            spoilt = bytearray(data)
            spoilt[int(args[0])] ^= 1 << int(args[1] if len(args) > 1 else 0)
            return bytes(spoilt)
        elif a == "set":
            spoilt, new = bytearray(data), bytes.fromhex(args[1])
            at = int(args[0]) % len(spoilt)
            spoilt[at:at + len(new)] = new
            return bytes(spoilt)
        elif a == "cut-at":
            self.send(data[:int(args[0]) % len(data)])
            hang_up()
        elif a == "body":
            return record(struct.unpack("<H", data[:2])[0], bytes.fromhex(args[0] if args else ""))
        elif a == "head":
            return bytes.fromhex(args[0]) + data[8:]
        elif a == "dup":
            return data + data
        elif a == "swap":
            self.held = data
        elif a == "insert":
            return record(int(args[0]), bytes.fromhex("".join(args[1:]))) + data
        elif a == "replay":
            self.kept = data
            return data
        elif a == "keep":
            with open(args[0], "wb") as f:
                f.write(data)
            reset()
        elif a == "from":
            with open(args[0], "rb") as f:
                return f.read()
        elif a == "run":
            subprocess.call(args[0], shell=True)
            return data
        elif a == "pass":
            return data
        elif a != "drop":
            raise SystemExit("no action " + a)
        return b""

    def pump(self):
        try:
            for name, data in records(self.source):
                say("%s %s %d" % (self.side, name, len(data)))
                if name == "end" and self.kept:
                    self.send(self.kept)
                if self.at in (name, "any"):
                    self.seen += 1
                    if self.seen == self.nth:
                        data = self.spoil(data)
                        if self.held:
                            continue
                if data:
                    self.send(data)
                if self.held and data:
                    self.send(self.held)
                    self.held = b""
        except (OSError, ValueError):
            pass
        if stalled.is_set():
            done.wait(60)
        try:
            self.sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def main():
    where, action, args = sys.argv[2].split(":"), sys.argv[3], sys.argv[4:]
    side, at = where[0], where[1]
    plan = (at, int(where[2]) if len(where) > 2 else 1, action, args)
    none = ("", 0, "pass", [])
    with socket.create_server(("127.0.0.1", 0)) as port:
        say("port %d" % port.getsockname()[1])
        up, _ = port.accept()
    down = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
    for sock in (up, down):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    ends.extend((up, down))
    ways = [Direction("S", up, down, plan if side == "S" else none),
            Direction("T", down, up, plan if side == "T" else none)]
    threads = [threading.Thread(target=w.pump, daemon=True) for w in ways]
    for t in threads:
        t.start()
    for t in threads:
        t.join()


main()
