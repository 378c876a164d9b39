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
	n=0 bad=0
	# One plan for both: the second goes on counting.
	for cpu in ${CPUS:-hygon amd}; do
		out=$(mktemp)
		lab/run --cpu "$cpu" --coherency count -m 5G -t 1400 -- env "BUILD=$BUILD" "KIT=$kit" "CASES=${CASES:-}" \
			"LIMIT=${LIMIT:-}" "FROM=$n" bash tests/e2e/72-csv-guests.sh | tee "$out"
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

# violations: of the host, of guests with themselves, since the lab started
violations() { python3 tests/e2e/sev.py watch | sed 's/^.*host=\([0-9]*\) guests=\([0-9]*\)$/\1 \2/'; }

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

# --- disk, network, processors ----------------------------------------------

# linux TYPE VCPUS: what `make demo` does, and the shutdown that follows
linux() {
	local name="$1, $2 vCPUs" what status=0
	CSV=$1 CMDLINE='' LOOKED=$TMP/looked timeout -k 5 "$LIMIT" tests/e2e/linux-host "$CSVVMM" "$KIT" "$2" >"$TMP/out" 2>&1 </dev/null || status=$?
	guests=$((guests + 1))
	check "$name: boots, does its work, powers off with 0" [ $status -eq 0 ]
	[ $status -eq 0 ] || tail -n 60 "$TMP/out" | sed 's/^/# /'
	for what in sev host-blind cpus disk-write disk-read net-ping net-tcp host-disk; do
		check "$name: $what" has "$TMP/out" "PASS $what"
	done
}

case_csv() { linux csv 1; linux csv 2; linux csv 4; }
case_csv2() { linux csv2 1; linux csv2 2; linux csv2 4; }

# --- what the owner predicts, what the host sees ------------------------------

# marker TYPE EXPECT [MORE]: digest, text in memory, page states; MORE for [csv]
marker() {
	local text=tnatropmi-yrev-terces want
	guest m "$1" "csvvmm.test=sev expect_sev=$2 marker=$text"
	[ -z "${3:-}" ] || echo "$3" >>"$TMP/m.toml"
	want=$("$CSVVMM" measure "$TMP/m.toml" | sed -n 's/^digest  *//p')
	rm -f "$TMP/in"
	mkfifo "$TMP/in"
	exec 7<>"$TMP/in"
	timeout -k 5 "$LIMIT" "$CSVVMM" run "$TMP/m.toml" <"$TMP/in" >"$TMP/out" 2>&1 &
	pid=$!
	guests=$((guests + 1))
	until grep -q 'ASK marker' "$TMP/out" || ! kill -0 $pid 2>/dev/null; do sleep 0.2; done
	"$CSVVMM" status --json m >"$TMP/status"
	check "$1${3:+ ($3)}: the digest is as predicted" [ "$(jq -r .csv.digest "$TMP/status")" = "$want" ]
	check "$1: the guest told its page states" [ "$(jq -r .csv.shared_pages "$TMP/status")" -gt 0 ]
	check "$1: it can be migrated" [ "$(jq -r .csv.migratable_now "$TMP/status")" = true ]
	vmm=$(jq -r .pid "$TMP/status")
	read -r before _ < <(violations)
	kill -STOP "$vmm"
	found=$(python3 tests/e2e/sev.py find "$vmm" "$(rev <<<"$text")")
	kill -CONT "$vmm"
	read -r after _ < <(violations)
	looked=$((looked + after - before))
	check "$1: the host does not find the guest's text ($found times)" [ "$found" = 0 ]
	echo go >&7
	wait $pid
	check "$1: it ends by itself" [ $? -eq 0 ]
	pid=
	check "$1: Linux says so" has "$TMP/out" 'PASS sev Memory Encryption Features active'
	grep -o 'Memory Encryption Features.*' "$TMP/out" | tr -d '\r' | sed "s/^/# $1: /"
}

case_marker() {
	marker csv 1
	marker csv2 2
	marker csv2 2 'measure = "all"'
}

# --- a hostile host -----------------------------------------------------------

# tampered WHAT ADDRESS WORDS [SECONDS]: changed after the measurement; the shim refuses
tampered() {
	local status
	guest t csv2 ""
	"$CSVVMM" run --wait-for-owner "$TMP/t.toml" >"$TMP/out" 2>&1 </dev/null &
	pid=$!
	until grep -q 'waiting for the owner' "$TMP/out" || ! kill -0 $pid 2>/dev/null; do sleep 0.1; done
	vmm=$("$CSVVMM" status --json t | jq -r .pid)
	if [ -n "${4:-}" ]; then
		python3 tests/e2e/poke.py "$vmm" "$2" "$4" &
		sleep 0.5
	else
		check "$1: changed" python3 tests/e2e/poke.py "$vmm" "$2"
	fi
	"$CSVVMM" launch-go t >/dev/null
	wait $pid
	status=$?
	pid=
	check "$1: the guest ends with 14 ($status)" [ $status -eq 14 ]
	check "$1: and says why" has "$TMP/out" "$3"
}

case_tamper() {
	local explain at
	guest t csv2 ""
	explain=$("$CSVVMM" measure --json --explain "$TMP/t.toml")
	# where WHAT: address of a piece
	where() { jq -r --arg w "$1" '.regions[] | select(.what == $w) | .addr' <<<"$explain" | head -n 1; }
	for what in kernel initrd cmdline boot_params acpi; do
		at=$(where $what)
		tampered "$what" $((at + 8)) "$what is not what was measured"
	done
	tampered "kernel, its last byte" $(($(where initrd) + 4095)) "initrd is not what was measured"
	tampered "kernel, all the time" $(($(where kernel) + 5000000)) "kernel is not what was measured" 20
	tampered "the shim's configuration" $(($(where "shim config"))) "configuration is damaged"
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

for c in ${CASES:-csv csv2 marker tamper caches}; do "case_$c"; done
exit $((tap_bad > 0)) # the plan is the caller's
