#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Known answers for psp/'s cryptography, by an independent implementation.

Hashes and MACs are the standard library's, ciphers are python3-cryptography's,
curves and signatures are plain arithmetic below. Everything is deterministic
(nonces come from hashes), so that the output can be compared with the file that
is checked in: vectors.py > vectors.h. Layouts are written out here once more, as
numbers, and not taken from the C code; only the model's public RSA primes are.
"""
import hashlib
import hmac
import re
import struct
import sys
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

ROOT = Path(__file__).resolve().parent.parent.parent


def le(v, n):
    return v.to_bytes(n, "little")


def u32(v):
    return struct.pack("<I", v)


class Curve:
    def __init__(self, p, a, b, n, gx, gy):
        self.p, self.a, self.b, self.n, self.g = p, a, b, n, (gx, gy)

    def add(self, s, t):
        if s is None or t is None:
            return s or t
        if s[0] == t[0]:
            if (s[1] + t[1]) % self.p == 0:
                return None
            m = (3 * s[0] * s[0] + self.a) * pow(2 * s[1], -1, self.p)
        else:
            m = (t[1] - s[1]) * pow(t[0] - s[0], -1, self.p)
        x = (m * m - s[0] - t[0]) % self.p
        return x, (m * (s[0] - x) - s[1]) % self.p

    def mul(self, k, s):
        r = None
        while k:
            if k & 1:
                r = self.add(r, s)
            s = self.add(s, s)
            k >>= 1
        return r


P384 = Curve(
    2**384 - 2**128 - 2**96 + 2**32 - 1, -3,
    0xB3312FA7E23EE7E4988E056BE3F82D19181D9C6EFE8141120314088F5013875AC656398D8A2ED19D2A85C8EDD3EC2AEF,
    0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
    0xAA87CA22BE8B05378EB1C71EF320AD746E1D3B628BA79B9859F741E082542A385502F25DBF55296C3A545E3872760AB7,
    0x3617DE4A96262C6F5D9E98BF9292DC29F8F41DBD289A147CE9DA3113B5F0B8C00A60B1CE1D7E819D7A431D7C90EA0E5F)
SM2 = Curve(
    0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF,
    0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFC,
    0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93,
    0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123,
    0x32C4AE2C1F1981195F9904466A39C9948FE30BBFF2660BE1715A4589334C74C7,
    0xBC3736A2F4F6779C59BDCEE36B692153D0A9877CC62A474002DF32E52139F0A0)

ARK, ASK, INVALID, OCA, PEK, PDH, CEK = 0, 0x13, 0x1000, 0x1001, 0x1002, 0x1003, 0x1004
UID = {ARK: "HRK", ASK: "HSK", OCA: "OCA", PEK: "PEK", PDH: "PDH", CEK: "CEK"}


class Key:
    def __init__(self, suite, seed):
        n = suite.curve.n
        wide = suite.kdf(seed, b"csvvmm-model-key", b"", 64)
        self.suite = suite
        self.d = int.from_bytes(wide, "big") % (n - 1) + 1
        self.q = suite.curve.mul(self.d, suite.curve.g)

    def point(self):
        return le(self.q[0], 72) + le(self.q[1], 72)


class Suite:
    def digest(self, data):
        return hashlib.new(self.hash, data).digest()

    def mac(self, key, data):
        return hmac.new(key, data, self.hash).digest()

    def kdf(self, key, label, context, n):
        out = b""
        i = 1
        while len(out) < n:
            out += self.mac(key, u32(i) + label + b"\0" + context + u32(8 * n))
            i += 1
        return out[:n]

    def ctr(self, key, iv, data):
        c = Cipher(self.cipher(key), modes.CTR(iv)).encryptor()
        return c.update(data) + c.finalize()

    def shared(self, key, other):
        return self.curve.mul(key.d, other.q)[0].to_bytes(self.size, "big")

    def nonce(self, key, data):
        # Never do this with keys that matter: not RFC 6979, only repeatable.
        h = hashlib.sha512(b"nonce" + le(key.d, 48) + data).digest()
        return int.from_bytes(h, "big") % (self.curve.n - 1) + 1

    def session(self, key, other, nonce, iv, policy, tek, tik):
        master = self.kdf(self.shared(key, other), b"sev-master-secret", nonce, 16)
        kek = self.kdf(master, b"sev-kek", b"", 16)
        kik = self.kdf(master, b"sev-kik", b"", 16)
        wrapped = self.ctr(kek, iv, tek + tik)
        return (nonce + wrapped + iv + self.mac(kik, wrapped)
                + self.mac(tik, u32(policy)))

    def packet(self, kind, tek, tik, iv, plain, extra=b""):
        data = self.ctr(tek, iv, plain)
        head = u32(0) + iv
        n = u32(len(plain))
        return head + self.mac(tik, bytes([kind]) + head + n + n + data + extra), data

    def measure(self, tik, major, minor, build, policy, digest, mnonce):
        return self.mac(tik, bytes([4, major, minor, build]) + u32(policy) + digest + mnonce)

    def cert(self, key, usage, sha384=False):
        algo = (self.dh_algo if usage == PDH else self.sign_algo) | (0x100 if sha384 else 0)
        body = u32(1) + bytes([0, 24, 0, 0]) + u32(usage) + u32(algo)
        pub = u32(self.curve_id) + key.point() + self.uid_field(usage)
        return body + pub.ljust(1028, b"\0")

    def signed(self, body, *signers, sha384=False):
        assert len(body) == 1044
        out = body
        for key, usage in signers:
            algo, sig = self.cert_sig(key, usage, body, sha384)
            out += u32(usage) + u32(algo) + sig.ljust(512, b"\0")
        for _ in range(2 - len(signers)):
            out += u32(INVALID) + bytes(516)
        assert len(out) == 2084
        return out

    def cert_sig(self, key, usage, body, sha384):
        if isinstance(key, Rsa):
            return key.algo, key.sign(body)
        return self.sign_algo | (0x100 if sha384 else 0), self.sign(key, usage, body, sha384)


class Amd(Suite):
    name, hash, cipher, curve, size = "amd", "sha256", algorithms.AES, P384, 48
    curve_id, sign_algo, dh_algo = 2, 2, 3

    def uid_field(self, usage):
        return b""

    def sign(self, key, usage, data, sha384=False):
        c = self.curve
        e = int.from_bytes(hashlib.new("sha384" if sha384 else "sha256", data).digest(), "big")
        k = self.nonce(key, data)
        r = c.mul(k, c.g)[0] % c.n
        s = pow(k, -1, c.n) * (e + r * key.d) % c.n
        # The library has to agree.
        pub = ec.EllipticCurvePublicNumbers(*key.q, ec.SECP384R1()).public_key()
        h = hashes.SHA384() if sha384 else hashes.SHA256()
        pub.verify(encode_dss_signature(r, s), data, ec.ECDSA(h))
        return le(r, 72) + le(s, 72)


class Hygon(Suite):
    name, hash, cipher, curve, size = "hygon", "sm3", algorithms.SM4, SM2, 32
    curve_id, sign_algo, dh_algo = 3, 4, 5

    def uid(self, usage):
        return ("HYGON-SSD-" + UID[usage]).encode()

    def uid_field(self, usage):
        return struct.pack("<H", len(self.uid(usage))) + self.uid(usage).ljust(254, b"\0")

    def sign(self, key, usage, data, sha384=False):
        c, uid = self.curve, self.uid(usage)
        z = self.digest(struct.pack(">H", 8 * len(uid)) + uid + b"".join(
            v.to_bytes(32, "big") for v in (c.a, c.b, *c.g, *key.q)))
        e = int.from_bytes(self.digest(z + data), "big")
        k = self.nonce(key, data)
        r = (e + c.mul(k, c.g)[0]) % c.n
        s = pow(1 + key.d, -1, c.n) * (k - r * key.d) % c.n
        return le(r, 72) + le(s, 72)

    def root(self, usage, seed, by, by_seed):
        body = (u32(1) + seed + by_seed + u32(usage) + bytes(24)
                + (u32(3) + Key(self, seed).point() + self.uid_field(usage)).ljust(404, b"\0")
                + bytes(108))
        assert len(body) == 576
        cert = body + self.sign(by, ARK, body) + bytes(112)
        assert len(cert) == 832
        return cert


class Rsa:
    """RSA-PSS with salt as long as the digest (RFC 8017, 9.1.1)."""

    def __init__(self, p, q):
        self.n, self.e = p * q, 65537
        self.d = pow(self.e, -1, (p - 1) * (q - 1))
        self.bits = self.n.bit_length()
        self.hash = "sha384" if self.bits > 2048 else "sha256"
        self.algo = 0x101 if self.bits > 2048 else 1
        assert self.bits in (2048, 4096)

    def h(self, data):
        return hashlib.new(self.hash, data).digest()

    def sign(self, data):
        mhash = self.h(data)
        hlen, size = len(mhash), self.bits // 8
        salt = self.h(b"salt" + data)
        h = self.h(bytes(8) + mhash + salt)
        db = bytes(size - 2 * hlen - 2) + b"\1" + salt
        mask = b"".join(self.h(h + struct.pack(">I", i)) for i in range(size // hlen + 1))
        masked = bytearray(a ^ b for a, b in zip(db, mask))
        masked[0] &= 0x7F
        em = int.from_bytes(bytes(masked) + h + b"\xbc", "big")
        sig = pow(em, self.d, self.n)
        # The library has to agree.
        algo = hashes.SHA384() if self.bits > 2048 else hashes.SHA256()
        rsa.RSAPublicNumbers(self.e, self.n).public_key().verify(
            sig.to_bytes(size, "big"), data,
            padding.PSS(padding.MGF1(algo), hlen), algo)
        return le(sig, size)


RSA4096 = {
    "ARK": (
        "fbb10a78be24e2754f18dab4aa357920c58c42d2a3eb56c15a8698549f32da470cd00e1238b7eae9ce55170358ba2808"
        "2fbffc58c1ccd2fb53b7a7dae01dcd530bf2ba8169a726722be962e95f795fec813af364d9a31111bb1791390c57fc57"
        "4d853bc2b2ead3dde14ee19cbd0028d357bfb2002cefb3b92a7ffdaebf68a7cd3c6af36316335bd18c26b5fc746faca8"
        "3b1a0740c12ac7ca0e00e4ecb6d377cfe7e240123f253d4f12f0d2fb0e5671dc7094e7a92b9abb1bcc8a55f455ec566f"
        "3c76f930400a93cad6e05dc2db0e0dc537b615b9c7817f5e4c4d8cf08fc0d6cb5a1a31dda16f14b857ca991dfbc9745e"
        "8cc700f41bd7ba47547036c49334770f",
        "b8da48277b63fd0f2d41879afde243af8783f976cbf9f3054b61ab2bbbddf726657147d52ffa5e7230f948d9df64b432"
        "3ae472bf3e06a0c9d5512f0d9c96b07034ca761aea90c58c5be043f4dd027fd1d49fa7c431daca3453e395a27cd105e4"
        "972a395e1b0e3ad25ba28c295d46f176869f0b916bb05ac62df8a43263eb3f43665682a450892d251c09139c886fb54e"
        "cc1d7dbbb58d710a01c33fad46c81a7ebf15765d291f04a035da588534476eccad4d4304731625de73ccf2b645a0db71"
        "8a1ff296b19a63eb874a21d7ab5baa7393d00cc5f508b00b0e894558b49a37baf9e64ece1ad7feba0b3fa09f9c4e0eb1"
        "f1fb4c08be99e1af02a0411687591f05"),
    "ASK": (
        "f2cf608901f4f1a16583fd0f9fcea92394e0e26a3d427a2f975f8638c64525b6e778deee841a50bd4520d0098c877e62"
        "6b9f83b38e1d827c8834b4dc634d038e629a7f2221632070ac94af367fffc496d46caf3c1dfd09bcc504e22db1bc7256"
        "64a2366914e4673cacdd60bf4e7c034fd6755a572f5a91abd7a3519bb5adf6d7bb6153d9a4a0269e146c74781163cfb6"
        "2da621b90f7206a23b654f49acc63a195c8df77388b13d6fb90c97439e99c92d29d171433f82aab1e32f8a0dd420993f"
        "7fbf8d6c9aa8b3d4a657f1eecc87c33bee0f981a5deed9cfe12bf7d6988b962f55f118cc6e6d7328d41a22e2820c96e1"
        "30170702fc2182fed5bacdce5c7dfc05",
        "b810d2f23c60bd80494135982331206941a2960df07f0f625aeb939303309685249416482b176367e0e0c640e182c45f"
        "e05bced04739844fbe1b169d11b8ff370a5d3ea1a70421d9bed7de50f80fbadb83e237921a48a603c738c2e3660f52ff"
        "d9dece2873c189fd0bf224a8d2f288095ad0357506655882316bc4c20d831a836fae0b4b59916e50c8ce528c8c824f75"
        "8a582ccea0687a91abf1108095c28f992a85c9aa534a8129667ea0960cc721027293b0c8a80c0651d70814ccf0b7295d"
        "62968333e8741d27e4df53b64da475e7b03e537264c8555dc14c7b06516851a854b13b4521c3e6e53009675eb19f26ec"
        "44d82eedbb867ce255b811d121676853"),
}


def model_rsa(name):
    """The model's published primes, from its source."""
    text = (ROOT / "psp/root_amd.c").read_text()
    m = re.search(r'"csvvmm model %s",\s*\.p =((?:\s*"\w+")+),\s*\.q =((?:\s*"\w+")+)' % name, text)
    return Rsa(*(int("".join(re.findall(r'"(\w+)"', g)), 16) for g in m.groups()))


def amd_root(usage, name, key, by):
    size = key.bits // 8
    body = (u32(1) + b"csvvmm model " + name + b"csvvmm model ARK" + u32(usage) + bytes(16)
            + u32(key.bits) * 2 + le(key.e, size) + le(key.n, size))
    return body + by.sign(body)


def fill(tag, n):
    return hashlib.shake_128(tag.encode()).digest(n)


def suite_vectors(s, asks):
    """@asks: (name, ASK or HSK key) that sign a CEK each."""
    v = {}
    keys = {u: Key(s, ("seed " + u).encode()) for u in ("cek", "oca", "pek", "pdh", "peer")}
    pdh, peer = keys["pdh"], keys["peer"]
    v["pdh.d"] = pdh.d.to_bytes(48, "big")
    v["pdh.point"] = pdh.point()
    v["digest"] = s.digest(fill("data", 1000))
    v["mac"] = s.mac(fill("key", 16), fill("data", 1000))
    v["kdf80"] = s.kdf(fill("key", 48), b"some-label", fill("nonce", 16), 80)
    v["kdf16"] = s.kdf(fill("key", 16), b"sev-kek", b"", 16)
    v["ctr"] = s.ctr(fill("key", 16), b"\xff" * 15 + b"\xfe", fill("data", 77))
    for name, ask in asks:
        v["cert." + name] = s.signed(s.cert(keys["cek"], CEK), (ask, ASK))
    v["cert.oca"] = s.signed(s.cert(keys["oca"], OCA), (keys["oca"], OCA))
    v["cert.pek"] = s.signed(s.cert(keys["pek"], PEK), (keys["oca"], OCA), (keys["cek"], CEK))
    v["cert.pdh"] = s.signed(s.cert(pdh, PDH), (keys["pek"], PEK))
    v["cert.peer"] = s.signed(s.cert(peer, PDH))
    tek, tik = fill("tek", 16), fill("tik", 16)
    v["tek"], v["tik"] = tek, tik
    v["z"] = s.shared(pdh, peer)
    assert v["z"] == s.shared(peer, pdh)
    v["session"] = s.session(peer, pdh, fill("nonce", 16), fill("wrapiv", 16), 0x18000025, tek, tik)
    for kind, n, extra in ((1, 240, fill("measure", 32)), (2, 4096, b""), (3, 4096, b"")):
        plain = fill("plain%d" % kind, n)
        v["hdr%d" % kind], v["data%d" % kind] = s.packet(
            kind, tek, tik, fill("iv%d" % kind, 16), plain, extra)
    v["measure"] = s.measure(tik, 0, 24, 0x0F, 0x25, fill("ld", 32), fill("mnonce", 16))
    v["report"] = fill("report", 180)
    v["report.sig"] = s.sign(keys["pek"], PEK, v["report"])
    return v, keys


def main():
    amd, hygon = Amd(), Hygon()
    # Against published values: SM3("abc"), and SP800-108 keys of zeros.
    assert hygon.digest(b"abc").hex().startswith("66c7f0f462eeedd9d1f2d46bdc10e4e2")
    assert amd.kdf(bytes(16), b"sev-master-secret", bytes(16), 16).hex() == \
        "ab4d269fcc62bedb4511d56c386ce706"

    ark, ask = model_rsa("ARK"), model_rsa("ASK")
    big = {n: Rsa(int(p, 16), int(q, 16)) for n, (p, q) in RSA4096.items()}
    hrk_id, hsk_id = b"csvvmm model HRK", b"csvvmm model HSK"
    hrk, hsk = Key(hygon, hrk_id), Key(hygon, hsk_id)

    out, keys = suite_vectors(amd, [("cek", ask), ("cek4096", big["ASK"])])
    out["root"] = amd_root(ASK, b"ASK", ask, ark) + amd_root(ARK, b"ARK", ark, ark)
    out["root4096"] = (amd_root(ASK, b"ASK", big["ASK"], big["ARK"])
                       + amd_root(ARK, b"ARK", big["ARK"], big["ARK"]))
    out["cert.pek384"] = amd.signed(amd.cert(keys["pek"], PEK, True), (keys["oca"], OCA),
                                    (keys["cek"], CEK), sha384=True)
    vectors = {"amd." + k: v for k, v in out.items()}
    out, _ = suite_vectors(hygon, [("cek", hsk)])
    out["root"] = hygon.root(ASK, hsk_id, hrk, hrk_id) + hygon.root(ARK, hrk_id, hrk, hrk_id)
    vectors.update(("hygon." + k, v) for k, v in out.items())

    print("/* SPDX-License-Identifier: GPL-2.0-or-later */")
    print("/* Made by vectors.py; do not edit. */")
    print("static const struct vector {\n\tconst char *name, *hex;\n} vectors[] = {")
    for name, value in vectors.items():
        text = value.hex()
        print('\t{ "%s",' % name)
        for i in range(0, len(text), 64):
            print('\t  "%s"' % text[i:i + 64])
        print("\t},")
    print("};")


if __name__ == "__main__":
    sys.exit(main())
