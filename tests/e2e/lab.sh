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

# What csvvmm's program has no part in is not done again with the very same lab: a stamp in its cache says when it passed, all of
# it. Behind it are the test, lab/ and kvm-patches/, Debian's programs and the machine. LAB_AGAIN=1: it is done.

# lab_whole: first of all; nothing is left out and nothing is another one?
lab_whole() {
	stamp=
	[ -n "${CASES:-}${MACHINES:-}${T:-}${LIMIT:-}${LAB_KERNEL:-}${LAB_QEMU:-}" ] || stamp=1
}

# stamp_file: prints its name, for this script
stamp_file() {
	local qemu kernel sum
	qemu=$(lab/build-qemu) && kernel=$(lab/build-kernel) || return 1
	sum=$({
		find lab kvm-patches tests/e2e/{lib,lab}.sh tests/e2e/sev.py tests/e2e/guest "tests/e2e/$(basename "$0")" -type f -print0 |
			sort -z | xargs -0 cat
		echo "$qemu $kernel $(lab/guest) $(lab/selftests) $(uname -r) $(nproc)"
		dpkg-query -W -f '${Package} ${Version}\n' gcc libc6 qemu-system-x86 ovmf linux-image-amd64 2>/dev/null
	} | sha256sum)
	printf '%s/passed-%s-%.16s\n' "$(dirname "$qemu")" "$(basename "$0" .sh)" "$sum"
}

# lab_passed WHAT: ends the script if there is such a stamp
lab_passed() {
	[ -n "$stamp" ] || return 0
	stamp=$(stamp_file) || exit 1
	[ -s "$stamp" ] && [ -z "${LAB_AGAIN:-}" ] || return 0
	skip "$1" "passed with this very lab on $(cat "$stamp"); LAB_AGAIN=1 does it again"
	finish
}

# lab_stamped: it has passed
lab_stamped() { [ -z "$stamp" ] || date -u '+%F %R' >"$stamp"; }
