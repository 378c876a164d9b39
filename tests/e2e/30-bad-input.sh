#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Kernels, disks and hosts that are not as they should be: one clear line, the
# right exit status, nothing left behind; and the guest lives where it can.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
need_kvm

# refused NAME STATUS 'what the line says' [COMMAND...]: run $TMP/bad.toml
refused() {
	local name=$1 want=$2 text=$3
	shift 3
	timeout -k 5 60 "$@" "$CSVVMM" run "$TMP/bad.toml" \
		>"$TMP/out" 2>"$TMP/err" </dev/null
	check "$name: exit status $want" [ $? -eq "$want" ]
	check "$name: the message" has "$TMP/err" "$text"
	if [ "$want" -eq 1 ]; then
		check "$name: last words" last_words "$TMP/err" 'not started (exit status 1)'
		check "$name: one line of error before them" \
			[ "$(grep -c 'error: .' "$TMP/err")/$(wc -l <"$TMP/err")" = 2/2 ]
	else
		check "$name: one line" [ "$(wc -l <"$TMP/err")" -eq 1 ]
	fi
	check "$name: nothing on standard output" [ ! -s "$TMP/out" ]
	[ -n "${others_run:-}" ] || check "$name: nothing is left" clean
}

# config 'lines': of $TMP/bad.toml; without a kernel it gets the hello guest
config() {
	case $1 in
	*kernel*) ;;
	*) printf 'kernel = "%s"\n' "$PWD/$BUILD/guest/hello.elf" ;;
	esac >"$TMP/bad.toml"
	printf '%s\n' "$1" >>"$TMP/bad.toml"
}

# --- kernels -------------------------------------------------------------------

elf=$BUILD/guest/hello.elf
# patch FILE OFFSET BYTES: overwrite, with printf's escapes
patch() { printf '%b' "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none; }

kernel() {
	config 'memory = "64M"
kernel = "kernel"'
	refused "kernel: $1" "$2" "$3"
	rm -rf "$TMP/kernel"
}

: >"$TMP/kernel"
kernel empty 1 'kernel'
head -c 100 "$elf" >"$TMP/kernel"
kernel 'a truncated ELF header' 1 'kernel'
head -c 4500 "$elf" >"$TMP/kernel"
kernel 'a truncated ELF segment' 1 'kernel'
head -c 65536 /dev/urandom >"$TMP/kernel"
kernel 'random bytes' 1 'neither a bzImage nor an ELF'
truncate -s 2G "$TMP/kernel"
kernel '2 GiB of nothing' 1 'kernel'
mkdir "$TMP/kernel"
kernel 'a folder' 2 'is a directory'
mkfifo "$TMP/kernel"
kernel 'a FIFO' 2 'is a FIFO'
ln -s kernel "$TMP/kernel"
kernel 'a link to itself' 2 'bad.toml:2:'
ln -s /dev/zero "$TMP/kernel"
kernel 'a device' 2 'bad.toml:2:'

# The ELF header is 64 bytes, the first program header follows at once:
# p_offset at +8, p_paddr at +24, p_filesz at +32, p_memsz at +40.
cp "$elf" "$TMP/kernel"
patch "$TMP/kernel" 72 '\xf0\xff\xff\xff\xff\xff\xff\xff'
kernel 'ELF: a segment past the end of the file' 1 'kernel'
cp "$elf" "$TMP/kernel"
patch "$TMP/kernel" 88 '\x00\xf0\xff\xff\xff\xff\xff\xff'
kernel 'ELF: a segment at the top of the address space' 1 'kernel'
cp "$elf" "$TMP/kernel"
patch "$TMP/kernel" 104 '\x00\x00\x00\x00\x00\x01\x00\x00'
kernel 'ELF: a segment of a TiB' 1 'kernel'
cp "$elf" "$TMP/kernel"
patch "$TMP/kernel" 88 '\x00\x10\x00\x00\x00\x00\x00\x00'
kernel 'ELF: over the page tables' 1 'kernel'
cp "$elf" "$TMP/kernel"
patch "$TMP/kernel" 24 '\x00\x00\x00\xd0\x00\x00\x00\x00'
kernel 'ELF: an entry outside' 1 'kernel'
cp "$elf" "$TMP/kernel"
patch "$TMP/kernel" 54 '\xff\xff\xff\xff'
kernel 'ELF: 65535 program headers' 1 'kernel'

# A bzImage of 5 set-up sectors, protocol 2.15, 64-bit entry, not relocatable,
# that wants to be at 1 GiB.
truncate -s 8192 "$TMP/kernel"
patch "$TMP/kernel" $((0x1f1)) '\x05\x00\x00\x20\x00\x00\x00'
patch "$TMP/kernel" $((0x1fe)) '\x55\xaa\xeb\x66HdrS\x0f\x02'
patch "$TMP/kernel" $((0x211)) '\x01'
patch "$TMP/kernel" $((0x22c)) '\xff\xff\xff\x7f\x00\x00\x20\x00\x00\x00\x03\x00'
patch "$TMP/kernel" $((0x258)) '\x00\x00\x00\x40\x00\x00\x00\x00\x00\x00\x10\x00'
kernel 'bzImage: not relocatable, and no memory there' 1 'kernel'

head -c 1000 "$elf" >"$TMP/initrd"
truncate -s 100M "$TMP/initrd"
config 'memory = "64M"
initrd = "initrd"'
refused 'initrd larger than memory' 1 'initrd'

# --- numbers ---------------------------------------------------------------------

config 'memory = "0"'
refused 'memory 0' 2 'memory'
config 'memory = 0'
refused 'memory 0, a number' 2 'memory'
config 'memory = "1024G"'
refused 'more memory than there is' 2 'more than this host has'
# It is never all available; nothing else counts for an encrypted guest.
most=$(($(sed -n 's/^MemTotal: *\([0-9]*\) kB$/\1/p' /proc/meminfo) / 1024 - 1))
config "memory = '${most}M'
[csv]
type = 'csv2'
backend = 'model'"
refused 'an encrypted guest of all memory' 1 'MiB available now'
config 'vcpus = 0'
refused 'vcpus 0' 2 'vcpus'
config 'vcpus = 65'
refused 'vcpus 65' 2 'vcpus'
config "cmdline = '$(printf '%2048s' '')'"
refused 'cmdline of 2048 bytes' 2 'cmdline'

# --- disks -----------------------------------------------------------------------

disk() {
	config 'memory = "16M"
[[disk]]
path = "disk.img"'
	refused "disk: $1" "$2" "$3"
	rm -rf "$TMP/disk.img"
}
disk missing 2 'disk.path'
mkdir "$TMP/disk.img"
disk 'a folder' 2 'disk.path'
mkfifo "$TMP/disk.img"
disk 'a FIFO' 2 'disk.path'
: >"$TMP/disk.img"
disk 'empty' 1 'disk'
printf 'part' >"$TMP/disk.img"
disk 'of 4 bytes' 1 'disk'
truncate -s 1M "$TMP/disk.img"
if command -v chattr >/dev/null && chattr +i "$TMP/disk.img" 2>/dev/null; then
	disk 'immutable' 2 "can't be written" 2>/dev/null
	chattr -i "$TMP/disk.img"
fi

truncate -s 1M "$TMP/disk.img"
config 'memory = "16M"
[[disk]]
path = "disk.img"'
guest holder idle <<<'memory = "16M"
[[disk]]
path = "disk.img"'
start holder </dev/null
wait_for printed "$TMP/holder.out" idle
others_run=1 refused 'disk: locked by another guest' 1 'in use'
kill "$vm"
check "the holder of the disk was not disturbed" ended 13

# lives NAME MODE [wrapper...]: a guest whose disk fails sees an I/O error
lives() {
	local name=$1 mode=$2
	shift 2
	timeout -k 5 120 "$@" "$CSVVMM" run "$TMP/diskerr-$mode.toml" \
		>"$TMP/out" 2>"$TMP/err" </dev/null
	check "$name: exit status 0" [ $? -eq 0 ]
	check "$name: the guest saw an I/O error" has "$TMP/out" 'diskerr: I/O error'
	check "$name: and went on" has "$TMP/out" SUCCESS
	check "$name: nothing is left" clean
}
for mode in read write; do
	guest diskerr-$mode diskerr <<<"memory = '16M'
cmdline = '$mode'
[[disk]]
path = '$TMP/disk.img'"
done
truncate -s 1M "$TMP/disk.img"
start diskerr-read </dev/null
wait_for printed "$TMP/diskerr-read.out" 'diskerr: started'
truncate -s 300K "$TMP/disk.img"
check "disk: truncated while the guest runs: exit status" ended 0
check "disk: truncated: the guest saw an I/O error" has "$TMP/diskerr-read.out" 'diskerr: I/O error'
check "disk: truncated: and went on" has "$TMP/diskerr-read.out" SUCCESS

# A limit on the file's size: also a signal, SIGXFSZ, that would end the VMM.
rm "$TMP/disk.img"
truncate -s 1M "$TMP/disk.img"
start diskerr-write </dev/null
wait_for printed "$TMP/diskerr-write.out" 'diskerr: started'
prlimit --pid "$vm" --fsize=300000
check "disk: over the limit of a file: exit status" ended 0
check "disk: over the limit of a file: the guest saw an I/O error" has "$TMP/diskerr-write.out" 'diskerr: I/O error'
check "disk: over the limit of a file: and went on" has "$TMP/diskerr-write.out" SUCCESS

# A full file system: of 400 KiB, in a mount namespace.
cat >"$TMP/full" <<'END'
mount -t tmpfs -o size=400k none "$1" || exit 77
truncate -s 1M "$1/disk.img"
shift
exec "$@"
END
mkdir "$TMP/fs"
user=
[ "$(id -u)" = 0 ] || user=-r
# shellcheck disable=SC2086 # empty or one flag
if unshare $user -m bash "$TMP/full" "$TMP/fs" true 2>/dev/null; then
	guest diskerr-write diskerr <<<"memory = '16M'
cmdline = 'write'
[[disk]]
path = 'fs/disk.img'"
	truncate -s 1M "$TMP/fs/disk.img" # for the check outside
	# shellcheck disable=SC2086
	lives 'disk: on a full file system' write \
		unshare $user -m bash "$TMP/full" "$TMP/fs"
else
	skip 'disk: on a full file system' 'no mount namespace here'
fi

# --- the host ----------------------------------------------------------------------

config 'memory = "16M"'
refused '16 descriptors' 1 'Too many open files (the limit is ulimit -n)' bash -c 'ulimit -n 16; exec "$@"' --
# What it says goes through a pipe, or the limit would be its too.
refused 'files of no length' 1 '16 MiB (see ulimit -f)' \
	bash -c '{ (ulimit -f 0; exec "$@") 2>&1 >&3 | cat >&2; } 3>&1; exit "${PIPESTATUS[0]}"' --
if [ -z "${SAN:-}" ]; then
	config 'memory = "512M"'
	refused 'little address space' 1 'guest memory' \
		bash -c 'ulimit -v 200000; exec "$@"' --
fi
config 'memory = "16M"'
: >"$TMP/file"
refused 'state folder is a file' 1 'state folder' env CSVVMM_STATE_DIR="$TMP/file"
refused 'state folder in no folder' 1 'state folder' env CSVVMM_STATE_DIR="$TMP/no/state"
refused 'state folder where nothing can be made' 1 'state folder' \
	env CSVVMM_STATE_DIR=/proc/csvvmm
# A state folder with room for a name, not for a socket: the path is told.
cat >"$TMP/full" <<'END'
mount -t tmpfs -o "size=8k,nr_inodes=$2" none "$1" || exit 77
mkdir -m 700 "$1/state"
export CSVVMM_STATE_DIR=$1/state
shift 2
exec "$@"
END
for inodes in 2 3; do
	# shellcheck disable=SC2086 # empty or one flag
	if unshare $user -m bash "$TMP/full" "$TMP/fs" $inodes true 2>/dev/null; then
		config 'memory = "16M"'
		refused "state folder with $inodes inodes" 1 "$TMP/fs/state: No space left" \
			unshare $user -m bash "$TMP/full" "$TMP/fs" $inodes
	else
		skip "state folder with $inodes inodes" 'no mount namespace here'
	fi
done
mkdir -m 755 "$TMP/open"
refused 'state folder open to others' 1 'chmod 700' env CSVVMM_STATE_DIR="$TMP/open"
refused 'no state folder' 1 'XDG_RUNTIME_DIR' \
	env -u CSVVMM_STATE_DIR -u XDG_RUNTIME_DIR \
	unshare -rU --map-user=1000

# A console that can't be written: the guest does not notice.
for where in stdout file; do
	guest hello <<<'memory = "16M"'
	[ $where = stdout ] || printf '[console]\nfile = "/dev/full"\n' >>"$TMP/hello.toml"
	"$CSVVMM" run "$TMP/hello.toml" >/dev/full 2>"$TMP/err" </dev/null
	check "console on a full file system ($where): exit status" [ $? -eq 0 ]
	check "console on a full file system ($where): a word about it" has "$TMP/err" \
		'of output lost: No space left on device'
	check "console on a full file system ($where): few words" \
		[ "$(wc -l <"$TMP/err")" -lt 10 ]
done

finish
