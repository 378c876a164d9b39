#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A guest that is paused in the middle of an instruction, and what signals do.
# Tiny guests on this machine's KVM.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

if ! [ -r /dev/kvm ] || ! [ -w /dev/kvm ]; then
	skip "pause and signals" "/dev/kvm cannot be used"
	finish
fi

# guest NAME ELF
guest() {
	cat >"$TMP/$1.toml" <<-END
		name = "$1"
		vcpus = 1
		memory = "16M"
		kernel = "$PWD/$BUILD/guest/$2.elf"
		[console]
		file = "$TMP/$1.out"
	END
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

answers() { "$CSVVMM" status "$1" >/dev/null; }

guest rmw rmw
"$CSVVMM" run "$TMP/rmw.toml" </dev/null >"$TMP/rmw.err" 2>&1 &
pid=$!
pauses=0
wait_for has "$TMP/rmw.out" start
for ((i = 0; i < 100; i++)); do
	"$CSVVMM" pause rmw >/dev/null 2>&1 || break
	pauses=$((pauses + 1))
	"$CSVVMM" resume rmw >/dev/null 2>&1
done
wait $pid
check "paused $pauses times between a read and its write" has "$TMP/rmw.out" SUCCESS

guest pvclock pvclock
"$CSVVMM" run "$TMP/pvclock.toml" </dev/null >"$TMP/pvclock.err" 2>&1 &
pid=$!
wait_for has "$TMP/pvclock.out" start
"$CSVVMM" pause pvclock && "$CSVVMM" resume pvclock
wait $pid
check "kvm-clock tells the guest of the pause" has "$TMP/pvclock.out" SUCCESS

guest hup idle
(
	trap '' HUP INT
	exec "$CSVVMM" run "$TMP/hup.toml"
) </dev/null >"$TMP/hup.err" 2>&1 &
pid=$!
check "the idle guest runs" wait_for has "$TMP/hup.out" idle
kill -HUP $pid
kill -INT $pid
check "ignored signals stay ignored (nohup)" answers hup
kill -TERM $pid
wait $pid
check "SIGTERM ends it" [ $? -eq 13 ]
check "no ignored signal was seen" [ "$(grep -c '^csvvmm: signal' "$TMP/hup.err")" -eq 1 ]

# Loading the initrd takes a while; the console's socket is there before.
guest early idle
truncate -s 256M "$TMP/initrd"
sed -i -e "s|^memory.*|memory = \"512M\"\ninitrd = \"$TMP/initrd\"|" \
	-e "s|^file.*|socket = \"$TMP/early.sock\"|" "$TMP/early.toml"
"$CSVVMM" run "$TMP/early.toml" </dev/null >"$TMP/early.err" 2>&1 &
pid=$!
for ((i = 0; i < 10000000; i++)); do
	[ ! -S "$TMP/early.sock" ] || break
	kill -0 $pid 2>/dev/null || break
done
kill -TERM $pid
wait $pid
check "SIGTERM during the start ends the guest" [ $? -eq 13 ]
check "... and leaves no console socket" [ ! -e "$TMP/early.sock" ]

# No room for a queued signal: the kick must not need one.
guest quota smp
sed -i 's/vcpus = 1/vcpus = 4/; s/16M/64M/' "$TMP/quota.toml"
expect "a guest ends with no signal quota" 0 "$TMP/quota.err" \
	timeout -k 2 60 prlimit --sigpending=0 "$CSVVMM" run "$TMP/quota.toml"

guest mask idle
env --block-signal "$CSVVMM" run "$TMP/mask.toml" </dev/null >"$TMP/mask.err" 2>&1 &
pid=$!
check "a guest starts with all signals blocked" wait_for has "$TMP/mask.out" idle
expect "its vCPU can still be kicked" 0 "$TMP/out" timeout 20 "$CSVVMM" pause mask
"$CSVVMM" kill mask || kill -KILL $pid
wait $pid
check "kill ends it while it is paused" [ $? -eq 13 ]
finish
