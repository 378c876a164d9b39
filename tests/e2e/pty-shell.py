#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""pty-shell.py FOLDER: an interactive bash there, with a terminal and job control, is typed what standard input holds.

Prints all that was on the terminal; at the end END=N is the status of the last command.
"""
import os
import pty
import select
import signal
import sys
import time

text = sys.stdin.read() + 'echo "EN""D=$?"\nexit\n'
pid, master = pty.fork()
if not pid:
    os.chdir(sys.argv[1])
    os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])
for line in text.splitlines(keepends=True):
    os.write(master, line.encode())
seen = b""
end = time.time() + 120
while time.time() < end:
    if not select.select([master], [], [], 1)[0]:
        continue
    try:
        seen += os.read(master, 4096)
    except OSError:
        break
else:
    os.kill(pid, signal.SIGKILL)
sys.stdout.write(seen.decode(errors="replace"))
