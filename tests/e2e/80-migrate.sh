#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Guests that move between two VMMs of this machine: plain ones, and encrypted by
# the software model. What goes wrong is in 81-migrate-faults.sh; rows are those
# of its matrix.
# shellcheck disable=SC2317 # functions are called by check
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/migrate.sh
. tests/e2e/migrate.sh
need_kvm

# there_and_back: A to B to a third one at A; nothing is left behind
there_and_back() {
	local n
	for n in 1 2 3; do host $n "${1-}"; done
	source_up 1 || return 1
	target_up 2
	moves 0 1 && went 2 && host_ended 1 15 || return 1
	target_up 3
	moves 0 2 && went 3 && host_ended 2 15 && kill_host 3 && all_right || return 1
	# Lest its watchdogs take the way for a lock-up.
	has "$TMP/2.out" "# stopped" && has "$TMP/3.out" "# stopped"
}

for type in none csv csv2; do
	for vcpus in 1 2; do
		check "row 13: $type, $vcpus vCPU: there and back (row 10), each line once" there_and_back
	done
done
type=csv profile=amd vcpus=2
check "csv on an AMD platform: there and back" there_and_back
type=none profile=hygon vcpus=8
check "row 13: 8 vCPUs" there_and_back
vcpus=1 memory=5G
check "row 13: memory with a hole, above 4 GiB" there_and_back
# (No larger one than the host is.)
memory=16M vcpus=2

# --- options -------------------------------------------------------------------

type=none cmdline="hot=40"
host 1 && host 2
source_up 1
target_up 2
check "it is told which guest is waited for" printed "$TMP/2.log" "waiting for guest m at port $port"
check "--check: it could" moves 0 1 --check
check "and nothing was changed" stayed 1
check "nor says its status that it moved" [ "$(json 1 .migration.phase)" = possible ]
check "and told so on both sides" has "$TMP/2.log" "the source has seen that the guest could come"
check "the next one may come to the same port, at 4 MiB/s" moves 0 1 --bandwidth 4M --json
check "the guest is there" went 2
check "--json: the last line is the result" [ "$(tail -n 1 "$TMP/move.log" | jq -r .phase)" = moved ]
check "predicted, and measured" \
	[ "$(tail -n 1 "$TMP/move.log" | jq '.predicted_ns > 0 and .down_ns > 0')" = true ]
# alone: the port is free for the next one, nothing of the line is left
alone() {
	wait_for eval '! ss -Hltn "sport = :$port" | grep -q .' && [ "$(ps --no-headers --ppid "${host_pid[2]}" | wc -l)" -eq 1 ]
}
check "the target's port is free again, its helper gone" alone
kill_host 2

# Killed before it had anything: not as if a guest had been killed.
host 1 && host 2
source_up 1
target_up 2
via T:ready run "kill ${host_pid[2]}"
check "the target is ended in the middle: the guest stays" eval "moves 1 1 && stayed 1"
off
check "the target: it has not received it" host_ended 2 16
check "status tells of it" eval 'at 1 status m | grep -q "^migration *failed: "'
kill_host 1

check "no such guest: told before anybody is called" \
	eval 'CSVVMM_STATE_DIR=$TMP/s1 "$CSVVMM" migrate --insecure nobody 127.0.0.1:1 2>&1 | grep -q "no guest named \"nobody\" is running"'

# paused: a guest that is paused stays so on its way
host 1 && host 2
source_up 1
at 1 pause m >/dev/null
target_up 2
check "a paused guest moves" moves 0 1
check "it is paused there" quiet 2
check "and says so" [ "$(json 2 .state)" = paused ]
line+=(2)
at 2 resume m >/dev/null
check "it goes on where it was" stayed 2
kill_host 2

# A guest that only a reset helps is not resumed by moving it.
on_reboot=pause cmdline="end=40 reboot" host 1
on_reboot=pause cmdline="end=40 reboot" host 2
source_up 1
wait_for eval '[ "$(json 1 .state)" = paused ]'
target_up 2 --once
check "paused by its reboot: it is not moved" moves 1 1
check "and is told why" has "$TMP/move.log" "only a reset helps the guest"
kill_host 1
host_ended 2 16

# Whoever pauses and resumes it meanwhile: the migration stops it all the same, and it goes on.
flood() {
	local i
	for ((i = 0; i < 2000; i++)); do printf '{"cmd":"pause"}\n{"cmd":"resume"}\n'; done |
		timeout 60 socat -t 60 - UNIX:"$TMP/s1/m.sock" >"$TMP/flood"
}
vcpus=4 host 1 && vcpus=4 host 2
source_up 1
flooded() {
	local i ok=0
	for i in 1 2 3 4; do
		target_up 2 --once
		via T:prepared cut
		flood &
		local flood=$!
		moves 1 1 || ok=1
		off
		host_ended 2 16 || ok=1
		wait "$flood" || { echo "# the control socket does not answer"; ok=1; }
	done
	at 1 resume m >/dev/null
	[ "$(grep -c ok "$TMP/flood")" -gt 0 ] && [ $ok = 0 ] && stayed 1
}
check "paused and resumed all the while: it stays" flooded
target_up 2 --once
via S:devices run "CSVVMM_STATE_DIR=$TMP/s1 $CSVVMM pause m >$TMP/pause 2>&1; echo \$? >>$TMP/pause"
check "a pause while its state is on the way" moves 0 1
check "is refused" eval 'has "$TMP/pause" "on its way to another host" && [ "$(tail -n 1 "$TMP/pause")" = 1 ]'
off
check "it is there" went 2
kill_host 2

# Whoever waits for a guest and is ended has received nothing.
target_up 3
kill "${host_pid[3]}"
check "ended while it waits for a guest" host_ended 3 16

# --- time ------------------------------------------------------------------------

# clock_of N: how far its kvm-clock is ahead of this machine's clock: between which two numbers
clock_of() { wait_for [ -S "$TMP/$1.con" ] && timeout 60 python3 tests/e2e/guestclock.py "$TMP/$1.con"; }

# timed FROM TO RECORD ACTION...: it moves, and its kvm-clock has won FROM to TO ms by that (FROM "": it lost as
# much as the move took at most). The clock that tells for how long it was under way may be slewed by NTP, 0.5 ms a second.
timed() {
	local from=$1 to=$2 a b c d began
	shift 2
	console="socket = \"$TMP/1.con\"" host 1
	console="socket = \"$TMP/2.con\"" host 2
	CSVVMM_STATE_DIR=$TMP/s1 "$CSVVMM" run "$TMP/1.toml" >"$TMP/1.log" 2>&1 </dev/null &
	host_pid[1]=$!
	read -r a b <<<"$(clock_of 1)"
	target_up 2
	via "$@"
	began=$(date +%s%N)
	moves 0 1 || return 1
	[ -n "$from" ] || from=-$((($(date +%s%N) - began) / 1000000))
	off
	read -r c d <<<"$(clock_of 2)"
	host_ended 1 15 || return 1
	kill_host 2 || return 1
	[ -n "$b" ] && [ -n "$d" ] || { echo "# it does not tell the time"; return 1; }
	[ $((b - a + d - c)) -lt 200000000 ] || { echo "# this machine is too slow to tell: $a $b, $c $d"; return 1; }
	[ $((d - a)) -ge $((from * 1000000)) ] && [ $((c - b)) -le $((to * 1000000)) ] && return 0
	echo "# kvm-clock won $(((c - b) / 1000)) to $(((d - a) / 1000)) us, not $from to $to ms"
	return 1
}
# number LENGTH NUMBER: as a record has it
number() { python3 -c "print(($2).to_bytes($1, 'little').hex())"; }
cmdline="time delay=0" type=none vcpus=1
check "half a second between the hosts: kvm-clock goes on" timed -2 2 S:machine run "sleep 0.5"
check "half a second at the target: the same" timed -2 2 T:prepared run "sleep 0.5"
# The machine's last 28 bytes: wall clock, kvm-clock, kHz, TSC.
for hour in 3600 -3600; do
	check "a clock $hour seconds ahead there: kvm-clock does not jump" \
		timed "" 2 S:machine set -28 "$(number 8 "$(date +%s%N) + $hour * 10**9")"
	check "and the operator is told" has "$TMP/2.log" "the hosts' clocks differ"
done
# Where KVM sets no TSC it can't but jump between hosts; elsewhere the guest finds it wrong.
tsc_wrong() {
	host 1 && host 2
	source_up 1
	target_up 2
	via S:machine set -8 "$(number 8 5)"
	moves 0 1
	wait_for counts_or_complains 2 20
	off
	complains 2 | grep TSC || has "$TMP/2.log" "this host's KVM does not set the TSC"
	local r=$?
	kill_host 2 >/dev/null || host_ended 2 0 >/dev/null
	return $r
}
check "a TSC that is wrong is noticed" tsc_wrong
cmdline=

# --- row 11: the guest writes faster than the line takes ---------------------------

cmdline="hot=600 delay=0"
host 1 && host 2
source_up 1
target_up 2 --once
check "row 11: 2 MiB/s for a guest that writes more: given up in time" moves 1 1 --bandwidth 2M --downtime 20 --timeout 6 --json
check "--json: already in the first round it says what is left, and since when" eval \
	"grep '^{\"phase\":\"pages\"' \"$TMP/move.log\" | jq -s 'any(.round == 0 and .remaining > 0) and .[0].total_ns < .[-1].total_ns' | grep -qx true"
check "row 11: the prediction is told" has "$TMP/move.log" "downtime would be"
check "row 11: the guest was slowed down" [ "$(json 1 .migration.throttle)" -gt 0 ]
check "row 11: it stays, with all it had" stayed 1
host_ended 2 16
target_up 2
check "row 11: with a longer downtime it goes" moves 0 1 --bandwidth 8M --downtime 2000 --timeout 60
check "row 11: the guest is there, with all it had" went 2
kill_host 2
cmdline="hot=100 delay=0"
host 1 && host 2
# after_rounds N OPTION...: the first round leaves a hundred pages or so of many, which takes no longer than it may; the next one
# leaves no less
after_rounds() {
	local n=$1
	shift
	source_up 1
	target_up 2
	moves 0 1 --bandwidth 512K --downtime 9000 --json "$@" && went 2 || return 1
	kill_host 2
	[ "$(tail -n 1 "$TMP/move.log" | jq .rounds)" -eq "$n" ] || { tail -n 1 "$TMP/move.log" | sed 's/^/# /'; return 1; }
}
check "it could stop, and what it saves is worth one more round" after_rounds 2 --timeout 60
check "but not when time runs out" after_rounds 1 --timeout 4
cmdline=

# --- who says when it runs there -------------------------------------------------------

# word: at the target everything is there but the source's word; "resume" there is not that
word() {
	local there="CSVVMM_STATE_DIR=$TMP/s2 $CSVVMM"
	via T:prepared run "$there resume m >$TMP/early 2>&1; echo \$? >>$TMP/early; sleep 0.2; wc -l <$TMP/2.out >>$TMP/early"
	moves 0 1
	local r=$?
	off
	[ "$(tail -n 2 "$TMP/early" | tr '\n' ' ')" = "1 0 " ] || { sed 's/^/# /' "$TMP/early"; return 1; }
	[ $r -eq 0 ] && went 2
}
vcpus=2
host 1 && host 2
source_up 1
target_up 2 --once
check "row 13: its operator can't let it run before the source does" word
kill_host 2
# (What is left adds nothing to that: then it goes.)
host 1 && host 2
source_up 1
target_up 2 --once
via T:ready set 8 ffffffffffffffffffffffffffffffff
check "a target that says its part takes centuries" moves 0 1 --json
off
check "it is told so" [ "$(tail -n 1 "$TMP/move.log" | jq '.cost_ns.put == 3600e9 and .predicted_ns > 3600e9')" = true ]
kill_host 2

# --- row 9: the guest ends on its way ------------------------------------------------

# ends HOW STATUS: it ends by itself while it is held back at "ready"
ends() {
	local ok=0
	cmdline="end=400 $1" host 1
	cmdline="end=400 $1" host 2
	source_up 1
	target_up 2 --once
	via T:ready run "while [ -d /proc/${host_pid[1]}/fd ] && ls /proc/${host_pid[1]}/fd/0; do sleep 0.1; done"
	move 1
	[ $? -ne 0 ] || { echo "# it moved"; ok=1; }
	host_ended 1 "$2" || ok=1
	off
	host_ended 2 16 || ok=1
	[ "$(lines 2)" -eq 0 ] || ok=1
	return "$ok"
}
check "row 9: it powers off" ends poweroff 0
check "row 9: it panics" ends panic 10
check "row 9: it dies of a triple fault" ends triple 11
check "row 9: it reboots" ends reboot 12
cmdline=
# killed_meanwhile: nobody is told that it goes on
killed_meanwhile() {
	host 1 && host 2
	source_up 1
	target_up 2 --once
	via T:ready run "CSVVMM_STATE_DIR=$TMP/s1 $CSVVMM kill m >$TMP/kill 2>&1"
	moves 1 1
	local r=$?
	off
	host_ended 1 13 && host_ended 2 16 && has "$TMP/move.log" "the guest has ended here" && ! printed "$TMP/move.log" "goes on" && return $r
}
check "row 9: its operator ends it" killed_meanwhile

# --- row 12, 23: refused by name -----------------------------------------------------

# refuses STATUS WORDS: the move, in these words, on both sides
refuses() {
	target_up 2 --once
	moves "$1" 1 && stayed 1 && has "$TMP/move.log" "$2" && host_ended 2 16 &&
		{ [ "${3-}" = "" ] || has "$TMP/2.log" "$3"; }
}
vcpus=2 host 1
source_up 1
memory=32M vcpus=2 host 2
check "row 23: memory" refuses 17 "memory" "memory"
vcpus=1 host 2
check "row 23: vCPUs" refuses 17 "vcpus" "vcpus"
vcpus=2 host 2 '[[disk]]
path = "'"$TMP"'/disk"
readonly = true'
truncate -s 1M "$TMP/disk"
check "row 23: devices" refuses 17 "device" "device"
type=csv host 2
check "row 23: encryption" refuses 17 "type" "type"
vcpus=2 host 2
check "with the same machine nothing is refused" moves_there
kill_host 1
for type in csv csv2; do
	csv='policy = ["nosend"]'
	host 1 && host 2
	source_up 1
	check "row 12: $type, nosend" refuses 17 "nosend"
	kill_host 1
	csv='policy = ["domain"]'
	host 1 && host 2
	source_up 1
	target_up 2
	check "row 12: $type, domain: the same owner's platform is allowed" moves 0 1
	check "row 12: and it runs there" went 2
	kill_host 2
done
csv=
type=csv2 profile=amd
host 1 && host 2
source_up 1
check "csv2 on an AMD platform" refuses 17 "AMD"
type=csv profile=hygon host 2
kill_host 1

# --- row 10: more than one at once ------------------------------------------------------

type=none vcpus=1
host 1 && host 2
source_up 1
sed 's/^name = "m"/name = "n"/; s|1\.out|4.out|' "$TMP/1.toml" >"$TMP/4.toml"
sed 's/^name = "m"/name = "n"/; s|2\.out|5.out|' "$TMP/2.toml" >"$TMP/5.toml"
: >"$TMP/4.out"
CSVVMM_STATE_DIR=$TMP/s1 "$CSVVMM" run "$TMP/4.toml" >"$TMP/4.log" 2>&1 </dev/null &
host_pid[4]=$!
wait_for counts 4 5
# to_itself: who waits there says at once that the guest runs already, and opens no port
to_itself() {
	at 1 receive --once --listen 127.0.0.1:0 --insecure "$TMP/1.toml" >"$TMP/self.log" 2>&1 </dev/null
	[ $? -eq 1 ] && has "$TMP/self.log" 'a guest named "m" runs already' && ! printed "$TMP/self.log" "waiting for" && stayed 1
}
check "row 10: to the host it is on" to_itself
# both_at_once: two guests of one host go to another one, at the same time
both_at_once() {
	local other first second
	CSVVMM_STATE_DIR=$TMP/s2 awaits "$TMP/5.log" "$CSVVMM" receive --listen 127.0.0.1:0 --insecure "$TMP/5.toml" || return 1
	host_pid[5]=$receiver
	other=$port
	target_up 2
	at 1 migrate --insecure --bandwidth 8M n "127.0.0.1:$other" >"$TMP/n.log" 2>&1 </dev/null &
	second=$!
	move 1 --bandwidth 8M
	first=$?
	wait "$second"
	[ "$first $?" = "0 0" ] || { tail -n 3 "$TMP/move.log" "$TMP/n.log" | sed 's/^/# /'; return 1; }
	host_ended 1 15 && host_ended 4 15 && went 2 && goes_on 5
}
check "row 10: two guests of one host at once" both_at_once
line=(4 5)
check "row 10: the other one has all it had, too" all_right
CSVVMM_STATE_DIR=$TMP/s2 "$CSVVMM" kill n >/dev/null 2>&1
host_ended 5 13
kill_host 2

# busy: while it is on its way, it can't be asked to go elsewhere
host 1 && host 2
source_up 1
target_up 2
via S:start run "CSVVMM_STATE_DIR=$TMP/s1 $CSVVMM migrate --insecure m 127.0.0.1:9 >$TMP/again 2>&1"
check "row 10: a second move of the same guest, meanwhile: the first goes on" moves 0 1
check "row 10: and the second is refused" grep -qi "under way\|refused\|busy" "$TMP/again"
check "row 10: and the guest is there" went 2
off
kill_host 2

# --- cancelled in each phase (row 5) ----------------------------------------------------

# cancelled RECORD: while it is on its way
cancelled() {
	local ok=0
	target_up 2 --once
	via "$1" run "CSVVMM_STATE_DIR=$TMP/s1 $CSVVMM migrate --cancel m"
	moves 18 1 || ok=1
	stayed 1 || ok=1
	off
	host_ended 2 16 || ok=1
	[ "$(lines 2)" -eq 0 ] || ok=1
	return "$ok"
}
vcpus=2
for type in none csv2; do
	profile=hygon
	host 1 && host 2
	source_up 1
	for at in T:greeting T:answer T:ready T:synced T:synced:2 S:stopped S:vCPU S:devices T:prepared; do
		check "row 5: $type, cancelled at $at: it stays" cancelled $at
	done
	target_up 2
	via S:commit run "CSVVMM_STATE_DIR=$TMP/s1 $CSVVMM migrate --cancel m 2>$TMP/late"
	check "row 5: $type, too late at S:commit: it moves" moves 0 1
	check "row 5: and is there" went 2
	check "row 5: and whoever cancelled is told so" has "$TMP/late" "no migration is under way"
	off
	kill_host 2
done

# rounds N: moves that are cancelled, in different phases
rounds() {
	local i fds rss more at=(T:answer T:ready T:synced S:stopped T:prepared) bad=0
	for ((i = 0; i < $1; i++)); do
		cancelled "${at[i % 5]}" || bad=1
		[ $i -ne 4 ] || { fds=$(find "/proc/${host_pid[1]}/fd" | wc -l); rss=$(rss 1); }
	done
	[ "$(find "/proc/${host_pid[1]}/fd" | wc -l)" -eq "$fds" ] || { echo "# descriptors"; bad=1; }
	# Of the same pages, as far as the allocator keeps them: a leak of the buffers would be MiB a round. The address sanitizer's
	# goes up and down by two MiB.
	more=2048
	[ -z "${SAN:-}" ] || more=6144
	[ "$(rss 1)" -le $((rss + more)) ] || { echo "# resident: $rss, now $(rss 1) KiB"; bad=1; }
	return "$bad"
}
rss() { sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/${host_pid[1]}/status"; }

type=csv2
# What the address sanitizer keeps back of freed memory would look like a leak.
ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}quarantine_size_mb=1
host 1 && host 2
source_up 1
check "row 5: ${ROUNDS:-20} moves that are cancelled: no descriptor, no memory is lost" rounds "${ROUNDS:-20}"
target_up 2
check "row 5: after that it moves" moves 0 1
check "row 5: and is there" went 2
kill_host 2
check "nothing is left behind" all_clean
finish
