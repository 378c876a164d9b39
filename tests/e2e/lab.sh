# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# For scripts that boot hosts of the lab and run themselves there, one maker's after the other: outside, lab_hosts() is all;
# inside, $maker is whose machine it is. One plan for all: each goes on counting.

# lab_skip WHAT: no sanitizers
lab_skip() {
	[ -n "${SAN:-}" ] || return 0
	skip "$1" "sanitizer build: tiers 1 and 2 only"
	finish
}

# lab_ready: QEMU and kernel, and $kit
lab_ready() {
	LAB_QEMU=${LAB_QEMU:-$(lab/build-qemu)/qemu-system-x86_64} || exit 1
	export LAB_QEMU
	kit=$(lab/guest) && LAB_KERNEL=${LAB_KERNEL:-$(lab/build-kernel)/vmlinux} || exit 1
	export LAB_KERNEL
}

# lab_hosts MAKERS COMMAND...: the command boots a host for `--cpu MAKER -- env BUILD=... FROM=... $vars bash $0`; ends the script
lab_hosts() {
	local makers=$1 cpu out n=0 bad=0
	shift
	rm -rf "$TMP"
	for cpu in $makers; do
		out=$(mktemp)
		"$@" --cpu "$cpu" -- env "BUILD=$BUILD" "KIT=$kit" "FROM=$n" "${vars[@]}" bash "$0" |
			sed -u 's/^A: //; s/^B: /# B: /' | tee "$out"
		[ "${PIPESTATUS[0]}" = 0 ] || bad=1
		n=$((n + $(grep -cE '^(not )?ok ' "$out")))
		rm -f "$out"
	done
	echo "1..$n"
	exit "$bad"
}

# lab_here: in the lab
lab_here() {
	tap_n=${FROM:-0}
	maker=$LAB_CPU
	ok() { tap_n=$((tap_n + 1)); echo "ok $tap_n - $maker: $*"; }
	not_ok() { tap_n=$((tap_n + 1)); tap_bad=$((tap_bad + 1)); echo "not ok $tap_n - $maker: $*"; }
}
