#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Encrypted memory as the host's kernel offers it, without a VMM.

sev.py status
    what /dev/sev says about the platform, as NAME=VALUE words
sev.py id
    the chip's identity, by GET_ID
sev.py marker
    launches a guest of two pages that never runs; one PASS or FAIL line for each thing that the host must see of its
    memory: ciphertext at once, the text after DBG_DECRYPT, nothing useful from a copy at another address
sev.py asids
    takes all ASIDs that CSV2 guests may have, by guests that never run; says "taken N"; each line of standard input ends one of
    them, its end the others
sev.py find PID TEXT
    looks for TEXT in the memory of a process, prints how many times it is there
sev.py peek PID ADDRESS COUNT
    bytes of a csvvmm guest's memory as the host has them
sev.py flip PID ADDRESS
    a hostile host: changes a bit of that byte behind the VMM's back
sev.py write PID ADDRESS FILE
    the same, with what the file holds
sev.py race PID ADDRESS
    says "racing", changes that byte back and forth as fast as it can, until the process is gone
sev.py watch
    what the lab's coherency watch counted, as NAME=VALUE words (lab/README.md)
sev.py counts
    what the lab's security processor did since the machine started, a line each
"""
import ctypes
import fcntl
import glob
import mmap
import os
import struct
import sys

SEV_ISSUE_CMD = 0xC0105300
KVM_CREATE_VM = 0xAE01
KVM_MEMORY_ENCRYPT_OP = 0xC008AEBA
KVM_MEMORY_ENCRYPT_REG_REGION = 0x8010AEBB
INIT, ES_INIT, LAUNCH_START, LAUNCH_UPDATE_DATA, LAUNCH_MEASURE, LAUNCH_FINISH, GUEST_STATUS, DBG_DECRYPT = 0, 1, 2, 3, 6, 7, 16, 17
POLICY_ES = 4
PAGE = 4096


def address(buffer):
    return ctypes.addressof(ctypes.c_char.from_buffer(buffer))


def issue(fd, command, data):
    """A command of /dev/sev; data is read and written."""
    arg = bytearray(struct.pack("=IQI", command, address(data), 0))
    try:
        fcntl.ioctl(fd, SEV_ISSUE_CMD, arg)
    except OSError as e:
        raise SystemExit(f"/dev/sev: command {command}: {e}, firmware says {struct.unpack_from('=I', arg, 12)[0]}")


class Guest:
    def __init__(self):
        self.sev = os.open("/dev/sev", os.O_RDWR)
        kvm = os.open("/dev/kvm", os.O_RDWR)
        self.vm = fcntl.ioctl(kvm, KVM_CREATE_VM, 0)
        os.close(kvm)
        self.memory = mmap.mmap(-1, 2 * PAGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self.base = address(self.memory)

    def start(self, policy):
        self.op(LAUNCH_START, bytearray(struct.pack("=IIQIiQIi", 0, policy, 0, 0, 0, 0, 0, 0)))

    def end(self):
        os.close(self.vm)
        os.close(self.sev)

    def op(self, command, data=None):
        """A command of KVM for an encrypted guest; data is read and written."""
        at = address(data) if data else 0
        arg = bytearray(struct.pack("=IIQII", command, 0, at, 0, self.sev))
        try:
            fcntl.ioctl(self.vm, KVM_MEMORY_ENCRYPT_OP, arg)
        except OSError as e:
            raise SystemExit(f"KVM: command {command}: {e}, firmware says {struct.unpack_from('=I', arg, 16)[0]}")

    def decrypt(self, page):
        out = bytearray(PAGE)
        self.op(DBG_DECRYPT, bytearray(struct.pack("=QQIi", self.base + page * PAGE, address(out), PAGE, 0)))
        return bytes(out)

    def page(self, n):
        return self.memory[n * PAGE:(n + 1) * PAGE]


def status():
    data = bytearray(12)
    issue(os.open("/dev/sev", os.O_RDWR), 1, data)
    major, minor, state, flags, build, guests = struct.unpack("=BBBIBI", data)
    print(f"api={major}.{minor} state={state} flags={flags:#x} build={build} guests={guests}")


def identity():
    data = bytearray(64)
    issue(os.open("/dev/sev", os.O_RDWR), 8, bytearray(struct.pack("=QI", address(data), len(data))))
    print(data.hex())


def marker():
    bad = 0

    def check(good, what):
        nonlocal bad
        bad += not good
        print(("PASS " if good else "FAIL ") + what)

    text = b"the host must not read this line of 48 bytes, ok"
    clear = (text * PAGE)[:PAGE]
    guest = Guest()
    guest.memory[:] = clear * 2
    guest.op(INIT)
    guest.start(0)
    fcntl.ioctl(guest.vm, KVM_MEMORY_ENCRYPT_REG_REGION, bytearray(struct.pack("=QQ", guest.base, 2 * PAGE)))
    guest.op(LAUNCH_UPDATE_DATA, bytearray(struct.pack("=QIi", guest.base, 2 * PAGE, 0)))
    first, second = guest.page(0), guest.page(1)
    check(text[:16] not in first and text[:16] not in second, "the pages do not hold the text any more")
    check(all(first[i:i + 16] != first[j:j + 16] for i in range(0, 480, 16) for j in range(i + 16, 480, 16)),
          "equal blocks at different addresses differ")
    check(first != second, "equal pages at different addresses differ")
    check(guest.decrypt(0) == clear, "DBG_DECRYPT gives the text back")
    check(guest.page(0) == first, "and leaves the page as it was")
    guest.memory[PAGE:] = first
    check(text[:16] not in guest.decrypt(1), "a page's copy at another address is no text")
    guest.memory[PAGE:] = second
    check(guest.decrypt(1) == clear, "put back in its place, it is")
    return 1 if bad else 0


def asids():
    guests = []
    while True:
        guest = Guest()
        try:
            guest.op(ES_INIT)
        except SystemExit as e:
            if "busy" not in str(e):
                raise
            guest.end()
            break
        guest.start(POLICY_ES)
        guests.append(guest)
    print("taken", len(guests), flush=True)
    for _ in sys.stdin:
        guests.pop().end()


def find(pid, text):
    text, count = text.encode(), 0
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            words = line.split()
            start, end = (int(x, 16) for x in words[0].split("-"))
            if "r" not in words[1] or words[-1] in ("[vvar]", "[vsyscall]"):
                continue
            mem.seek(start)
            while start < end:
                try:
                    data = mem.read(min(end - start, 1 << 22))
                except OSError:
                    break
                if not data:
                    break
                count += data.count(text)
                start += len(data)
    print(count)


def guest_memory(pid, gpa, mode):
    """A csvvmm guest's memory as its VMM's process has it, at that address."""
    with open(f"/proc/{pid}/maps") as maps:
        base = next(int(line.split("-")[0], 16) for line in maps if "csvvmm-guest-ram" in line)
    mem = open(f"/proc/{pid}/mem", mode, 0)
    mem.seek(base + gpa)
    return mem


def flip(pid, gpa):
    with guest_memory(pid, gpa, "r+b") as mem:
        was = mem.read(1)[0]
        mem.seek(-1, os.SEEK_CUR)
        mem.write(bytes([was ^ 1]))


def write(pid, gpa, name):
    with guest_memory(pid, gpa, "r+b") as mem, open(name, "rb") as f:
        mem.write(f.read())


def race(pid, gpa):
    with guest_memory(pid, gpa, "r+b") as mem:
        at, was = mem.tell(), mem.read(1)[0]
        print("racing", flush=True)
        # To a process that is gone, 0 bytes can be written, or it is an error.
        try:
            while all(os.pwrite(mem.fileno(), bytes([byte]), at) for byte in (was ^ 1, was)):
                pass
        except OSError:
            pass


def peek(pid, gpa, count):
    with guest_memory(pid, gpa, "rb") as mem:
        data = mem.read(count)
    for at in range(0, count, 16):
        print(" " + data[at:at + 16].hex(" "))


def window():
    """The debug window of the lab's security processor: docs/specs/csv-psp.rst in lab/qemu-patches."""
    for name in glob.glob("/sys/bus/pci/devices/*/resource2"):
        fd = os.open(name, os.O_RDWR)
        try:
            regs = memoryview(mmap.mmap(fd, 0x20000)).cast("Q")
        except (OSError, ValueError):
            continue
        finally:
            os.close(fd)
        if regs[0x18000 // 8] == 0x0001505356534344:
            return regs
    sys.exit("no security processor of the lab here")


def watch():
    regs = window()
    print(f"pages={regs[0x18400 // 8]} host={regs[0x18408 // 8]} guests={regs[0x18410 // 8]}")


# [SEV-API] command ids, those of a launch.
LAUNCH = {0x30: "LAUNCH_START", 0x31: "LAUNCH_UPDATE_DATA", 0x32: "LAUNCH_UPDATE_VMSA", 0x33: "LAUNCH_MEASURE",
          0x34: "LAUNCH_UPDATE_SECRET", 0x35: "LAUNCH_FINISH", 0x36: "ATTESTATION_REPORT", 0x21: "ACTIVATE"}


def counts():
    """What the security processor did since the machine started, a line each."""
    regs = window()
    launch = {name: regs[(0x1a000 + 8 * number) // 8] for number, name in LAUNCH.items()}
    print(f"commands {regs[0x18100 // 8]}")
    print(f"mailbox {regs[0x18110 // 8]}")
    print(f"busy {regs[0x18150 // 8]}")
    print(f"hashed {regs[0x18140 // 8]}")
    print(f"encrypted {regs[0x18148 // 8]}")
    for name, count in launch.items():
        print(f"{name} {count}")
    print(f"other {regs[0x18100 // 8] - sum(launch.values())}")


if __name__ == "__main__":
    words = sys.argv[1:]
    if words == ["status"]:
        status()
    elif words == ["id"]:
        identity()
    elif words == ["marker"]:
        sys.exit(marker())
    elif words == ["asids"]:
        asids()
    elif words == ["watch"]:
        watch()
    elif words == ["counts"]:
        counts()
    elif len(words) == 3 and words[0] == "flip":
        flip(int(words[1]), int(words[2], 0))
    elif len(words) == 4 and words[0] == "write":
        write(int(words[1]), int(words[2], 0), words[3])
    elif len(words) == 3 and words[0] == "race":
        race(int(words[1]), int(words[2], 0))
    elif len(words) == 4 and words[0] == "peek":
        peek(int(words[1]), int(words[2], 0), int(words[3]))
    elif len(words) == 3 and words[0] == "find":
        find(int(words[1]), words[2])
    else:
        sys.exit(__doc__)
