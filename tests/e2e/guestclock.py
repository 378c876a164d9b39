#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""How far a guest's kvm-clock is ahead of this host's CLOCK_MONOTONIC_RAW: between which two numbers, in ns.

guestclock.py SOCKET

The guest (tests/guest/moves.c with "time") is asked at its console: it looked at its clock after the question was sent
and before the answer was here, however long either took. Many questions give a narrow answer.
"""
import socket
import sys
import time

QUESTIONS = 40


def raw():
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)


def main():
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(30)
        sock.connect(sys.argv[1])
        low, high, rest = None, None, b""
        for _ in range(QUESTIONS):
            before, answer = raw(), None
            sock.sendall(b"?")
            while answer is None:
                more = sock.recv(4096)
                after = raw()
                if not more:
                    sys.exit("the guest is gone")
                *lines, rest = (rest + more).split(b"\n")
                for line in lines:
                    if b"FAIL" in line:
                        sys.exit("the guest: " + line.decode())
                    if line.startswith(b"clock "):
                        answer = int(line[6:])
            low = answer - after if low is None else max(low, answer - after)
            high = answer - before if high is None else min(high, answer - before)
        print(low, high)


main()
