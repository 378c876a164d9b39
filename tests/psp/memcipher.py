#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Known answers for psp/memcipher.c, by python3-cryptography:
tests/psp/memcipher.py > tests/psp/memcipher.h"""
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes


def aes(key, block):
    e = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    return e.update(block) + e.finalize()


def xex(key, pa, data):
    k2 = aes(key, b"\xa5" * 16)
    out = b""
    for i in range(0, len(data), 16):
        t = aes(k2, (pa + i).to_bytes(16, "little"))
        x = bytes(a ^ b for a, b in zip(data[i:i + 16], t))
        out += bytes(a ^ b for a, b in zip(aes(key, x), t))
    return out


print("/* SPDX-License-Identifier: GPL-2.0-or-later */")
print("/* Made by tests/psp/memcipher.py. */")
print("/* clang-format off */")
print("static const struct {\n\tuint64_t pa;\n\tconst char *key, *plain, *cipher;\n} vectors[] = {")
for key, pa, n in ((bytes(16), 0, 16), (bytes(range(16)), 0x1230, 48),
                   (b"\xff" * 16, 0x7ffffffff000, 32), (bytes(range(1, 17)), 2**64 - 16, 16)):
    plain = bytes((i * 29 + 3) % 256 for i in range(n))
    print(f'\t{{ {pa:#x}, "{key.hex()}",\n\t  "{plain.hex()}",\n\t  "{xex(key, pa, plain).hex()}" }},')
print("};\n/* clang-format on */")
