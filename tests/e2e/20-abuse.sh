#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Guests that attack their devices (tests/guest): each checks by itself that
# the device does what the specification says, prints SUCCESS and powers off.
# The VMM must live to see that. ABUSE_SEEDS: how many seeds of noise.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
need_kvm

# A network: frames come all the time, what the guest sends is thrown away.
# This is passt's protocol: 4 bytes of length, then the frame.
frame=$TMP/frame
{ printf '\0\0\0\074\377\377\377\377\377\377RTabcd'; head -c 48 /dev/zero; } >"$frame"
cat >"$TMP/net" <<END
#!/bin/bash
cat >/dev/null &
while cat '$frame'; do sleep 0.02; done
END
chmod +x "$TMP/net"
socat "UNIX-LISTEN:$TMP/net.sock,fork" "EXEC:$TMP/net" 2>/dev/null &
wait_for test -S "$TMP/net.sock"

# attack NAME GUEST [more lines]: all devices there are; plenty of input
attack() {
	local disk
	truncate -s 1M "$TMP/rw.img"
	head -c 1M /dev/zero | tr '\0' R >"$TMP/ro.img"
	guest "$1" "$2" <<-END
		memory = "32M"
		${3:-}
		[[disk]]
		path = "rw.img"
		queues = 2
		[[disk]]
		path = "ro.img"
		readonly = true
		[[net]]
		passt = "net.sock"
	END
	yes | head -c 65536 | timeout -k 5 300 "$CSVVMM" run "$TMP/$1.toml" \
		>"$TMP/out" 2>"$TMP/err"
	check "$1: power-off" [ "${PIPESTATUS[2]}" -eq 0 ]
	check "$1: success" has "$TMP/out" SUCCESS
	check "$1: last words" last_words "$TMP/err" 'powered off (exit status 0)'
	for disk in rw ro; do
		check "$1: $disk.img is as large as before" \
			[ "$(stat -c %s "$TMP/$disk.img")" -eq 1048576 ]
	done
	check "$1: the read-only disk is untouched" \
		[ "$(tr -d R <"$TMP/ro.img" | wc -c)" -eq 0 ]
	check "$1: few words on standard error" [ "$(wc -l <"$TMP/err")" -lt 100 ]
	check "$1: nothing is left" clean
}

attack rings rings
for t in blk rng 'console transmit' 'console receive' 'net transmit' 'net receive'; do
	check "rings: there was $t" has "$TMP/out" "rings: $t"
done
check "rings: the log says what was wrong" has "$TMP/err" \
	'the driver must reset it: a descriptor chain is too long or loops'
attack queues queues
attack pci pci
attack disks disks
attack disks-open disks 'sandbox = false'
for ((seed = 1; seed <= ${ABUSE_SEEDS:-4}; seed++)); do
	attack "noise-$seed" noise "cmdline = 'seed=$seed'"
done

finish
