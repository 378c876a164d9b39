#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# `csvvmm check` over the examples and over the good and bad files of
# tests/config. fail-X.err holds the whole message, FOLDER standing for the
# folder; one that ends in "..." holds only how it begins.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

for f in configs/*.toml; do
	expect "$f" 0 "$TMP/out" "$CSVVMM" check --no-files "$f"
done

# In a copy: its name is short, so no path in a message is cut.
cp -r tests/config "$TMP/c"
cp "$PWD/$BUILD/guest/hello.elf" "$TMP/c/files/kernel" # the checkout's is a text
cd "$TMP/c" || exit 1
chmod 755 "$TMP"
# What [csv] names, by its size.
for n in 2084 128 64 52; do head -c $n /dev/zero >files/$n.bin; done

for f in pass-*.toml; do
	expect "$f" 0 "$TMP/out" "$CSVVMM" check "$f"
	check "$f says ok" [ "$(cat "$TMP/out")" = "$f: ok" ]
done

# says FILE: is the output in $TMP/out what FILE holds?
# shellcheck disable=SC2317 # called by check
says() {
	local want got
	want=$(<"$1")
	got=$(sed "s|$TMP/c|FOLDER|" "$TMP/out")
	case $want in
	*...) [[ $got = "${want%...}"* ]] ;;
	*) [[ $got = "$want" ]] ;;
	esac && return 0
	printf '# got:      %s\n# expected: %s\n' "$got" "$want"
	return 1
}

ls -R >"$TMP/before"
for f in fail-*.toml; do
	expect "$f is refused" 2 "$TMP/out" "$CSVVMM" check "$f"
	check "$f: the message" says "${f%.toml}.err"
done

# What no checkout can hold: name, then what the message must have, then text.
bad() {
	printf '%b' "$3" >"bad.toml"
	expect "$1 is refused" 2 "$TMP/out" timeout 20 "$CSVVMM" check bad.toml
	check "$1: one line" [ "$(wc -l <"$TMP/out")" -eq 1 ]
	check "$1: the message" has "$TMP/out" "bad.toml:$2"
}

mkfifo fifo
bad "a FIFO as kernel" '1:10: kernel: "' 'kernel = "fifo"\n'
check "a FIFO as kernel: says so" has "$TMP/out" 'is a FIFO; allowed: a regular file'
bad "a FIFO as disk" '3:8: disk.path: "' 'kernel="files/kernel"\n[[disk]]\npath = "fifo"\n'
ln -s disk.img files/link.img
ln files/disk.img files/hard.img
for name in link hard; do
	bad "a disk twice ($name)" '5:6: disk.path: "' \
		"kernel='files/kernel'\n[[disk]]\npath='files/disk.img'\n[[disk]]\npath='files/$name.img'"
done
bad "more memory than the host has" '1:8: memory: 1048576 MiB are more than this host has; allowed: up to ' \
	'memory="1024G"\nkernel="files/kernel"'
bad "a folder that is not there" '3:6: console.file: "' \
	'kernel="files/kernel"\n[console]\nfile="gone/console.log"'
bad "NUL" '1:9: control byte 0x00' 'kernel="\0files/kernel"\n'
bad "invalid UTF-8" '1:' 'kernel="\xff\xfe"\n'
bad "an empty file" '1:1: kernel: missing' ''
bad "a file cut short" '1:' 'kernel="files/ker'
bad "deep nesting" '1:' "x=$(printf '%20000s' '' | tr ' ' '[')"
bad "a deep key" '1:' "x$(printf '%100000s' '' | sed 's/ /.x/g')=1"
bad "a line of 1 MiB" '1:1: file too large' "name='$(printf '%1048576s' '' | tr ' ' x)'"

# What `run` would refuse when it loads the guest.
echo 'no kernel at all' >files/text
bad "a text file as kernel" '2:10: kernel: neither a bzImage nor an ELF file (truncated?) (' 'vcpus=1\nkernel = "files/text"\n'
expect "a text file as kernel: not with --no-files" 0 "$TMP/out" "$CSVVMM" check --no-files bad.toml
# [BOOT] 1.3: a bzImage that says it needs 100 MiB from 16 MiB on.
python3 - files/large <<'END'
import struct, sys
b = bytearray(64 << 10)
b[0x1f1], b[0x1fe:0x200] = 4, b"\x55\xaa"
b[0x200:0x202], b[0x202:0x206] = b"\xeb\x6a", b"HdrS"
struct.pack_into("<H", b, 0x206, 0x020f)
b[0x211], b[0x234] = 1, 1
struct.pack_into("<I", b, 0x22c, 0x7fffffff)
struct.pack_into("<I", b, 0x230, 0x200000)
struct.pack_into("<H", b, 0x236, 1)
struct.pack_into("<I", b, 0x238, 2047)
struct.pack_into("<Q", b, 0x258, 16 << 20)
struct.pack_into("<I", b, 0x260, 100 << 20)
struct.pack_into("<I", b, 0x1f4, (len(b) - 5 * 512) // 16)
open(sys.argv[1], "wb").write(b)
END
bad "too little memory" '1:8: memory: 64 MiB are too little: ' 'memory="64M"\nkernel="files/large"\n'
check "too little memory: the number" has "$TMP/out" 'memory = "116M" at least'
printf 'memory="116M"\nkernel="files/large"\n' >bad.toml
expect "so much is enough" 0 "$TMP/out" "$CSVVMM" check bad.toml
truncate -s 5M files/initrd
bad "too little memory for the initrd" '1:8: memory: ' 'memory="116M"\nkernel="files/large"\ninitrd="files/initrd"\n'
check "too little for the initrd: the number" has "$TMP/out" 'memory = "122M" at least'
bad "too little for both: the number, too" '1:8: memory: 64 MiB' 'memory="64M"\nkernel="files/large"\ninitrd="files/initrd"\n'
check "too little for both: one number" has "$TMP/out" 'memory = "122M" at least'
printf 'memory="122M"\nkernel="files/large"\ninitrd="files/initrd"\n' >bad.toml
expect "so much is enough for both" 0 "$TMP/out" "$CSVVMM" check bad.toml
truncate -s 3G files/huge
bad "an initrd that never fits" '2:8: initrd ' "kernel='files/large'\ninitrd='files/huge'\n"

csv='kernel="files/kernel"\n[csv]\ntype="csv2"\nbackend="model"\n'
truncate -s 1M files/1M.bin
bad "dh_cert: too large" '5:9: csv.dh_cert: "' "${csv}dh_cert='files/1M.bin'\nsession='files/128.bin'\n"
check "dh_cert: what is allowed" has "$TMP/out" 'too large; needed: 2084 bytes, or their base64'
bad "session: another size" '6:9: csv.session: "' "${csv}dh_cert='files/2084.bin'\nsession='files/64.bin'\n"
check "session: what is allowed" has "$TMP/out" '64 bytes; needed: 128 bytes, or their base64'
bad "a secret: too large" '7:37: csv.secret.file: "' \
	"${csv}dh_cert='files/2084.bin'\nsession='files/128.bin'\nsecret=[{header='files/52.bin',file='files/1M.bin',addr=0}]\n"
check "a secret: what is allowed" has "$TMP/out" 'too large; needed: 16 to 16384 bytes, or their base64'
rm files/{text,large,initrd,huge,1M.bin} bad.toml fifo files/link.img files/hard.img
ls -R >"$TMP/after"
check "nothing was created" cmp "$TMP/before" "$TMP/after"

expect "a missing file" 2 "$TMP/out" "$CSVVMM" check gone.toml
check "a missing file: the message" has "$TMP/out" 'gone.toml: No such file or directory'
expect "a folder" 2 "$TMP/out" "$CSVVMM" check .
expect "a device" 2 "$TMP/out" "$CSVVMM" check /dev/zero
expect "one bad file among good ones" 2 "$TMP/out" \
	"$CSVVMM" check pass-all.toml fail-type.toml pass-minimal.toml
check "the good ones are still checked" has "$TMP/out" 'pass-minimal.toml: ok'
expect "no file" 2 "$TMP/out" "$CSVVMM" check
expect "an unknown option" 2 "$TMP/out" "$CSVVMM" check --colour pass-all.toml
expect "paths start from the file's folder" 0 "$TMP/out" \
	env -C / "$CSVVMM" check "$TMP/c/pass-minimal.toml"
cd files || exit 1
expect "paths start from the file's folder (relative)" 0 "$TMP/out" \
	"$CSVVMM" check ../pass-minimal.toml
cd ..

# Who may not read the kernel? Root may read everything, so be somebody else.
chmod 0 files/kernel
if [ "$(id -u)" -ne 0 ]; then
	as=()
else
	as=(setpriv --reuid 65534 --regid 65534 --clear-groups)
fi
cp "$CSVVMM" "$TMP/csvvmm"
if "${as[@]}" "$TMP/csvvmm" --version >"$TMP/out" 2>&1; then
	expect "an unreadable kernel" 2 "$TMP/out" \
		"${as[@]}" "$TMP/csvvmm" check pass-minimal.toml
	check "an unreadable kernel: the message" has "$TMP/out" \
		"can't be read: Permission denied"
else
	skip "an unreadable kernel" "can't run as another user"
fi

finish
