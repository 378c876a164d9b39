#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Tier 3: the series in kvm-patches/ on the lab's machines: what the host finds,
# the series' own selftests and the kernel's for SEV, each with its result. Four
# machines: Hygon; AMD, where most of it has to be refused; Hygon with a security
# processor that is too slow, and with one that is lost. MACHINES names those to
# use; LAB_KERNEL may be the kernel of `lab/build-kernel --debug`.
# shellcheck disable=SC2153 # from outside
# shellcheck disable=SC2317 # functions: called by name
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/lab.sh
. tests/e2e/lab.sh

if [ -n "${SAN:-}" ]; then
	skip "kvm-patches" "sanitizer build: tiers 1 and 2 only"
	finish
fi

# --- outside: boots the machines ----------------------------------------------

# machine NAME LIMIT OPTION...: all of this script in the lab; it prints results of its own
bad=0
machine() {
	local name=$1 limit=$2
	shift 2
	case " ${MACHINES:-hygon amd slow lost} " in
	*" $name "*) ;;
	*) return 0 ;;
	esac
	lab/run -m 6G -t "$limit" "$@" -- env "MACHINE=$name" "OURS=$ours" "STOCK=$stock" "T=${T:-}" "LIMIT=${LIMIT:-}" \
		bash tests/e2e/75-kvm-patches.sh </dev/null || bad=$?
	[ "$bad" -lt 124 ] || exit "$bad"
}

if [ -z "${CSVVMM_IN_LAB:-}" ]; then
	lab_whole
	lab_passed kvm-patches
	ours=$PWD/${BUILD:-build}/kvm-selftests
	mkdir -p "$ours"
	make -s -C kvm-patches/selftests OUT="$ours" >"$TMP/make" 2>&1 || {
		sed 's/^/# /' "$TMP/make"
		not_ok "the selftests build"
		finish
	}
	stock=$(lab/selftests) && lab/build-qemu >/dev/null || exit 1
	LAB_KERNEL=${LAB_KERNEL:-$(lab/build-kernel)/vmlinux} || exit 1
	export LAB_KERNEL
	echo 'doorbell-ns=7500000000' >"$TMP/slow"
	echo 'doorbell-ns=25000000000' >"$TMP/lost"
	t=$((${LIMIT:-400} * 3))
	machine hygon $t --cpu hygon
	machine amd $t --cpu amd
	machine slow $t --cpu hygon --psp "$TMP/slow"
	machine lost $t --cpu hygon --psp "$TMP/lost"
	[ "$bad" != 0 ] || lab_stamped
	exit "$bad"
fi

# --- inside -------------------------------------------------------------------

# run FOLDER TEST: a program that prints TAP, or just ends with 0; 77 and 4 say that it is not for this machine
run() {
	local t=$2 status n from=$SECONDS
	timeout -k 5 "${LIMIT:-400}" "$1/$t" >"$TMP/$t" 2>&1 </dev/null
	status=$?
	n=$(grep -c '^ok' "$TMP/$t")
	case $status in
	0) ok "$MACHINE: $t: $n passed" ;;
	77 | 4) skip "$MACHINE: $t" "$(grep -i skip "$TMP/$t" | tail -n 1)" ;;
	*)
		grep -v '^ok' "$TMP/$t" | sed 's/^/# /' | tail -n 30
		echo "# last: $(grep '^ok' "$TMP/$t" | tail -n 1); $((SECONDS - from)) s by this machine's clock"
		dmesg | tail -n 5 | sed 's/^/# dmesg: /'
		not_ok "$MACHINE: $t: status $status"
		;;
	esac
	[ "$t" != batch_speed ] || sed -n 's/^#/# batch_speed:/p' "$TMP/$t"
}

case_hygon() {
	check "hygon: a Hygon processor" grep -q 'vendor_id.*HygonGenuine' /proc/cpuinfo
	check "hygon: CSV has ASIDs 6 to 15" grep -q 'kvm_amd: CSV enabled (ASIDs 6 - 15)' "$TMP/dmesg"
	check "hygon: CSV2 has ASIDs 1 to 15" grep -q 'kvm_amd: CSV2 enabled (ASIDs 1 - 15)' "$TMP/dmesg"
	check "hygon: the security processor answers" grep -q 'ccp .*: SEV API:' "$TMP/dmesg"
	both
	run "$OURS" replay_test
}

case_amd() {
	check "amd: an AMD processor" grep -q 'vendor_id.*AuthenticAMD' /proc/cpuinfo
	check "amd: SEV has ASIDs 6 to 15" grep -q 'kvm_amd: SEV enabled (ASIDs 6 - 15)' "$TMP/dmesg"
	check "amd: SEV-ES has ASIDs 1 to 5" grep -q 'kvm_amd: SEV-ES enabled (ASIDs 1 - 5)' "$TMP/dmesg"
	both
}

# Each program knows what the other maker's machine has to refuse.
both() {
	local t
	for t in batch_test batch_stress batch_ring batch_speed vmsa_test ghcb_test sregs_test reset_test chaos_test; do
		run "$OURS" "$t"
	done
	for t in sev_smoke_test sev_init2_tests sev_migrate_tests; do
		[ ! -x "$STOCK/$t" ] || run "$STOCK" "$t"
	done
	check "$MACHINE: no guest is left in the security processor" \
		grep -q 'guests=0$' <(python3 tests/e2e/sev.py status)
}

dmesg >"$TMP/dmesg"
grep -E 'kvm_amd: (CSV|SEV)|SEV API' "$TMP/dmesg" | sed 's/^/# /'
case $MACHINE in
hygon) case_hygon ;;
amd) case_amd ;;
slow | lost) run "$OURS" batch_timeout ;;
esac
leaks=/sys/kernel/debug/kmemleak
if [ -w $leaks ]; then
	# What was allocated only just is not told the first time.
	echo scan >$leaks
	sleep 6
	echo scan >$leaks
	cat $leaks >"$TMP/leaks"
	check "$MACHINE: the host's kernel has lost no memory" [ ! -s "$TMP/leaks" ]
	sed 's/^/# /' "$TMP/leaks"
fi
# It stops to look after the first fault, or when there are too many locks for it.
[ ! -r /proc/lockdep_stats ] || check "$MACHINE: lockdep was there to the end" grep -q 'debug_locks: *1$' /proc/lockdep_stats
dmesg | grep -E 'WARNING|\bBUG\b|Oops|general protection|possible circular|KASAN|UBSAN|INFO: trying|kmemleak:.*(disabled|leaks)' >"$TMP/bad"
check "$MACHINE: the host's kernel has nothing to complain about" [ ! -s "$TMP/bad" ]
sed 's/^/# /' "$TMP/bad"
finish
