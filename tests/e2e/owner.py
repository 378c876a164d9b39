#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The owner of an encrypted guest, on the vectors' independent cryptography.

owner.py session PROFILE FOLDER PDH POLICY
    writes owner.cert, session.bin, tik.bin for the platform with certificate PDH
owner.py mac PROFILE FOLDER FIRMWARE POLICY DIGEST NONCE
    prints the measurement that the firmware should give
owner.py secret PROFILE FOLDER MEASUREMENT TEXT
    writes secret.hdr, secret.bin
owner.py fields JSON FOLDER
    writes the base64 fields of `launch-measure --json` into files
"""
import base64
import json
import sys
from pathlib import Path
from types import SimpleNamespace

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "psp"))
from vectors import Amd, Hygon, Key, PDH  # noqa: E402

TEK, TIK = b"transport tek 16", b"transport tik 16"
IV = b"iv of this test "


def session(s, folder, pdh, policy):
    cert = Path(pdh).read_bytes()
    other = SimpleNamespace(q=(int.from_bytes(cert[20:92], "little"),
                               int.from_bytes(cert[92:164], "little")))
    key = Key(s, b"owner of the test")
    blob = s.session(key, other, b"nonce nonce 1234", IV, int(policy, 0), TEK, TIK)
    (folder / "owner.cert").write_bytes(s.signed(s.cert(key, PDH)))
    (folder / "session.bin").write_bytes(blob)
    (folder / "tik.bin").write_bytes(TIK)


def mac(s, _folder, firmware, policy, digest, nonce):
    major, minor, build = (int(n) for n in firmware.split("."))
    print(s.measure(TIK, major, minor, build & 0xFF, int(policy, 0),
                    bytes.fromhex(digest), bytes.fromhex(nonce)).hex())


def secret(s, folder, measurement, text):
    plain = text.encode() + b"\0"
    plain += bytes(-len(plain) % 16)
    head, data = s.packet(1, TEK, TIK, IV, plain, bytes.fromhex(measurement))
    (folder / "secret.hdr").write_bytes(head)
    (folder / "secret.bin").write_bytes(data)
    # The same as text, for the other form that the VMM takes.
    (folder / "secret.hdr.b64").write_bytes(base64.encodebytes(head))


def main():
    cmd, first, folder, *rest = sys.argv[1:]
    if cmd == "fields":
        for name, value in json.loads(Path(first).read_text()).items():
            out = str(value)
            Path(folder, name).write_bytes(
                base64.b64decode(out) if name in ("report", "pdh", "chain") else out.encode())
        return
    s = {"amd": Amd, "hygon": Hygon}[first]()
    {"session": session, "mac": mac, "secret": secret}[cmd](s, Path(folder), *rest)


main()
