#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# On a terminal: raw while the guest runs, as before when it has ended, however.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
need_kvm
command -v python3 >/dev/null || { skip "terminal" "no python3"; finish; }

guest hello <<<'memory = "16M"'
guest idle <<<'memory = "16M"'
cat >"$TMP/term.py" <<'END'
# term.py CSVVMM TOML HOW: run on a pty of our own, end it as HOW says, print
# "RAW" if it was raw meanwhile, "SAME" if the settings are back, the status.
import os, pty, signal, subprocess, sys, termios, time

csvvmm, toml, how = sys.argv[1:]
master, slave = pty.openpty()
before = termios.tcgetattr(slave)
child = subprocess.Popen([csvvmm, "run", toml], stdin=slave, stdout=slave,
                         stderr=slave, start_new_session=True)
seen = b""
def read():
    global seen
    os.set_blocking(master, False)
    try:
        seen += os.read(master, 4096)
    except BlockingIOError:
        pass
def wait(cond):
    end = time.time() + 60
    while time.time() < end and not cond():
        read()
        time.sleep(0.02)
    return cond()
def vmm():
    kids = open(f"/proc/{child.pid}/task/{child.pid}/children").read().split()
    return int(kids[0])
if how != "normal":
    wait(lambda: b"idle" in seen)
    if not termios.tcgetattr(slave)[3] & (termios.ICANON | termios.ECHO):
        print("RAW")
if how == "keys":
    os.write(master, b"\x01x")
elif how == "term":
    child.terminate()
elif how == "kill":
    os.kill(vmm(), signal.SIGKILL)
elif how == "sys":
    os.kill(vmm(), signal.SIGSYS)
wait(lambda: child.poll() is not None)
read()
print("STATUS", child.poll())
if termios.tcgetattr(slave) == before:
    print("SAME")
sys.stdout.write(seen.decode(errors="replace"))
END

# terminal HOW GUEST STATUS 'words'
terminal() {
	python3 "$TMP/term.py" "$CSVVMM" "$TMP/$2.toml" "$1" >"$TMP/out" 2>&1
	[ "$1" = normal ] || check "$1: raw while it runs" has "$TMP/out" RAW
	check "$1: exit status $3" has "$TMP/out" "STATUS $3"
	check "$1: the settings are back" has "$TMP/out" SAME
	check "$1: words" has "$TMP/out" "$4"
	check "$1: no process is left" wait_for clean_processes
}
clean_processes() { ! grep -lsz "^$TMP/.*toml" /proc/[0-9]*/cmdline >/dev/null; }

terminal normal hello 0 'powered off'
terminal keys idle 13 'killed by the operator'
terminal term idle 13 'killed by the operator'
terminal kill idle 14 'killed by signal 9'
terminal sys idle 14 'the sandbox refused a system call'
finish
