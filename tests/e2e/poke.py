#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A hostile host: changes a guest's memory behind the VMM's back.

poke.py PID GPA          flip one bit of the byte there
poke.py PID GPA SECONDS  write another byte there all the time, never the right one
"""
import random
import sys
import time


def main():
    pid, gpa = sys.argv[1], int(sys.argv[2], 0)
    seconds = float(sys.argv[3]) if len(sys.argv) > 3 else 0
    with open(f"/proc/{pid}/maps") as maps:
        base = next(int(line.split("-")[0], 16) for line in maps if "csvvmm-guest-ram" in line)
    with open(f"/proc/{pid}/mem", "r+b", buffering=0) as mem:
        mem.seek(base + gpa)
        was = mem.read(1)[0]
        end = time.monotonic() + seconds
        while True:
            mem.seek(base + gpa)
            mem.write(bytes([was ^ random.randint(1, 255)] if seconds else [was ^ 1]))
            if time.monotonic() >= end:
                return


try:
    main()
except (OSError, StopIteration) as e:
    if len(sys.argv) <= 3:  # in a race the guest may end first
        sys.exit(f"poke.py: {e}")
