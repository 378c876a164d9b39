#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Tier 3: unmodified Linux guests, here if /dev/kvm can run them, otherwise
# all in one boot of the lab. A guest script of tests/e2e/guest says PASS or
# FAIL; each such line becomes a test. Nothing here is timed: the limits only
# end what hangs.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

if [ -n "${SAN:-}" ]; then
	skip "Linux guests" "sanitizer build: tiers 1 and 2 only"
	finish
fi
if [ -z "${CSVVMM_IN_LAB:-}" ] && ! "$CSVVMM" doctor --can-run-linux >/dev/null 2>&1; then
	if ! command -v qemu-system-x86_64 >/dev/null; then
		skip "Linux guests" "no KVM that runs Linux here, and no qemu-system-x86_64 for the lab"
		finish
	fi
	# Ours: nested SVM of Debian's QEMU sometimes gives an interrupt twice, or loses the host (lab/README.md).
	LAB_QEMU=${LAB_QEMU:-$(lab/build-qemu)/qemu-system-x86_64} || exit 1
	export LAB_QEMU
	kit=$(lab/guest) && lab/build-kernel >/dev/null || exit 1
	rm -rf "$TMP"
	exec lab/run -m 8G -t 1400 -- env "BUILD=$BUILD" "KIT=$kit" "CASES=${CASES:-}" "LIMIT=${LIMIT:-}" bash tests/e2e/60-linux.sh
fi
KIT=${KIT:-$(lab/guest)} || exit 1
LIMIT=${LIMIT:-300}

undo=()
jobs=()
# shellcheck disable=SC2317 # called by the trap
cleanup() {
	local c
	[ ${#jobs[@]} -eq 0 ] || kill "${jobs[@]}" 2>/dev/null && wait
	for c in "${undo[@]}"; do eval "$c"; done
	rm -rf "$TMP"
}
trap cleanup EXIT

# guest NAME CMDLINE <<< the rest of guest.toml: start it in the background;
# its console is $TMP/NAME.out, lines for it go to descriptor 7.
guest() {
	{
		printf 'name = "%s"\nkernel = "%s"\ninitrd = "%s"\n' "$1" "$KIT/vmlinuz" "$KIT/initrd.img"
		printf 'cmdline = "console=ttyS0 quiet csvvmm.test=%s"\n' "$2"
		cat
	} >"$TMP/$1.toml"
	rm -f "$TMP/$1.in"
	mkfifo "$TMP/$1.in"
	exec 7<>"$TMP/$1.in"
	timeout -k 5 $LIMIT "$CSVVMM" run "$TMP/$1.toml" <"$TMP/$1.in" >"$TMP/$1.out" 2>&1 &
	pid=$!
	jobs+=("$pid")
}

# until_line NAME TEXT: wait until the console shows it; false if the guest ends before
until_line() {
	while ! grep -qF -- "$2" "$TMP/$1.out"; do
		kill -0 "$pid" 2>/dev/null || { grep -qF -- "$2" "$TMP/$1.out"; return; }
		sleep 0.2
	done
}

# tell WORD: answers the guest's `ask`
tell() { echo "$1" >&7; }

# ended NAME STATUS SCRIPT: wait for the end; what the guest said becomes tests
ended() {
	local got kind what
	wait "$pid"
	got=$?
	while read -r kind what; do
		case $kind in
		PASS) ok "$1: $what" ;;
		FAIL) not_ok "$1: $what" ;;
		esac
	done < <(tr -d '\r' <"$TMP/$1.out")
	check "$1: the guest's script is content" grep -q "csvvmm-guest: test $3 exit=0" "$TMP/$1.out"
	check "$1: exit status $2" [ "$got" -eq "$2" ]
	[ "$got" -eq "$2" ] || show "$TMP/$1.out"
}

# --- disk, network, two vCPUs: what `make demo` does ------------------------

case_demo() {
	status=0
	timeout -k 5 $LIMIT tests/e2e/linux-host "$CSVVMM" "$KIT" 2 >"$TMP/demo.out" 2>&1 </dev/null || status=$?
	check "demo: exit status 0" [ $status -eq 0 ]
	[ $status -eq 0 ] || sed 's/^/# /' "$TMP/demo.out"
	for what in cpus disk-write disk-read net-ping net-tcp host-disk; do
		check "demo: $what" has "$TMP/demo.out" "PASS $what"
	done
}

# --- what Linux finds: 8 vCPUs, RAM above the hole, small devices; then power ----

case_machine() {
	free_mib=$(($(sed -n 's/^MemAvailable: *\([0-9]*\).*/\1/p' /proc/meminfo) / 1024))
	mib=5120
	[ $free_mib -gt $mib ] || mib=1024
	guest machine "machine expect_cpus=8 expect_mib=$mib" <<END
vcpus = 8
memory = "${mib}M"
END
	if until_line machine 'ASK power'; then
		check "pause" "$CSVVMM" pause machine
		"$CSVVMM" status machine >"$TMP/status"
		check "pause: status says so" grep -q '^state  *paused' "$TMP/status"
		check "resume" "$CSVVMM" resume machine
		check "power: stop presses the button" "$CSVVMM" stop machine
	else
		not_ok "power: the guest did not get as far"
	fi
	ended machine 0 machine
	check "hvc0: the line is on the console" has "$TMP/machine.out" 'HELLO from hvc0'
}

# --- the kit as a user starts it: a shell, and the power button -----------------

case_kit() {
	guest kit "" <<<'memory = "256M"'
	if until_line kit 'shell ready'; then
		tell 'echo sum=$((6 * 7)).'
		check "kit: a shell on the console" until_line kit 'sum=42.'
		check "kit: stop ends it" timeout $LIMIT "$CSVVMM" stop --wait kit
	else
		not_ok "kit: no shell"
	fi
	wait "$pid"
	check "kit: exit status 0" [ $? -eq 0 ]
	check "kit: by the button" has "$TMP/kit.out" 'csvvmm-guest: power button'
}

# --- disks that fail; huge pages; reboot ------------------------------------

huge_free() { sed -n 's/^HugePages_Free: *//p' /proc/meminfo; }

case_disks() {
	# The half that fails: a linear target and an error target of device-mapper.
	half=$TMP/half.img
	truncate -s 64M "$half"
	if [ "$(id -u)" = 0 ] && command -v dmsetup >/dev/null && loop=$(losetup -f --show "$half" 2>/dev/null); then
		undo=("losetup -d $loop")
		name=csvvmm-eio-$$
		if printf '0 65536 linear %s 0\n65536 65536 error\n' "$loop" |
			dmsetup create "$name" --noudevsync 2>/dev/null; then
			undo=("dmsetup remove --noudevsync $name" "${undo[@]}")
			# Not /dev/mapper: without udev nobody makes that name.
			half=/dev/dm-$(dmsetup info -c --noheadings -o minor "$name" | tr -d ' ')
		fi
	fi
	[ -b "$half" ] || half=

	mkdir "$TMP/small"
	full=
	if [ "$(id -u)" = 0 ] && mount -t tmpfs -o size=6M tmpfs "$TMP/small" 2>/dev/null; then
		undo=("umount $TMP/small" "${undo[@]}")
		full=$TMP/small/full.img
		truncate -s 64M "$full"
	fi

	huge=false
	if [ -n "${CSVVMM_IN_LAB:-}" ]; then
		echo 140 >/proc/sys/vm/nr_hugepages
	fi
	huge_before=$(huge_free)
	[ "${huge_before:-0}" -lt 128 ] || huge=true

	if [ -n "$half" ] && [ -n "$full" ]; then
		truncate -s 64M "$TMP/gone.img" "$TMP/holes.img"
		guest disks "disks csvvmm.end=reboot" <<END
on_reboot = "exit"
vcpus = 2
memory = "256M"
hugepages = $huge

[[disk]]
id = "half"
path = "$half"

[[disk]]
id = "full"
path = "$full"

[[disk]]
id = "gone"
path = "gone.img"

[[disk]]
id = "holes"
path = "holes.img"
cache = "direct"
END
		if until_line disks 'ASK truncate'; then
			if [ $huge = true ]; then
				check "hugepages: the guest's RAM is of them" [ "$(huge_free)" -lt "$huge_before" ]
			else
				skip "hugepages" "none reserved here"
			fi
			truncate -s 0 "$TMP/gone.img"
			tell truncated
		fi
		if until_line disks 'ASK holes'; then
			kib=$(du -k "$TMP/holes.img" | cut -f1)
			check "discard: 8 MiB were written" [ "$kib" -ge 8192 ]
			tell go
		fi
		ended disks 12 disks
		kib=$(du -k "$TMP/holes.img" | cut -f1)
		check "discard: the file has holes again" [ "$kib" -lt 4096 ]
		check "eio: the guest said I/O error" grep -q 'PASS eio-read.*Input/output error' "$TMP/disks.out"
	else
		skip "eio, full disk, discard" "needs root, loop devices, dmsetup"
	fi
}

# --- network without privileges, then a panic -------------------------------

# passt_up: in a network namespace of its own, with an address and a default
# route that lead nowhere: passt gives the guest that address, and what the
# guest sends to the gateway goes to the namespace's loopback.
passt_up() {
	ip link set lo up && ip link add dummy0 type dummy && ip addr add 10.77.0.1/24 dev dummy0 &&
		ip link set dummy0 up && ip route add default via 10.77.0.2
}

case_passt() {
	net='' peer=''
	if ! command -v passt >/dev/null; then
		skip "passt" "not installed"
	elif [ "$(id -u)" != 0 ] || ! unshare -n true 2>/dev/null; then
		skip "passt" "no network namespace for it"
	else
		head -c 8388608 /dev/urandom >"$TMP/blob"
		sha256sum "$TMP/blob" | cut -d' ' -f1 | cat - "$TMP/blob" >"$TMP/served"
		mkdir "$TMP/passt"
		chmod 711 "$TMP"
		chmod 777 "$TMP/passt"
		unshare -n bash -c "$(declare -f passt_up); passt_up || exit
			timeout $LIMIT socat -u OPEN:$TMP/served TCP-LISTEN:5001,reuseaddr &
			exec passt --foreground --socket $TMP/passt/sock --pid $TMP/passt/pid" \
			>"$TMP/passt.log" 2>&1 </dev/null &
		passt=$!
		jobs+=("$passt")
		for _ in $(seq 100); do
			[ ! -S "$TMP/passt/sock" ] || break
			kill -0 $passt 2>/dev/null || break
			sleep 0.1
		done
		if [ -S "$TMP/passt/sock" ]; then
			net=$'[[net]]\npasst = "'"$TMP/passt/sock"'"'
			peer='fetch ip4=10.77.0.1/24 gw4=10.77.0.2 peer=10.77.0.2:5001'
		else
			sed 's/^/# /' "$TMP/passt.log"
			skip "passt" "does not run here: $(tail -n 1 "$TMP/passt.log")"
		fi
	fi
	guest panic "${peer:-demo} csvvmm.end=panic" <<END
memory = "256M"
$net
END
	script=${peer%% *}
	ended panic 10 "${script:-demo}"
	[ -z "$peer" ] || check "passt: 8 MiB came through" has "$TMP/panic.out" 'PASS net-tcp 8388608 bytes'
}

check "doctor: this host runs Linux guests" "$CSVVMM" doctor --can-run-linux

# In the lab a guest sometimes (about one in forty) dies by a triple fault out
# of nowhere; the cause is not found yet. Such a case is told and run once more;
# a second time it fails. Anywhere else, and for any other end, it fails at once.
faulted() { [ -n "${CSVVMM_IN_LAB:-}" ] && grep -qs 'ended by a triple fault' "$TMP"/*.out; }

run_case() {
	local n=$tap_n bad=$tap_bad u
	"case_$1" >"$TMP/tap"
	if [ "$tap_bad" -gt "$bad" ] && faulted; then
		sed 's/^/# first try: /' "$TMP/tap"
		echo "# $1: a guest ended by a triple fault in the lab: once more"
		tap_n=$n tap_bad=$bad
		for u in "${undo[@]}"; do eval "$u"; done
		undo=()
		rm -rf "${TMP:?}"/*
		"case_$1" >"$TMP/tap"
	fi
	cat "$TMP/tap"
}

# CASES is for whoever works on one of them.
for c in ${CASES:-demo machine kit disks passt}; do run_case "$c"; done
finish
