#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Tier 3: csvvmm's encrypted guests on a real kernel's KVM, in the lab, on the
# machine of each maker: an unmodified Debian kernel, without firmware. Nothing
# is timed; the limits only end what hangs.
# shellcheck disable=SC2317 # functions: called by name
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

if [ -n "${SAN:-}" ]; then
	skip "encrypted guests" "sanitizer build: tiers 1 and 2 only"
	finish
fi
if [ -z "${CSVVMM_IN_LAB:-}" ]; then
	LAB_QEMU=${LAB_QEMU:-$(lab/build-qemu)/qemu-system-x86_64} || exit 1
	export LAB_QEMU
	kit=$(lab/guest) && LAB_KERNEL=${LAB_KERNEL:-$(lab/build-kernel)/vmlinux} || exit 1
	export LAB_KERNEL
	rm -rf "$TMP"
	n=0 bad=0 seconds=1400
	[ -z "${FULL:-}" ] || seconds=5400
	# One plan for both: the second goes on counting.
	for cpu in ${CPUS:-hygon ${FULL:+amd}}; do
		out=$(mktemp)
		lab/run --cpu "$cpu" --coherency count -m 5G -t "$seconds" -- env "BUILD=$BUILD" "KIT=$kit" "CASES=${CASES:-}" \
			"LIMIT=${LIMIT:-}" "FULL=${FULL:-}" "FROM=$n" bash tests/e2e/72-csv-guests.sh | tee "$out"
		[ "${PIPESTATUS[0]}" = 0 ] || bad=1
		n=$((n + $(grep -cE '^(not )?ok ' "$out")))
		rm -f "$out"
	done
	echo "1..$n"
	exit "$bad"
fi
tap_n=${FROM:-0}
LIMIT=${LIMIT:-300}
maker=$LAB_CPU
guests=0 looked=0

ok() { tap_n=$((tap_n + 1)); echo "ok $tap_n - $maker: $*"; }
not_ok() { tap_n=$((tap_n + 1)); tap_bad=$((tap_bad + 1)); echo "not ok $tap_n - $maker: $*"; }

# shellcheck disable=SC2317 # called by the trap
cleanup() {
	[ -z "${pid:-}" ] || kill "$pid" 2>/dev/null && wait
	rm -rf "$TMP"
}
trap cleanup EXIT

# guest NAME TYPE CMDLINE [VCPUS]: writes $TMP/NAME.toml
guest() {
	cat >"$TMP/$1.toml" <<-END
		name = "$1"
		vcpus = ${4:-1}
		memory = "512M"
		kernel = "$KIT/vmlinuz"
		initrd = "$KIT/initrd.img"
		cmdline = "console=ttyS0 quiet $3"
		[csv]
		type = "$2"
		policy = []
		profile = "$maker"
	END
}

# --- disk, network, processors; what the owner predicts, what the host sees -----

# linux TYPE VCPUS [MORE]: what `make demo` does, and the shutdown that follows; MORE for [csv]
linux() {
	local name="$1, $2 vCPUs${3:+, $3}" what status=0
	CSV=$1 CSV_MORE=${3:-} CMDLINE='' LOOKED=$TMP/looked timeout -k 5 "$LIMIT" \
		tests/e2e/linux-host "$CSVVMM" "$KIT" "$2" >"$TMP/out" 2>&1 </dev/null || status=$?
	guests=$((guests + 1))
	check "$name: boots, does its work, powers off with 0" [ $status -eq 0 ]
	[ $status -eq 0 ] || tail -n 60 "$TMP/out" | sed 's/^/# /'
	for what in sev digest told host-blind cpus disk-write disk-read net-ping net-tcp host-disk; do
		check "$name: $what" has "$TMP/out" "PASS $what"
	done
	sed -n 's/^PASS sev /# /p' "$TMP/out"
}

# How many vCPUs: all of it, on both machines, with FULL=1 (make soak), else a part.
case $maker${FULL:+-full} in
*-full) csv='1 2 4' csv2='1 2 4' all=2 tamper=1 ;;
hygon) csv=2 csv2='1 4' all='' tamper=1 ;;
*) csv='' csv2=4 all='' tamper='' ;;
esac

# The host would find the text, if it were there to be found.
case_plain() {
	local status=0
	CSV=none CMDLINE='' timeout -k 5 "$LIMIT" tests/e2e/linux-host "$CSVVMM" "$KIT" >"$TMP/out" 2>&1 </dev/null || status=$?
	check "plain: boots, does its work, powers off with 0" [ $status -eq 0 ]
	check "plain: the host sees the guest's text" has "$TMP/out" "PASS host-sees"
}

case_csv() {
	local n
	for n in $csv; do linux csv "$n"; done
}

case_csv2() {
	local n
	for n in $csv2; do linux csv2 "$n"; done
	for n in $all; do linux csv2 "$n" 'measure = "all"'; done
}

# --- a hostile host -----------------------------------------------------------

# tampered WHAT ADDRESS WORDS: changed after the measurement; the shim refuses
tampered() {
	local status
	guest t csv2 ""
	"$CSVVMM" run --wait-for-owner "$TMP/t.toml" >"$TMP/out" 2>&1 </dev/null &
	pid=$!
	until grep -q 'waiting for the owner' "$TMP/out" || ! kill -0 $pid 2>/dev/null; do sleep 0.1; done
	vmm=$("$CSVVMM" status --json t | jq -r .pid)
	check "$1: changed" python3 tests/e2e/sev.py flip "$vmm" "$2"
	"$CSVVMM" launch-go t >/dev/null
	wait $pid
	status=$?
	pid=
	check "$1: the guest ends with 14 ($status)" [ $status -eq 14 ]
	check "$1: and says why" has "$TMP/out" "$3"
}

case_tamper() {
	local explain at
	[ -n "$tamper" ] || return 0
	guest t csv2 ""
	explain=$("$CSVVMM" measure --json --explain "$TMP/t.toml")
	# where WHAT: address of a piece
	where() { jq -r --arg w "$1" '.regions[] | select(.what == $w) | .addr' <<<"$explain" | head -n 1; }
	for what in kernel initrd cmdline boot_params acpi; do
		at=$(where $what)
		tampered "$what" $((at + 8)) "$what is not what was measured"
	done
	tampered "initrd, the end of its first page" $(($(where initrd) + 4095)) "initrd is not what was measured"
}

# --- caches -------------------------------------------------------------------

# Linux clears .bss..decrypted as private memory and maps it shared without a
# flush (tests/e2e/70-lab-sev.sh): 32768 lines a guest. Nothing else, by anyone.
case_caches() {
	local host own
	read -r host own < <(violations)
	[ ! -e "$TMP/looked" ] || looked=$((looked + $(paste -sd+ "$TMP/looked")))
	host=$((host - looked))
	check "caches: no line that the host should have flushed ($host)" [ "$host" = 0 ]
	check "caches: guests missed what Linux is known to miss, no more ($own)" [ "$own" = $((32768 * guests)) ]
}

for c in ${CASES:-plain csv csv2 tamper caches}; do "case_$c"; done
exit $((tap_bad > 0)) # the plan is the caller's
