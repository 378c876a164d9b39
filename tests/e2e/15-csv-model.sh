#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Encrypted launch through the software model, tiny guests on this machine's
# KVM: prediction, owner's check and secret, attestation.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

owner() { python3 tests/e2e/owner.py "$@"; }

# guest NAME ELF PROFILE [MORE]: MORE goes into [csv]
guest() {
	cat >"$TMP/$1.toml" <<-END
		name = "$1"
		vcpus = 2
		memory = "16M"
		kernel = "$TMP/$2.elf"
		initrd = "$TMP/initrd"
		cmdline = "a b"
		[console]
		file = "$TMP/$1.out"
		[csv]
		type = "csv2"
		backend = "model"
		profile = "$3"
		${4-}
	END
}

# digest FILE OPTION...: what `measure` predicts
digest() { "$CSVVMM" measure "${@:2}" "$1" | sed -n 's/^digest  *//p'; }

# differs PARTS: another digest than before, and --explain blames PARTS only
# shellcheck disable=SC2317 # called by check
differs() {
	local parts
	"$CSVVMM" measure --explain "$TMP/p.toml" >"$TMP/now"
	parts=$(diff "$TMP/before" "$TMP/now" |
		sed -nE 's/^>   (VMSA [0-9]+|[a-z_]+( [a-z]+)*) .*/\1/p' | sort -u | paste -sd,)
	[ "$(digest "$TMP/p.toml")" != "$was" ] && [ "$parts" = "$1" ] && return 0
	echo "# the parts that differ: $parts"
	return 1
}

# flip FILE OFFSET [BIT]: one bit
flip() {
	local byte
	byte=$(od -An -tu1 -j "$2" -N1 "$1")
	# shellcheck disable=SC2059 # the byte is the format
	printf "\\x$(printf %x $((byte ^ 1 << ${3-0})))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# wait_for COMMAND...: until it succeeds, a minute at most
wait_for() {
	local i
	for ((i = 0; i < 600; i++)); do
		"$@" >/dev/null 2>&1 && return 0
		sleep 0.1
	done
	return 1
}

for g in hello idle secret; do cp "$BUILD/guest/$g.elf" "$TMP"; done
head -c 5000 /dev/zero | tr '\0' i >"$TMP/initrd"

# --- prediction --------------------------------------------------------------

guest p hello hygon
"$CSVVMM" measure --explain "$TMP/p.toml" >"$TMP/before"
was=$(digest "$TMP/p.toml")
check "a digest has 64 digits" [ ${#was} -eq 64 ]
check "the same files, the same digest" [ "$(digest "$TMP/p.toml")" = "$was" ]
check "the assumption is told" has "$TMP/before" "assumed      mainline-6.12"
check "another profile, another digest" [ "$(digest "$TMP/p.toml" --profile amd)" != "$was" ]
check "another host, another digest" [ "$(digest "$TMP/p.toml" --host vendor-6.6)" != "$was" ]
check "the parts' digests are SM3 (by openssl)" has "$TMP/before" \
	"$(printf '%s' "a b" | cat - /dev/zero | head -c 4096 | openssl dgst -sm3 -r | cut -d' ' -f1)"
check "--json agrees" [ "$("$CSVVMM" measure --json --explain "$TMP/p.toml" | sed -n 's/.*"digest": "\(.*\)",/\1/p' | head -n 1)" = "$was" ]

# every_bit FILE OFFSET PARTS: each of its bits is noticed
# shellcheck disable=SC2317 # called by check
every_bit() {
	local bit bad=0
	for ((bit = 0; bit < 8; bit++)); do
		flip "$1" "$2" "$bit"
		differs "$3" || bad=1
		flip "$1" "$2" "$bit"
	done
	return "$bad"
}

end=$(($(stat -c %s "$TMP/initrd") - 1))
for at in 0 $((end / 2)) $end; do
	check "each bit of byte $at of the initrd" every_bit "$TMP/initrd" "$at" initrd
done
off=$(grep -abo SUCCESS "$TMP/hello.elf" | head -n 1 | cut -d: -f1)
check "each bit of a byte of the kernel" every_bit "$TMP/hello.elf" "$off" kernel
# Its first and last byte in memory, by the program headers (readelf).
while read -r _ at _ _ size _; do
	check "a bit at $at of the kernel" every_bit "$TMP/hello.elf" "$((at))" kernel
	check "and of that piece's end" every_bit "$TMP/hello.elf" "$((at + size - 1))" kernel
done < <(readelf -lW "$TMP/hello.elf" | grep '^  LOAD' | awk '$5 != "0x000000"')
# Where it starts is nowhere in memory, but in the registers.
flip "$TMP/hello.elf" 25
check "a bit of the entry point" differs "VMSA 0"
check "the register is named" [ "$(diff "$TMP/before" "$TMP/now" | grep -c '^> *rip 0x100100$')" -eq 1 ]
flip "$TMP/hello.elf" 25
sed -i 's/"a b"/"a c"/' "$TMP/p.toml"
check "a bit of the command line" differs cmdline
sed -i 's/"a c"/"a b"/; s/16M/17M/' "$TMP/p.toml"
check "more memory" differs "boot_params,initrd"
sed -i 's/17M/16M/; s/vcpus = 2/vcpus = 3/' "$TMP/p.toml"
check "one more vCPU" differs "VMSA 2,acpi"
sed -i 's/vcpus = 3/vcpus = 2/; /initrd/d' "$TMP/p.toml"
check "no initrd" [ "$(digest "$TMP/p.toml")" != "$was" ]
sed -i "s|^cmdline|initrd = \"$TMP/initrd\"\n&|" "$TMP/p.toml"
sed -i 's/csv2/csv/' "$TMP/p.toml"
check "no registers" [ "$(digest "$TMP/p.toml")" != "$was" ]
sed -i 's/"csv"/"csv2"/' "$TMP/p.toml"
check "undone, it is the old digest" [ "$(digest "$TMP/p.toml")" = "$was" ]
sed 's/csv2/none/; /backend/d; /profile/d' "$TMP/p.toml" >"$TMP/plain.toml"
expect "a plain guest is not measured" 1 "$TMP/out" "$CSVVMM" measure "$TMP/plain.toml"
expect "measure: bad options" 2 "$TMP/out" "$CSVVMM" measure --host linux "$TMP/p.toml"
expect "measure: half of the measurement" 2 "$TMP/out" "$CSVVMM" measure --nonce 00 "$TMP/p.toml"

head -c 1000 "$TMP/initrd" >"$TMP/noelf.elf"
guest n noelf hygon
expect "measure: no kernel" 1 "$TMP/out" "$CSVVMM" measure "$TMP/n.toml"
check "the file is named" has "$TMP/out" "$TMP/n.toml: kernel: "
check "and the kernel's, too" has "$TMP/out" "($TMP/noelf.elf)"

if ! [ -r /dev/kvm ] || ! [ -w /dev/kvm ]; then
	skip "launch" "/dev/kvm cannot be used"
	finish
fi

# --- launch ------------------------------------------------------------------

sed "s|\"\.\./build/|\"$(realpath "$BUILD")/|" configs/csv2-model.toml >"$TMP/configs-model.toml" # of this build
expect "configs/csv2-model.toml runs" 0 "$TMP/out" "$CSVVMM" run "$TMP/configs-model.toml"
check "it says so" has "$TMP/out" SUCCESS
check "the model says that it protects nothing" has "$TMP/out" "PROTECTS NOTHING"

# start NAME OPTION...: in the background, $pid
start() {
	"$CSVVMM" run "${@:2}" "$TMP/$1.toml" </dev/null >"$TMP/$1.err" 2>&1 &
	pid=$!
	wait_for "$CSVVMM" status "$1"
}

for profile in hygon amd; do
	for type in csv csv2; do
		guest run idle $profile
		sed -i "s/csv2/$type/" "$TMP/run.toml"
		start run
		check "$profile $type: the guest runs" wait_for has "$TMP/run.out" idle
		"$CSVVMM" status run >"$TMP/out"
		check "$profile $type: the digest is as predicted" has "$TMP/out" \
			"launch digest  $(digest "$TMP/run.toml")"
		"$CSVVMM" kill run
		wait $pid
		rm -f "$TMP/run.out"
	done
done

# What runs is measured, not what was predicted once.
guest run idle hygon
was=$(digest "$TMP/run.toml")
for file in initrd idle.elf; do
	at=77
	[ $file = initrd ] || at=$(grep -abo idle "$TMP/$file" | head -n 1 | cut -d: -f1)
	flip "$TMP/$file" "$at" 5
	start run
	"$CSVVMM" status run >"$TMP/out"
	"$CSVVMM" kill run
	wait $pid
	check "a bit of $file: not the digest of before" [ "$(grep -cF "$was" "$TMP/out")" -eq 0 ]
	check "a bit of $file: but the one predicted now" has "$TMP/out" "$(digest "$TMP/run.toml")"
	flip "$TMP/$file" "$at" 5
done

guest bad hello hygon 'min_api = "255.0"'
expect "a policy that the firmware is too old for" 1 "$TMP/out" "$CSVVMM" run "$TMP/bad.toml"
check "the command is named" has "$TMP/out" LAUNCH_START
check "in one line" [ "$(grep -c 'error: encrypted launch' "$TMP/out")" -eq 1 ]
check "with the next step" has "$TMP/out" "next: "
expect "only encrypted guests wait for an owner" 1 "$TMP/out" \
	"$CSVVMM" run --wait-for-owner "$TMP/plain.toml"

# No security processor: one line, and no warning about what would come later.
if [ ! -e /dev/sev ]; then
	guest sevless hello hygon
	sed -i '/^backend/d' "$TMP/sevless.toml"
	expect "no /dev/sev: not started" 1 "$TMP/out" prlimit --memlock=65536 "$CSVVMM" run "$TMP/sevless.toml"
	check "no /dev/sev: says so, and what to do" has "$TMP/out" "this host has no security processor (/dev/sev: No such file or directory); next: 'csvvmm doctor', the lab (lab/run --cpu hygon csvvmm run FILE), or backend"
	check "no /dev/sev: one line before the last" [ "$(wc -l <"$TMP/out")" -eq 2 ]
else
	skip "no /dev/sev" "there is one here"
fi

# A signal that is there before the launch, blocked as the VMM will have it: it
# ends it, with the status that it has later.
guest early idle hygon
cat >"$TMP/early.py" <<'END'
import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
os.kill(os.getpid(), signal.SIGTERM)
os.execv(sys.argv[1], sys.argv[1:])
END
expect "SIGTERM during the launch ends it" 13 "$TMP/out" \
	python3 "$TMP/early.py" "$CSVVMM" run "$TMP/early.toml"
check "with words, and no error" has "$TMP/out" "signal 15: the launch is given up"
check "and the last ones name it, too" last_words "$TMP/out" "guest early: ended by signal 15 (exit status 13)"
check "that are no error's" [ "$(grep -c error "$TMP/out")" -eq 0 ]
# A launch that takes long: a lock without a socket.
cat >"$TMP/hold.py" <<'END'
import fcntl, os, struct, sys, time
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o600)
os.write(fd, b"%d\n" % os.getpid())
fcntl.fcntl(fd, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0)) # F_OFD_SETLK
print("held", flush=True)
time.sleep(300)
END
python3 "$TMP/hold.py" "$CSVVMM_STATE_DIR/early.lock" >"$TMP/held" 2>&1 &
pid=$!
wait_for has "$TMP/held" held
expect "a guest that is being launched: status" 1 "$TMP/out" "$CSVVMM" status early
check "tells that" has "$TMP/out" "is being launched, or is ending (process $pid)"
expect "kill ends it" 0 "$TMP/out" "$CSVVMM" kill early
wait $pid
check "by SIGTERM" [ $? -eq 143 ]
rm -f "$CSVVMM_STATE_DIR/early.lock"

# --- everybody at once, and the end at any moment -------------------------------------

head -c 52 /dev/urandom >"$TMP/h52"
head -c 64 /dev/urandom >"$TMP/d64"
guest race idle hygon
start race --wait-for-owner
jobs=()
for i in 1 2 3; do
	for _ in 1 2 3 4 5 6; do
		"$CSVVMM" launch-secret race "$TMP/h52" "$TMP/d64" 0x80000 2>&1
		"$CSVVMM" launch-measure race >/dev/null 2>&1
		"$CSVVMM" launch-go race 2>&1 && echo go
	done >"$TMP/race.$i" &
	jobs+=($!)
done
wait "${jobs[@]}"
check "one client lets the guest run" [ "$(cat "$TMP"/race.[123] | grep -c '^go$')" -eq 1 ]
check "the others hear why not" has "$TMP/race.1" "does not wait for its owner"
check "a refusal is told to its end" [ "$(grep 'BAD_MEASUREMENT' "$TMP"/race.[123] | grep -vc 'measurement$')" -eq 0 ]
check "it runs" wait_for has "$TMP/race.out" idle
"$CSVVMM" kill race
wait $pid
# Killed before, in and after the launch: the name is free, and nothing is left.
for delay in 0 0.005 0.01 0.02 0.05 0.3; do
	"$CSVVMM" run --wait-for-owner "$TMP/race.toml" </dev/null >/dev/null 2>&1 &
	pid=$!
	sleep $delay
	kill -KILL $pid
	wait $pid 2>/dev/null
done
guest race hello hygon
expect "killed at any moment, it starts again" 0 "$TMP/out" "$CSVVMM" run "$TMP/race.toml"
"$CSVVMM" list >"$TMP/out"
check "and is in no list" [ "$(grep -c race "$TMP/out")" -eq 0 ]
expect "a secret that is no file" 1 "$TMP/out" "$CSVVMM" launch-secret race /dev/null "$TMP/d64" 0
check "is told so" has "$TMP/out" "not a regular file"
expect "an address that is none" 2 "$TMP/out" "$CSVVMM" launch-secret race "$TMP/h52" "$TMP/d64" 0x8z
check "is told so, too" has "$TMP/out" "ADDRESS"

# Of the wrong size, or of the right one and no keys.
truncate -s 1T "$TMP/sparse"
head -c 2084 /dev/urandom >"$TMP/cert"
head -c 128 /dev/urandom >"$TMP/sess"
for bad in sparse:sess:2:"too large" sess:sess:2:"needed: 2084" cert:cert:2:"needed: 128" cert:sess:1:LAUNCH_START; do
	IFS=: read -r cert sess status why <<<"$bad"
	guest bad hello hygon "$(printf 'dh_cert = "%s"\nsession = "%s"' "$cert" "$sess")"
	expect "an owner's $cert and $sess" "$status" "$TMP/out" "$CSVVMM" run "$TMP/bad.toml"
	check "are refused with the reason" has "$TMP/out" "$why"
done

# --- the owner ---------------------------------------------------------------

if ! python3 -c 'import cryptography' 2>/dev/null; then
	skip "the owner's part" "no python3-cryptography"
	finish
fi

# get FIELD: of the last launch-measure
get() { cat "$TMP/$1"; }

for profile in hygon amd; do
	rm -f "$TMP/own.out"
	# The model's certificates are the same each time: ask a first guest.
	guest own secret $profile
	start own --wait-for-owner
	"$CSVVMM" launch-measure --json own >"$TMP/measure.json"
	owner fields "$TMP/measure.json" "$TMP"
	"$CSVVMM" kill own
	wait $pid
	check "$profile: no guest ran" [ ! -s "$TMP/own.out" ]

	owner session $profile "$TMP" "$TMP/pdh" 0x5
	guest own secret $profile "$(printf 'dh_cert = "owner.cert"\nsession = "session.bin"')"
	start own --wait-for-owner
	expect "$profile: launch-measure" 0 "$TMP/measure.json" "$CSVVMM" launch-measure --json own
	owner fields "$TMP/measure.json" "$TMP"
	mac=$(owner mac $profile "$TMP" "$(get firmware)" 0x5 "$(get digest)" "$(get measurement_nonce)")
	check "$profile: the measurement is as computed elsewhere" [ "$mac" = "$(get measurement)" ]
	"$CSVVMM" measure --tik "$TMP/tik.bin" --nonce "$(get measurement_nonce)" \
		--firmware "$(get firmware)" "$TMP/own.toml" >"$TMP/out"
	check "$profile: measure predicts it" has "$TMP/out" "measurement  $mac"

	owner secret $profile "$TMP" "$(get measurement)" "sesame, $profile"
	cp "$TMP/secret.bin" "$TMP/wrong.bin"
	flip "$TMP/wrong.bin" 3
	expect "$profile: a wrong packet is refused" 1 "$TMP/out" \
		"$CSVVMM" launch-secret own "$TMP/secret.hdr" "$TMP/wrong.bin" 0x80000
	expect "$profile: and an address outside" 1 "$TMP/out" \
		"$CSVVMM" launch-secret own "$TMP/secret.hdr" "$TMP/secret.bin" 0x8000000
	expect "$profile: the guest still waits, the right one goes in" 0 "$TMP/out" \
		"$CSVVMM" launch-secret own "$TMP/secret.hdr.b64" "$TMP/secret.bin" 0x80000
	expect "$profile: go" 0 "$TMP/out" "$CSVVMM" launch-go own
	wait $pid
	check "$profile: the guest ended well" [ $? -eq 0 ]
	check "$profile: it has the secret" has "$TMP/own.out" "secret: sesame, $profile"

	sed -i 's/session.bin/tik.bin/' "$TMP/own.toml"
	expect "$profile: a session of the wrong size" 2 "$TMP/out" "$CSVVMM" run "$TMP/own.toml"
	owner session $profile "$TMP" "$TMP/pdh" 0x1
	sed -i 's/tik.bin/session.bin/' "$TMP/own.toml"
	expect "$profile: a session for another policy" 1 "$TMP/out" "$CSVVMM" run "$TMP/own.toml"
	check "$profile: the command is named" has "$TMP/out" LAUNCH_START

	attest() { "$CSVVMM" attest --digest "$(get digest)" "$@"; }
	expect "$profile: the report is verified" 0 "$TMP/out" \
		attest --root model --cert "$TMP/chain" --policy 0x5 "$TMP/report"
	expect "$profile: not without a root" 1 "$TMP/out" attest --cert "$TMP/chain" "$TMP/report"
	expect "$profile: not without its CEK" 1 "$TMP/out" attest --root model "$TMP/report"
	expect "$profile: not for another policy" 1 "$TMP/out" \
		attest --root model --cert "$TMP/chain" --policy 0x4 "$TMP/report"
	expect "$profile: not for another digest" 1 "$TMP/out" \
		"$CSVVMM" attest --digest "$was" --root model --cert "$TMP/chain" "$TMP/report"
	flip "$TMP/report" 20
	expect "$profile: not with another bit" 1 "$TMP/out" \
		attest --root model --cert "$TMP/chain" "$TMP/report"
done
expect "attest: no digest" 2 "$TMP/out" "$CSVVMM" attest "$TMP/report"
for n in -1 4294967301 0x100000005 99999999999999999999 5x ''; do
	expect "attest: no policy: '$n'" 2 "$TMP/out" \
		"$CSVVMM" attest --digest "$was" --policy "$n" --root model "$TMP/report"
done
expect "attest: no report" 1 "$TMP/out" "$CSVVMM" attest --digest "$was" "$TMP/p.toml"
finish
