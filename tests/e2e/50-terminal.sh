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
terminal term idle 13 'ended by signal 15'
terminal kill idle 14 'killed by signal 9'
terminal sys idle 14 'the sandbox refused a system call'

# --- a shell's job control -----------------------------------------------------

cat >"$TMP/job.py" <<'END'
# job.py HOW CSVVMM TOML: be a shell with a terminal of its own; run a job that
# HOW describes, set the terminal up for ourselves, let the job end.
import os, pty, signal, subprocess, sys, termios, time

how, csvvmm, toml = sys.argv[1:]
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
pid, master = pty.fork()
if pid:
    # Outside: reads what comes out of the terminal.
    seen = b""
    try:
        while data := os.read(master, 4096):
            seen += data
    except OSError:
        pass
    os.waitpid(pid, 0)
    sys.stdout.write(seen.decode(errors="replace"))
    sys.exit()
shell = os.getpgrp()
front = how != "background"

def run():
    os.setpgid(0, 0)
    if front:
        os.tcsetpgrp(0, os.getpgrp())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)

def ours():
    """The terminal as a shell that reads a line wants it."""
    t = termios.tcgetattr(0)
    t[0] &= ~termios.ICRNL
    t[3] = t[3] & ~termios.ICANON & ~termios.ECHO | termios.ISIG
    termios.tcsetattr(0, termios.TCSANOW, t)
    return termios.tcgetattr(0)

def wait(cond):
    end = time.time() + 60
    while time.time() < end and not cond():
        time.sleep(0.02)

job = subprocess.Popen([csvvmm, "run", toml], preexec_fn=run)
name = os.path.basename(toml)[:-5]
wait(lambda: subprocess.run([csvvmm, "status", name], capture_output=True).returncode == 0)
if how == "stopped":
    os.killpg(job.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, job.pid, os.WSTOPPED)
    os.tcsetpgrp(0, shell)
mine = ours()
if how == "stopped":
    os.killpg(job.pid, signal.SIGCONT)
subprocess.run([csvvmm, "kill", name])
end = time.time() + 20
state = 0
while not state and time.time() < end:
    pid, status = os.waitpid(job.pid, os.WNOHANG | os.WUNTRACED)
    state = pid
    time.sleep(0.02)
os.tcsetpgrp(0, shell)
print("STATUS", "none" if not state else "stopped" if os.WIFSTOPPED(status)
      else os.WEXITSTATUS(status))
if termios.tcgetattr(0) == mine:
    print("MINE")
if state and os.WIFSTOPPED(status):
    os.killpg(job.pid, signal.SIGKILL)
END

guest quiet idle <<<'memory = "16M"
[console]
file = "quiet.out"'
# job HOW GUEST: it ends, is not stopped, and the terminal stays as we made it
job() {
	python3 "$TMP/job.py" "$1" "$CSVVMM" "$TMP/$2.toml" >"$TMP/out" 2>&1
	check "$1 job, $2: it ends" has "$TMP/out" "STATUS 13"
	check "$1 job, $2: the terminal is left alone" has "$TMP/out" MINE
}
job background idle
job stopped idle
job foreground quiet

# And with a real shell: "Stopped (tty output)" was its word for it.
python3 tests/e2e/pty-shell.py . >"$TMP/out" 2>&1 <<END
$CSVVMM run $TMP/hello.toml &
while [ -n "\$(jobs -r)" ]; do sleep 0.1; done
jobs -s
kill -KILL %1 2>/dev/null
END
check "bash: the guest ran in the background" has "$TMP/out" "powered off"
check "bash: its job is not stopped" [ "$(grep -c Stopped "$TMP/out")" -eq 0 ]
finish
