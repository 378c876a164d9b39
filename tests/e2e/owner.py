#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The owner of an encrypted guest, on the vectors' independent cryptography: what `csvvmm owner-session` and
`owner-secret` are checked against. Its keys are fixed and published: for tests only."""
import argparse
import base64
import json
import sys
from pathlib import Path
from types import SimpleNamespace

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "psp"))
from vectors import Amd, Hygon, Key, PDH, u32  # noqa: E402

TEK, TIK = b"transport tek 16", b"transport tik 16"
IV = b"iv of this test "
CERT_SIZE = 2084


def session(a, s):
    cert = a.pdh.read_bytes()
    if len(cert) != CERT_SIZE:
        raise SystemExit(f"{a.pdh}: {len(cert)} bytes; a PDH certificate has {CERT_SIZE}")
    other = SimpleNamespace(q=(int.from_bytes(cert[20:92], "little"),
                               int.from_bytes(cert[92:164], "little")))
    key = Key(s, b"owner of the test")
    blob = s.session(key, other, b"nonce nonce 1234", IV, a.policy, TEK, TIK)
    (a.folder / "owner.cert").write_bytes(s.signed(s.cert(key, PDH)))
    (a.folder / "session.bin").write_bytes(blob)
    (a.folder / "tek.bin").write_bytes(TEK)
    (a.folder / "tik.bin").write_bytes(TIK)


def mac(a, s):
    tik = (a.folder / "tik.bin").read_bytes()
    major, minor, build = (int(n) for n in a.firmware.split("."))
    print(s.measure(tik, major, minor, build & 0xFF, a.policy, a.digest, a.nonce).hex())


def secret(a, s):
    plain = a.text.encode() + b"\0"
    plain += bytes(-len(plain) % 16)
    head, data = s.packet(1, TEK, TIK, IV, plain, a.measurement)
    (a.folder / "secret.hdr").write_bytes(head)
    (a.folder / "secret.bin").write_bytes(data)
    # The same as text, for the other form that the VMM takes.
    (a.folder / "secret.hdr.b64").write_bytes(base64.encodebytes(head))


def opened(a, s):
    tek, tik = ((a.folder / n).read_bytes() for n in ("tek.bin", "tik.bin"))
    head, data = ((a.folder / n).read_bytes() for n in ("secret.hdr", "secret.bin"))
    n = u32(len(data))
    if s.mac(tik, b"\1" + head[:20] + n + n + data + a.measurement) != head[20:]:
        raise SystemExit("the packet's MAC is wrong")
    if s.mac(tik, u32(a.policy)) != (a.folder / "session.bin").read_bytes()[96:]:
        raise SystemExit("the session's MAC of the policy is wrong")
    print(repr(s.ctr(tek, head[4:20], data)))


def fields(a, _):
    for name, value in json.loads(a.json.read_text()).items():
        out = str(value)
        (a.folder / name).write_bytes(base64.b64decode(out) if name in ("report", "pdh", "chain") else out.encode())


def number(text):
    return int(text, 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name, run, words, *args):
        p = commands.add_parser(name, help=words, description=words)
        p.set_defaults(run=run, profile=None)
        for arg, kind in args:
            p.add_argument(arg, type=kind, choices=("amd", "hygon") if arg == "profile" else None)

    common = ("profile", str), ("folder", Path)
    command("session", session, "write owner.cert, session.bin, tek.bin, tik.bin for the platform with this PDH",
            *common, ("pdh", Path), ("policy", number))
    command("mac", mac, "print the measurement that the firmware should give", *common,
            ("firmware", str), ("policy", number), ("digest", bytes.fromhex), ("nonce", bytes.fromhex))
    command("secret", secret, "write secret.hdr, secret.bin, for the session of this program", *common,
            ("measurement", bytes.fromhex), ("text", str))
    command("open", opened, "check and decrypt the packet in a folder, as the firmware does, print what is in it", *common,
            ("policy", number), ("measurement", bytes.fromhex))
    command("fields", fields, "write the fields of `launch-measure --json` into files, base64 decoded",
            ("json", Path), ("folder", Path))
    a = parser.parse_args()
    try:
        a.run(a, {"amd": Amd, "hygon": Hygon}[a.profile]() if a.profile else None)
    except (OSError, ValueError) as e:
        raise SystemExit(f"owner.py: {e}") from None


main()
