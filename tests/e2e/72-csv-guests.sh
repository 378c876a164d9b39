#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Tier 3: csvvmm's encrypted guests on a real kernel's KVM, in the lab, on the
# machine of each maker: an unmodified Debian kernel, without firmware. Nothing
# is timed; the limits only end what hangs.
# shellcheck disable=SC2317 # functions: called by name
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/lab.sh
. tests/e2e/lab.sh
# shellcheck source=tests/e2e/program.sh
. tests/e2e/program.sh

lab_skip "encrypted guests"
if [ -z "${CSVVMM_IN_LAB:-}" ]; then
	program_lab "encrypted guests"
	lab_ready
	small=$(lab/build-kernel --guest)/vmlinuz || exit 1
	seconds=1400
	[ -z "${FULL:-}" ] || seconds=5400
	vars=("SMALL_KERNEL=$small" "CASES=${CASES:-}" "LIMIT=${LIMIT:-}" "FULL=${FULL:-}")
	program_hosts "${CPUS:-hygon ${FULL:+amd}}" lab/run --coherency count -m 5G -t "$seconds"
fi
lab_here
LIMIT=${LIMIT:-300}
guests=0 looked=0

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

# linux TYPE VCPUS [MORE] [KERNEL]: what `make demo` does, and the shutdown that follows; MORE for [csv]
linux() {
	local name="$1, $2 vCPUs${3:+, $3}${4:+, small kernel}" what status=0
	CSV=$1 CSV_MORE=${3:-} CMDLINE='' LOOKED=$TMP/looked KERNEL=${4:-} timeout -k 5 "$LIMIT" \
		tests/e2e/linux-host "$CSVVMM" "$KIT" "$2" >"$TMP/out" 2>&1 </dev/null || status=$?
	guests=$((guests + 1))
	check "$name: boots, does its work, powers off with 0" [ "$status" -eq 0 ]
	[ "$status" -eq 0 ] || show "$TMP/out"
	for what in sev digest told host-blind cpus disk-write disk-read net-ping net-tcp host-disk; do
		check "$name: $what" has "$TMP/out" "PASS $what"
	done
	sed -n 's/^PASS sev /# /p' "$TMP/out"
	[ -z "${4:-}" ] || check "$name: no modules, and no word about them" [ "$(grep -c 'cannot load' "$TMP/out")" -eq 0 ]
}

# How many vCPUs: all of it, on both machines, with FULL=1 (make soak), else a part.
case $maker${FULL:+-full} in
*-full) csv='1 2 4' csv2='1 2 4' all=2 small='1 2 4' tamper=1 ;;
hygon) csv=2 csv2=4 all='' small=2 tamper=1 ;;
*) csv='' csv2=4 all='' small='' tamper='' ;;
esac

# The host would find the text, if it were there to be found.
case_plain() {
	local status=0
	CSV=none CMDLINE='' timeout -k 5 "$LIMIT" tests/e2e/linux-host "$CSVVMM" "$KIT" >"$TMP/out" 2>&1 </dev/null || status=$?
	check "plain: boots, does its work, powers off with 0" [ "$status" -eq 0 ]
	check "plain: the host sees the guest's text" has "$TMP/out" "PASS host-sees"
}

case_csv() {
	local n
	for n in $csv; do linux csv "$n"; done
	[ -z "${FULL:-}" ] || for n in $small; do linux csv "$n" '' "$SMALL_KERNEL"; done
}

case_csv2() {
	local n
	for n in $csv2; do linux csv2 "$n"; done
	for n in $small; do linux csv2 "$n" '' "$SMALL_KERNEL"; done
	for n in $all; do linux csv2 "$n" 'measure = "all"'; done
}

# --- a hostile host -----------------------------------------------------------

# held NAME: measured, waits for its owner; $pid, and $vmm, the process that has the guest's memory
held() {
	"$CSVVMM" run --wait-for-owner "$TMP/$1.toml" >"$TMP/out" 2>&1 </dev/null &
	pid=$!
	"$CSVVMM" launch-measure --wait=60 --json "$1" >"$TMP/$1.json"
	vmm=$("$CSVVMM" status --json "$1" | jq -r .pid)
}

# ended WHAT STATUS
ended() {
	local status=0
	wait "$pid" || status=$?
	pid=
	check "$1: the guest ends with $2 ($status)" [ "$status" -eq "$2" ]
}

# tampered WHAT HOW ADDRESS WORDS [FILE]: changed after the measurement; the shim refuses
tampered() {
	local poke
	held t
	python3 tests/e2e/sev.py "$2" "$vmm" "$3" ${5+"$5"} >"$TMP/poke" &
	poke=$!
	if [ "$2" = race ]; then
		wait_for printed "$TMP/poke" racing
	else
		wait "$poke"
	fi
	check "$1: changed" [ $? -eq 0 ]
	"$CSVVMM" launch-go t >/dev/null
	ended "$1" 14
	check "$1: and says why" has "$TMP/out" "$4"
	wait "$poke"
}

case_tamper() {
	local what
	[ -n "$tamper" ] || return 0
	guest t csv2 "csvvmm.test=none" # should it start after all
	"$CSVVMM" measure --json --explain "$TMP/t.toml" >"$TMP/explain"
	# where WHAT: address of a piece
	where() { jq -r --arg w "$1" '.regions[] | select(.what == $w) | .addr' "$TMP/explain" | head -n 1; }
	for what in kernel initrd cmdline boot_params acpi setup_data; do
		tampered "$what" flip $(($(where "$what") + 8)) "$what is not what was measured"
	done
	tampered "initrd, the end of its first page" flip $(($(where initrd) + 4095)) "initrd is not what was measured"
	# Encrypted by then: noise, for the guest.
	tampered "the shim's configuration" flip $(($(where 'shim config') + 24)) "its configuration is damaged"
	tampered "the shim's configuration, its end" flip $(($(where 'shim config') + 4000)) "its configuration is damaged"
	# Another kernel, after the right one was hashed.
	head -c 1M "$KIT/initrd.img" >"$TMP/other"
	tampered "another kernel" write $(($(where kernel))) "kernel is not what was measured" "$TMP/other"
	# The first page of many: the host goes on long after the shim has copied it.
	tampered "initrd, again and again" race $(($(where initrd) + 8)) "initrd is not what was measured"
}

# lied EVIL: another bit is measured; the owner sees it
lied() {
	local want
	want=$("$CSVVMM" measure --json "$TMP/t.toml" | jq -r .digest)
	EVIL=$1 LD_PRELOAD=${1:+$TMP/evil.so} held t
	"$CSVVMM" attest --root model --digest "$want" "$TMP/t.json" >"$TMP/attest" 2>&1
	echo $? >"$TMP/attest.status"
	"$CSVVMM" kill t
	wait "$pid"
	pid=
}

case_digest() {
	local evil
	[ -n "$tamper" ] || return 0
	gcc -O1 -shared -fPIC -o "$TMP/evil.so" tests/e2e/evil.c
	guest t csv2 ""
	lied ''
	check "digest: the owner accepts what was predicted" [ "$(cat "$TMP/attest.status")" -eq 0 ]
	check "digest: no word about the profile" [ "$(grep -c "another maker's" "$TMP/out")" -eq 0 ]
	sed -i "s/^profile = .*/profile = \"$([ "$maker" = amd ] && echo hygon || echo amd)\"/" "$TMP/t.toml"
	lied ''
	check "digest: the other maker's profile: a warning" has "$TMP/out" "another maker's processor"
	guest t csv2 ""
	for evil in data0 data1 data2 regs sregs; do
		lied "$evil"
		check "digest: a bit in $evil: the owner refuses" [ "$(cat "$TMP/attest.status")" -eq 1 ]
		check "digest: a bit in $evil: because of the digest" has "$TMP/attest" "another launch digest"
	done
}

# --- a guest's owner ------------------------------------------------------------

case_owner() {
	local policy secret='sesame, on real pages'
	[ -n "$tamper" ] || return 0
	guest o csv2 "csvvmm.test=secret secret_bytes=${#secret}"
	policy=$("$CSVVMM" measure --json "$TMP/o.toml" | jq -r .policy)
	held o
	cp "$TMP/o.json" "$TMP/platform.json"
	"$CSVVMM" kill o
	wait "$pid"
	mkdir "$TMP/owner"
	expect "owner: a session for this host" 0 "$TMP/out" \
		"$CSVVMM" owner-session --root model --policy "$policy" --dir "$TMP/owner" "$TMP/platform.json"
	printf 'dh_cert = "%s"\nsession = "%s"\n' "$TMP/owner/owner.cert" "$TMP/owner/session.bin" >>"$TMP/o.toml"
	held o
	printf '%s' "$secret" >"$TMP/secret.txt"
	expect "owner: a packet for this guest" 0 "$TMP/more" "$CSVVMM" owner-secret --policy "$policy" --dir "$TMP/owner" \
		--digest "$("$CSVVMM" measure --json "$TMP/o.toml" | jq -r .digest)" "$TMP/o.json" "$TMP/secret.txt"
	expect "owner: put into the guest" 0 "$TMP/more" \
		"$CSVVMM" launch-secret o "$TMP/owner/secret.hdr" "$TMP/owner/secret.bin"
	"$CSVVMM" launch-go o
	ended owner 0
	guests=$((guests + 1))
	check "owner: Linux shows the secret" has "$TMP/out" "SECRET $secret"
	check "owner: to any user" has "$TMP/out" "PASS secret-open"
	check "owner: to root alone, after chmod" has "$TMP/out" "PASS secret-closed"
	check "owner: the guest's script is content" has "$TMP/out" "csvvmm-guest: test secret exit=0"
	[ "$maker" = hygon ] || return 0
	awk '/^## /{ f = /In the lab/ } f && /^```/ { n++; next } f && n == 1' docs/OWNER.md >"$TMP/block"
	expect "owner: the document's script, in the lab" 0 "$TMP/out" timeout -k 5 "$LIMIT" bash -eu "$TMP/block"
	guests=$((guests + 1))
	check "owner: the document's script: the secret" has "$TMP/out" "SECRET open sesame"
}

# --- another kernel ---------------------------------------------------------------

# kexec: the second kernel has one processor (shim/README.md)
case_kexec() {
	[ -n "$tamper" ] || return 0
	mkdir "$TMP/disk"
	gcc -O1 -static -o "$TMP/disk/kexec" tests/e2e/kexec.c
	cp "$KIT/vmlinuz" "$KIT/initrd.img" "$TMP/disk"
	tar -cf "$TMP/disk.tar" -C "$TMP/disk" .
	guest k csv2 "expect_sev=2 csvvmm.test=kexec" 2
	printf '[[disk]]\npath = "%s"\n' "$TMP/disk.tar" >>"$TMP/k.toml"
	expect "kexec: ends with 0" 0 "$TMP/out" timeout -k 5 "$LIMIT" "$CSVVMM" run "$TMP/k.toml"
	check "kexec: two processors before" has "$TMP/out" "PASS kexec-first 2"
	check "kexec: one after" has "$TMP/out" "PASS kexec-second 1"
	check "kexec: which knows that it is encrypted" has "$TMP/out" "PASS sev"
	check "kexec: and reads a disk" has "$TMP/out" "PASS kexec-disk"
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

# The hostile hosts come after the count of what was not flushed: they do not flush.
for c in ${CASES:-plain csv csv2 owner caches tamper digest kexec}; do "case_$c"; done
exit $((tap_bad > 0)) # the plan is the caller's
