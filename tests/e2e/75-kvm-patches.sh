#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Tier 3: the series in kvm-patches/ on the lab's Hygon machine: what the host
# finds, then the series' own selftests, each with its result.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

if [ -n "${SAN:-}" ]; then
	skip "kvm-patches" "sanitizer build: tiers 1 and 2 only"
	finish
fi
tests=(batch_test batch_stress batch_ring batch_speed vmsa_test ghcb_test sregs_test reset_test replay_test)
if [ -z "${CSVVMM_IN_LAB:-}" ]; then
	out=$PWD/${BUILD:-build}/kvm-selftests
	mkdir -p "$out"
	make -s -C kvm-patches/selftests OUT="$out" >"$TMP/make" 2>&1 || {
		sed 's/^/# /' "$TMP/make"
		not_ok "the selftests build"
		finish
	}
	lab/build-qemu >/dev/null && lab/build-kernel >/dev/null || exit 1
	rm -rf "$TMP"
	exec lab/run --cpu hygon -m 6G -t 1500 -- env "SELFTESTS=$out" "T=${T:-}" bash tests/e2e/75-kvm-patches.sh
fi
dmesg >"$TMP/dmesg"
check "host: a Hygon processor" grep -q 'vendor_id.*HygonGenuine' /proc/cpuinfo
check "host: CSV has ASIDs 6 to 15" grep -q 'kvm_amd: CSV enabled (ASIDs 6 - 15)' "$TMP/dmesg"
check "host: CSV2 has ASIDs 1 to 15" grep -q 'kvm_amd: CSV2 enabled (ASIDs 1 - 15)' "$TMP/dmesg"
check "host: the security processor answers" grep -q 'ccp .*: SEV API:' "$TMP/dmesg"
grep -E 'kvm_amd: CSV|SEV API' "$TMP/dmesg" | sed 's/^/# /'
for t in "${tests[@]}"; do
	timeout -k 5 400 "$SELFTESTS/$t" >"$TMP/$t" 2>&1 </dev/null
	status=$?
	case $status in
	0) ok "$t: $(grep -c '^ok' "$TMP/$t") passed" ;;
	77) skip "$t" "$(grep -i skip "$TMP/$t" | tail -n 1)" ;;
	*)
		grep -v '^ok' "$TMP/$t" | sed 's/^/# /' | tail -n 30
		not_ok "$t: status $status"
		;;
	esac
	[ "$t" != batch_speed ] || sed -n 's/^#/# batch_speed:/p' "$TMP/$t"
done
dmesg | grep -E 'WARNING|BUG|Oops|general protection|possible circular' >"$TMP/bad"
check "the host's kernel has nothing to complain about" [ ! -s "$TMP/bad" ]
sed 's/^/# /' "$TMP/bad"
finish
