/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Made by tests/psp/memcipher.py. */
/* clang-format off */
static const struct {
	uint64_t pa;
	const char *key, *plain, *cipher;
} vectors[] = {
	{ 0x0, "00000000000000000000000000000000",
	  "03203d5a7794b1ceeb0825425f7c99b6",
	  "bc0d6a8f1bb033dcd762692e695a13b6" },
	{ 0x1230, "000102030405060708090a0b0c0d0e0f",
	  "03203d5a7794b1ceeb0825425f7c99b6d3f00d2a4764819ebbd8f5122f4c6986a3c0ddfa1734516e8ba8c5e2ff1c3956",
	  "6e90e0ee0e1b57791983c6a319c892d41c4aca463ad2ff67b7614b501913e3e1e987f6345dc2e7502b1d3f9c9af89ab6" },
	{ 0x7ffffffff000, "ffffffffffffffffffffffffffffffff",
	  "03203d5a7794b1ceeb0825425f7c99b6d3f00d2a4764819ebbd8f5122f4c6986",
	  "d95ee37a45fdf995ef9ea079ce66c220479864f5d06631f105eceb0fb1c94211" },
	{ 0xfffffffffffffff0, "0102030405060708090a0b0c0d0e0f10",
	  "03203d5a7794b1ceeb0825425f7c99b6",
	  "706ae08f29b5e3a53ba040480c34056a" },
};
/* clang-format on */
