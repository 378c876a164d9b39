#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Tier 3: the lab's machine with memory encryption, judged by what others
# wrote: an unmodified host kernel, the kernel's own selftests, Debian's QEMU
# and OVMF with an unmodified guest kernel. Then what the host must see of a
# guest's memory. One boot of the lab; nothing is timed, the limits only end
# what hangs.
# shellcheck disable=SC2317 # functions: called by name
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/lab.sh
. tests/e2e/lab.sh

if [ -n "${SAN:-}" ]; then
	skip "the lab's SEV" "sanitizer build: tiers 1 and 2 only"
	finish
fi
if [ -z "${CSVVMM_IN_LAB:-}" ]; then
	lab_whole
	LAB_QEMU=${LAB_QEMU:-$(lab/build-qemu)/qemu-system-x86_64} || exit 1
	export LAB_QEMU
	if ! "$LAB_QEMU" -device help 2>&1 | grep -q '"csv-psp"'; then
		skip "the lab's SEV" "lab/qemu-patches do not make a machine with SEV yet"
		finish
	fi
	kit=$(lab/guest) && selftests=$(lab/selftests) && lab/build-kernel >/dev/null || exit 1
	lab_passed "the lab's SEV"
	ours=$PWD/${BUILD:-build}/kvm-selftests
	mkdir -p "$ours"
	make -s -C kvm-patches/selftests OUT="$ours" "$ours/replay_test" "$ours/hostile_test" >"$TMP/make" 2>&1 || {
		sed 's/^/# /' "$TMP/make"
		not_ok "the tests of hostile hosts and guests build"
		finish
	}
	rm -rf "$TMP"
	# machine "CASES" OPTION...: all of this script in the lab; it prints a plan of its own
	bad=0
	machine() {
		local cases=$1
		shift
		lab/run -m 5G -t 1400 "$@" -- env "COST=${*: -1}" "KIT=$kit" "SELFTESTS=$selftests" "OURS=$ours" "CASES=$cases" \
			"LIMIT=${LIMIT:-}" bash tests/e2e/70-lab-sev.sh || bad=1
	}
	machine "${CASES:-}" --cpu amd --coherency count
	if [ -z "${CASES:-}" ]; then
		machine gen1 --cpu amd --gen 1
		machine gen1 --cpu hygon --gen 1
		machine cost --cpu hygon --psp cheap
		machine cost --cpu hygon --psp dear
		machine "marker corrupt" --cpu amd --coherency corrupt
	fi
	[ "$bad" != 0 ] || lab_stamped
	exit "$bad"
fi
export KIT=${KIT:-$(lab/guest)} || exit 1
SELFTESTS=${SELFTESTS:-$(lab/selftests)} || exit 1
LIMIT=${LIMIT:-240}

# shellcheck disable=SC2317 # called by the trap
cleanup() {
	[ -z "${pid:-}" ] || kill "$pid" 2>/dev/null && wait
	rm -rf "$TMP"
}
trap cleanup EXIT

# --- what the host's kernel finds -------------------------------------------

case_host() {
	dmesg >"$TMP/dmesg"
	check "host: the security processor answers" grep -q 'ccp .*: SEV API:[0-9]' "$TMP/dmesg"
	check "host: SEV has ASIDs 6 to 15" has "$TMP/dmesg" 'kvm_amd: SEV enabled (ASIDs 6 - 15)'
	check "host: SEV-ES has ASIDs 1 to 5" has "$TMP/dmesg" 'kvm_amd: SEV-ES enabled (ASIDs 1 - 5)'
	check "host: /dev/sev answers" python3 tests/e2e/sev.py status
	check "host: and is initialised, with no guest" \
		grep -q 'state=1 .*guests=0$' <(python3 tests/e2e/sev.py status)
}

# --- the kernel's selftests, each with its result -----------------------------

case_selftests() {
	local t status
	while read -r t; do
		timeout -k 5 "$LIMIT" "$SELFTESTS/$t" >"$TMP/$t" 2>&1 </dev/null
		status=$?
		case $status in
		0) ok "selftest: $t" ;;
		4) skip "selftest: $t" "$(grep -i skip "$TMP/$t" | tail -n 1)" ;;
		*)
			sed 's/^/# /' "$TMP/$t" | tail -n 30
			not_ok "selftest: $t: status $status"
			;;
		esac
	done <"$SELFTESTS/list"
}

# --- what the host sees of a page ---------------------------------------------

case_marker() {
	local kind what
	python3 tests/e2e/sev.py marker >"$TMP/marker" 2>&1
	check "marker: status 0" [ $? -eq 0 ]
	while read -r kind what; do
		case $kind in
		PASS) ok "marker: $what" ;;
		FAIL) not_ok "marker: $what" ;;
		*) echo "# $kind $what" ;;
		esac
	done <"$TMP/marker"
}

# --- the VMSA, whose integrity AMD's processors check ---------------------------

case_replay() {
	local before after
	read -r before _ < <(violations)	# the test writes without a flush
	timeout -k 5 "$LIMIT" "${OURS:-build/kvm-selftests}/replay_test" >"$TMP/replay" 2>&1 </dev/null
	check "replay: an old or changed VMSA is refused, the last one is not" [ $? -eq 0 ]
	grep -v '^ok' "$TMP/replay" | sed 's/^/# /'
	read -r after _ < <(violations)
	looked=$((looked + after - before))
}

# --- guests that want the machine to fall ---------------------------------------

# After the caches: neither flushes what it should.
case_hostile() {
	timeout -k 5 "$LIMIT" "${OURS:-build/kvm-selftests}/hostile_test" >"$TMP/hostile" 2>&1 </dev/null
	check "hostile guests: the next guest runs as if there had been none" [ $? -eq 0 ]
	sed 's/^/# /' "$TMP/hostile"
}

# --- other machines ----------------------------------------------------------------

case_gen1() {
	local name=SEV
	[ "$LAB_CPU" = amd ] || name=CSV
	dmesg >"$TMP/dmesg"
	check "$LAB_CPU, first generation: $name is enabled" grep -q "kvm_amd: $name enabled" "$TMP/dmesg"
	check "$LAB_CPU, first generation: nothing of encrypted registers" [ "$(grep -cE 'SEV-ES|CSV2' "$TMP/dmesg")" = 0 ]
	python3 tests/e2e/sev.py marker >"$TMP/marker"
	check "$LAB_CPU, first generation: a launch" [ $? -eq 0 ]
}

# What a launch of two pages costs on the machine's clock, as the files of costs say it: so much for a command, so
# much for a page. Two pages are launched, and one is decrypted, three times.
case_cost() {
	local mailbox page commands busy rest cost=$COST
	mailbox=$(sed -n 's/^mailbox-ns=//p' "lab/psp-$cost")
	page=$(sed -n 's/^page-ns=//p' "lab/psp-$cost")
	python3 tests/e2e/sev.py marker >"$TMP/marker" || cat "$TMP/marker"
	python3 tests/e2e/sev.py counts >"$TMP/counts"
	commands=$(sed -n 's/^mailbox //p' "$TMP/counts")
	busy=$(sed -n 's/^busy //p' "$TMP/counts")
	rest=$((busy - commands * mailbox))
	echo "# $cost: $commands commands, busy for $busy ns"
	check "$cost: what the commands cost, and five pages" [ "$rest" -ge $((5 * page)) ]
	check "$cost: no part of a page is left" [ $((rest % page)) = 0 ]
	check "$cost: no more pages than were there" [ $((rest / page)) -le 20 ]
}

# Who writes to encrypted memory and does not flush finds noise there: the VMSA that is put back as it was.
case_corrupt() {
	timeout -k 5 "$LIMIT" "${OURS:-build/kvm-selftests}/replay_test" >"$TMP/replay" 2>&1 </dev/null
	check "corrupt: a VMSA that was written without a flush is no VMSA" grep -q '^# line .*vcpu_report.*-1009' "$TMP/replay"
	sed 's/^/# /' "$TMP/replay"
}

# --- Debian's QEMU, OVMF and guest kernel -------------------------------------

# guest MODE EXPECT VCPUS: boots; while the guest runs with its text in memory,
# the host looks for it. The plain guest shows that it would be found.
guest() {
	local text=tnatropmi-yrev-terces status i before after
	rm -f "$TMP/in"
	mkfifo "$TMP/in"
	exec 7<>"$TMP/in"
	VCPUS=$3 lab/ovmf "$1" csvvmm.test=sev "expect_sev=$2" "marker=$text" <"$TMP/in" >"$TMP/$1.out" 2>&1 &
	pid=$!
	for ((i = 0; i < LIMIT * 5; i++)); do
		! grep -qE 'ASK marker|X64 Exception' "$TMP/$1.out" || break	# the latter is OVMF giving up
		kill -0 $pid 2>/dev/null || break
		sleep 0.2
	done
	found=none status='none: the guest did not get as far'
	if grep -q 'ASK marker' "$TMP/$1.out"; then
		read -r before _ < <(violations)
		found=$(python3 tests/e2e/sev.py find $pid "$(rev <<<"$text")")
		read -r after _ < <(violations)
		looked=$((looked + after - before))
		echo go >&7
		status='none: the guest hangs after the host looked at its memory'
		for ((i = 0; i < LIMIT * 2; i++)); do
			kill -0 $pid 2>/dev/null || break
			sleep 0.2
		done
	fi
	if kill $pid 2>/dev/null; then
		wait $pid
	else
		wait $pid
		status=$?
	fi
	pid=
	check "$1: the guest's Linux says so" has "$TMP/$1.out" 'PASS sev Memory Encryption'
	check "$1: Debian's QEMU and OVMF boot it with $3 processors, and it ends by itself" [ "$status" = 0 ]
	[ "$status" = 0 ] || echo "# $1: status $status"
	check "$1: Linux has them all" has "$TMP/$1.out" "csvvmm-guest: up cpus=$3 "
	check "$1: the guest's script is content" has "$TMP/$1.out" 'test sev exit=0'
	grep -o 'Memory Encryption.*' "$TMP/$1.out" | tr -d '\r' | sed "s/^/# $1: /"
}

case_plain() {
	guest plain 0 1
	check "plain: the host finds the guest's text ($found times)" [ "${found#none}" -ge 64 ]
}

case_sev() {
	guest sev 1 2
	linux_guests=$((linux_guests + 1))
	check "sev: the host does not find the guest's text ($found times)" [ "$found" = 0 ]
}

case_sev_es() {
	guest sev-es 2 2
	linux_guests=$((linux_guests + 1))
	check "sev-es: the host does not find the guest's text ($found times)" [ "$found" = 0 ]
}

# --- caches -------------------------------------------------------------------

# The host that looks into a running guest's memory sees lines that the guest
# did not flush, and need not: those are in $looked, and what the test of the
# VMSA wrote. Linux clears its .bss..decrypted (2 MiB) as private memory, and maps it
# shared without a flush: 32768 lines a guest. Nothing else, by anyone.
case_caches() {
	local host guests
	read -r host guests < <(violations)
	host=$((host - looked))
	check "caches: no line that the host should have flushed ($host)" [ "$host" = 0 ]
	check "caches: guests missed what Linux is known to miss, no more ($guests)" \
		[ "$guests" = $((32768 * linux_guests)) ]
}
linux_guests=0 looked=0

for c in ${CASES:-host selftests marker replay plain sev sev_es caches hostile}; do "case_$c"; done
if [ -z "${CASES:-}" ]; then
	check "no guest is left in the security processor" \
		grep -q 'state=1 .*guests=0$' <(python3 tests/e2e/sev.py status)
	dmesg | grep -E 'WARNING|\bBUG\b|Oops|general protection' >"$TMP/bad"
	check "the host's kernel has nothing to complain about" [ ! -s "$TMP/bad" ]
	sed 's/^/# /' "$TMP/bad"
fi
finish
