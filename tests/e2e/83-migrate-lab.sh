#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Tier 3: Linux guests that move between two machines of the lab, each with its own kernel and security processor, and
# back: plain, CSV and CSV2. Machine A has this script's checks; B does what A tells it. The guest is tests/e2e/guest/moves:
# a disk that both machines have, and a TCP connection to a peer on A. Nothing is timed; the limits only end what hangs.
# shellcheck disable=SC2317,SC2086 # functions: called by name; addresses and $T have no blanks
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/lab.sh
. tests/e2e/lab.sh
# shellcheck source=tests/e2e/program.sh
. tests/e2e/program.sh

lab_skip "migration of encrypted guests"
if [ -z "${CSVVMM_IN_LAB:-}" ]; then
	program_lab "migration of encrypted guests"
	lab_ready
	seconds=1200
	[ -z "${FULL:-}" ] || seconds=3600
	vars=("CASES=${CASES:-}" "FULL=${FULL:-}" "KIND=${KIND:-}")
	program_hosts "${CPUS:-hygon ${FULL:+amd}}" lab/two ${PSP:+--psp "$PSP"} --coherency count -m 3G -t "$seconds"
fi

# --- two machines ---------------------------------------------------------------

A=10.0.3.1 B=10.0.3.2 guest_ip=10.0.3.15
T=/tmp/move # same on both; each in its own memory
mkdir $T
mkdir -m 700 $T/state

# Both have the guest's link in one bridge with the line between them.
bridge() {
	ip link add br0 address "$(cat /sys/class/net/eth0/address)" type bridge
	ip link set br0 up
	ip tuntap add tap0 mode tap
	ip link set tap0 master br0 up
	ip addr flush dev eth0 # its address becomes the bridge's, too
	ip link set eth0 mtu 60000 master br0 # each packet costs an emulator a lot
	ip link set br0 mtu 60000
	ip addr add "$1/24" dev br0
}

# What is in a cgroup of its own shows how many ASIDs it has.
asid_group() {
	echo +misc >/sys/fs/cgroup/cgroup.subtree_control
	mkdir /sys/fs/cgroup/guests
	echo $$ >/sys/fs/cgroup/guests/cgroup.procs
}

if [ "$LAB_ROLE" = B ]; then
	asid_group
	bridge $B
	export CSVVMM CSVVMM_STATE_DIR=$T/state KIT LAB_CPU
	exec socat -t 600 TCP-LISTEN:7777 EXEC:bash
fi
asid_group
bridge $A
CSVVMM_STATE_DIR=$T/state
lab_here
LIMIT=${LIMIT:-240}

coproc far { socat -t 600 - TCP:$B:7777,retry=100,interval=0.3; }
exec 7>&"${far[1]}" 8<&"${far[0]}"
eval "exec ${far[1]}>&- ${far[0]}<&-"
far_pid=$!

# on A|B COMMAND...: a shell's command there; its output and status
on() {
	local where=$1 line
	shift
	if [ "$where" = A ]; then
		bash -c "$*"
		return
	fi
	printf '( %s\n) </dev/null\nprintf "\\n@%%d\\n" $?\n' "$*" >&7
	while read -r line <&8; do
		case $line in
		'') ;;
		@*) return "${line#@}" ;;
		*) printf '%s\n' "$line" ;;
		esac
	done
	return 1
}

other() { [ "$1" = A ] && echo B || echo A; }
address() { [ "$1" = A ] && echo $A || echo $B; }

cleanup() {
	local pid
	exec 7>&- 8<&-
	# First who has inherited the line to B: B ends with it.
	for pid in $(jobs -pr); do [ "$pid" = "$far_pid" ] || kill -9 "$pid"; done 2>/dev/null
	wait "$far_pid"
	wait 2>/dev/null
	rm -rf "$TMP"
}

# --- the guest -------------------------------------------------------------------

text=tnatropmi-yrev-terces

# toml TYPE VCPUS [CMDLINE] [POLICY]: the same on both machines
toml() {
	cat >"$TMP/m.toml" <<-END
		name = "m"
		vcpus = $2
		memory = "${memory:-256M}"
		kernel = "$KIT/vmlinuz"
		initrd = "$KIT/initrd.img"
		cmdline = "console=ttyS0 quiet ip4=$guest_ip/24 peer=$A:5001 marker=$text csvvmm.test=moves ${3:-}"
		[console]
		file = "$T/out"
		[[disk]]
		path = "/dev/vdb"
		cache = "direct"
		[[net]]
		tap = "tap0"
	END
	[ "$1" = none ] || printf '[csv]\ntype = "%s"\nprofile = "%s"\npolicy = [%s]\n' "$1" "$maker" "${4:-}" >>"$TMP/m.toml"
	type=$1 tiny=
	tell
}

# tiny_toml: tests/guest/holds.c
tiny_toml() {
	cat >"$TMP/m.toml" <<-END
		name = "m"
		vcpus = 2
		memory = "16M"
		kernel = "$PWD/$BUILD/guest/holds.elf"
		[console]
		file = "$T/out"
		[csv]
		type = "csv2"
		profile = "$maker"
		policy = []
	END
	type=csv2 tiny=1
	tell
}

# tell: the same on both machines
tell() {
	cp "$TMP/m.toml" $T/m.toml
	on B "base64 -d <<<'$(base64 -w0 $T/m.toml)' >$T/m.toml"
	: >$T/all
}

# vmm A|B COMMAND [ARGUMENT]...: csvvmm there, in the background; its status is in $T/status then
vmm() {
	local where=$1
	shift
	on "$where" "rm -f $T/status; : >$T/out; : >$T/log
		(setsid $CSVVMM $* $T/m.toml; echo \$? >$T/status) >$T/log 2>&1 </dev/null &"
}

# vmm_ended A|B STATUS
vmm_ended() {
	local got
	wait_for on "$1" "[ -s $T/status ]" || return 1
	got=$(on "$1" cat $T/status)
	[ "$got" = "$2" ] && return 0
	echo "# csvvmm on $1 ended with $got, not $2:"
	on "$1" tail -n 5 $T/log $T/out | sed 's/^/# /'
	return 1
}

peer_up() {
	rm -f "$TMP/order" "$TMP/peer"
	python3 tests/e2e/movepeer.py $A 5001 "$TMP/peer" "$TMP/order" &
	peer=$!
	wait_for test -s "$TMP/peer"
}

# turns: how far it is; the tiny one has no peer
turns() {
	if [ -n "$tiny" ]; then
		on "$at" "wc -l <$T/out"
	else
		tail -n 1 "$TMP/peer" 2>/dev/null | grep -E '^[0-9]+$' || echo 0
	fi
}
turned() { [ "$(turns)" -ge "$1" ]; }
goes_on() {
	local n
	n=$(turns)
	wait_for turned $((n + 2)) && return 0
	tail -n 3 "$TMP/peer" | sed 's/^/# peer: /'
	return 1
}

# order WORDS: the guest does that, and prints TEXT on machine A|B
order() {
	echo "$1" >"$TMP/order.new"
	mv "$TMP/order.new" "$TMP/order"
	wait_for on "$3" grep -q "'$2'" $T/out
}

# begins: the guest starts on A, and is at work
begins() {
	at=A line=--insecure
	[ -n "$tiny" ] || peer_up
	vmm A run
	wait_for turned 3 && return 0
	tail -n 20 $T/log $T/out | sed 's/^/# /'
	return 1
}

# waits A|B: for the guest, there
waits() {
	vmm "$1" receive --listen "$(address "$1"):7000" "$line"
	wait_for on "$1" grep -q '"waiting for guest"' $T/log
}

# move STATUS [OPTION]...: from where it is to the other one, by $via if it is set
move() {
	local want=$1 got trust=''
	shift
	[ "$type" = none ] || trust='--root model'
	on "$at" "timeout $LIMIT $CSVVMM migrate $line $trust $* m ${via:-$(address "$(other "$at")"):7000} >$T/move 2>&1 </dev/null; echo \$? >$T/moved"
	got=$(on "$at" cat $T/moved)
	on "$at" cat $T/move | tr '\r' '\n' | tail -n 1 >"$TMP/move"
	sed 's/^/# /' "$TMP/move"
	[ "$got" = "$want" ] && return 0
	echo "# migrate ended with $got, not $want:"
	for m in A B; do on $m tail -n 5 $T/log | sed "s/^/# $m: /"; done
	return 1
}

# goes [OPTION]...: it is at the other one then, and nothing is left here
goes() {
	local from=$at
	move 0 "$@" || return 1
	at=$(other "$at")
	goes_on && vmm_ended "$from" 15 && on "$from" cat $T/out >>$T/all
}

# ends: it powers off where it is, and had nothing to complain about, anywhere
ends() {
	order end LAST "$at"
	vmm_ended "$at" 0 || return 1
	wait "$peer" || return 1
	on "$at" cat $T/out >>$T/all
	grep -q 'PASS dmesg' $T/all && ! grep -qa FAIL $T/all && return 0
	grep -avE '^TICK|^GOT' $T/all | tail -n 20 | sed 's/^/# /'
	return 1
}

# same: the consoles one behind the other are those of one guest: each turn once
same() {
	local pattern='s/^TICK \([0-9]*\) .*/\1/p'
	[ -z "$tiny" ] || pattern=p
	tr -d '\r' <$T/all | sed -n "$pattern" | awk '$1 != NR { print "# turn " $1 " as number " NR; bad = 1; exit } END { exit bad || NR < 8 }'
}

# --- what the hosts see, and what stays ------------------------------------------------

declare -A looked=([A]=0 [B]=0) # lines that are wrong since we have looked at them
# finds A|B: $hits, how often the guest's text is in the VMM's memory there
finds() {
	local before after
	before=$(on "$1" python3 tests/e2e/sev.py watch | sed 's/^.*host=\([0-9]*\) .*/\1/')
	hits=$(on "$1" "pid=\$($CSVVMM status --json m | jq -r .pid)
		kill -STOP \$pid; python3 tests/e2e/sev.py find \$pid $(rev <<<"$text"); kill -CONT \$pid" | tail -n 1)
	after=$(on "$1" python3 tests/e2e/sev.py watch | sed 's/^.*host=\([0-9]*\) .*/\1/')
	looked[$1]=$((looked[$1] + after - before))
}
blind() { finds "$1" && { [ "$hits" = 0 ] || { echo "# $1 finds it $hits times"; return 1; }; }; }
sees() { finds "$1" && [ "$hits" -gt 0 ]; }

asids() { on "$1" "awk '{ n += \$2 } END { print n + 0 }' /sys/fs/cgroup/guests/misc.current"; }
guests() { on "$1" python3 tests/e2e/sev.py status | sed 's/.*guests=//'; }
# free A|B: no ASID is in use there
free() {
	local n
	n=$(asids "$1")
	[ "$n" = 0 ] || { echo "# $1: $n ASIDs"; return 1; }
}
# nothing_left: nor does the firmware know of any guest
nothing_left() { free A && free B && [ "$(guests A)" = 0 ] && [ "$(guests B)" = 0 ]; }
no_violations() {
	local m host
	for m in A B; do
		host=$(on $m python3 tests/e2e/sev.py watch | sed 's/^.*host=\([0-9]*\) .*/\1/')
		[ "$host" = "${looked[$m]}" ] || { echo "# $m: $((host - looked[$m])) lines"; return 1; }
	done
}

# --- between the machines ------------------------------------------------------------

# tapped: $via leads to B, and what goes there is kept
tapped() {
	socat -r "$TMP/wire" TCP-LISTEN:7001,bind=127.0.0.1,reuseaddr TCP:$B:7000 &
	via=127.0.0.1:7001
}
on_wire() { grep -caF "$(rev <<<"$text")" "$TMP/wire"; }

# proxied RECORD ACTION: $via leads to B, by way of tests/e2e/migproxy.py
proxied() {
	socat TCP-LISTEN:7002,bind=127.0.0.1,reuseaddr TCP:$B:7000 &
	python3 tests/e2e/migproxy.py 7002 "$@" >"$TMP/proxy" 2>&1 &
	proxy=$!
	wait_for grep -q '^port ' "$TMP/proxy"
	via=127.0.0.1:$(sed -n 's/^port //p' "$TMP/proxy")
}
off() {
	kill "$proxy" 2>/dev/null
	wait "$proxy" 2>/dev/null
	via=
}

# stays: where it was, and the other machine has nothing of it
stays() { goes_on && vmm_ended "$(other "$at")" 16 && free "$(other "$at")"; }

# cancelled: by the operator, in the middle of the first round
cancelled() {
	waits B
	(wait_for eval "[ \"\$($CSVVMM status --json m | jq .migration.pages)\" -gt 4000 ]" && $CSVVMM migrate --cancel m) >"$TMP/cancel" 2>&1 &
	move 18 && stays
}

# cut RECORD: the line breaks there
cut_at() {
	waits B
	proxied "$1" cut
	move 1 && stays
	local r=$?
	off
	return $r
}

# --- there and back ------------------------------------------------------------------

# back TYPE: home again, and to its end
back() {
	waits A
	check "$1: B to A" goes
}
over() {
	check "$1: powers off, nothing is wrong in it" ends
	check "$1: each turn once" same
	[ "$1" = plain ] || check "$1: no guest and no ASID is left on A and B" nothing_left
}

case_plain() {
	toml none 2
	check "plain: a guest at work on A" begins
	waits B
	tapped
	check "plain: A to B: its work and its connection go on" goes
	via=
	check "plain: the text is found on the wire, where it can be found" [ "$(on_wire)" -gt 0 ]
	check "plain: and in B's memory" sees B
	back plain
	over plain
}

case_csv() {
	toml csv 2
	check "csv: a guest at work on A" begins
	on A "head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n' >$T/key; chmod 600 $T/key"
	on B "umask 077; echo $(cat $T/key) >$T/key"
	line="--psk $T/key"
	waits B
	check "csv: A to B by TLS: its work and its connection go on" goes
	check "csv: no ASID is left on A" free A
	check "csv: B does not find the text in its memory" blind B
	back csv
	over csv
}

# Three vCPUs: one has never run when it moves, one is off-line when it moves back.
case_csv2() {
	toml csv2 3 maxcpus=2
	check "csv2: a guest at work on A" begins
	check "csv2: A does not find the text in its memory" blind A
	check "csv2: cancelled in the middle: it goes on" cancelled
	check "csv2: the line breaks in the middle: it goes on" cut_at S:sealed-pages:2
	check "csv2: the line breaks before the commit: it goes on" cut_at T:prepared
	waits B
	tapped
	check "csv2: A to B: its work and its connection go on" goes
	via=
	check "csv2: the text is not on the wire" [ "$(on_wire)" = 0 ]
	check "csv2: B does not find the text in its memory" blind B
	check "csv2: no ASID is left on A" free A
	check "csv2: a processor that never ran before starts on B" order "online 2" "PASS online processor 2: 0-2" B
	check "csv2: another one goes off-line" order "offline 1" "PASS offline processor 1: 0,2" B
	back csv2
	check "csv2: it comes on-line on A" order "online 1" "PASS online processor 1: 0-2" A
	check "csv2: and it goes on" goes_on
	over csv2
}

# One vCPU is inside a VMGEXIT for the GHCB page, the other in one of the MSR protocol.
case_holds() {
	local i
	tiny_toml
	check "holds: a tiny guest on A, always inside of two VMGEXITs" begins
	for ((i = 0; i < ${HOLDS:-1}; i++)); do
		waits B
		check "holds: A to B: both go on" goes
		waits A
		check "holds: B to A: both go on" goes
	done
	$CSVVMM kill m
	check "holds: ends when told to" vmm_ended A 13
	cat $T/out >>$T/all
	# The last line may be half there.
	sed -i '$d' $T/all
	check "holds: each round once" same
	check "holds: no guest and no ASID is left on A and B" nothing_left
}

# anew WAY: reset where it is; done so, with the digest it had
digest() { on "$at" "$CSVVMM status --json m | jq -r .csv.digest"; }
anew() {
	on "$at" "$CSVVMM reset m" || return 1
	[ "$(on "$at" "$CSVVMM status --json m | jq -r .reset.way")" = "$1" ] || return 1
	[ "$(digest)" = "$first" ]
}
# arrives: it is at the other one, and nobody has looked whether it goes on there
arrives() {
	local from=$at
	move 0 || return 1
	at=$(other "$at")
	vmm_ended "$from" 15
}
# booted N: its kernel was up so often there
booted() { wait_for on "$at" "[ \$(grep -ac 'csvvmm-guest: up' $T/out) -ge $1 ]"; }

# Resets before and directly after it moves: what came from elsewhere can't be reset in place.
case_resets() {
	tiny_toml
	check "resets: a tiny guest on A" begins
	first=$(digest)
	check "resets: in place on A" anew in-place
	check "resets: and goes on" goes_on
	waits B
	check "resets: moves to B" arrives
	check "resets: at once relaunched there, with the same digest" anew relaunch
	check "resets: and goes on" goes_on
	check "resets: then in place" anew in-place
	check "resets: and goes on" goes_on
	waits A
	check "resets: moves to A" arrives
	check "resets: at once relaunched there" anew relaunch
	check "resets: and goes on" goes_on
	$CSVVMM kill m
	check "resets: ends when told to" vmm_ended A 13
	check "resets: no wrong count" [ "$(cat $T/out | grep -c FAIL)" = 0 ]
	check "resets: no guest and no ASID is left on A and B" nothing_left
}
case_resets_linux() {
	toml csv2 2
	sed -i 's/csvvmm.test=moves/csvvmm.test=idle/' "$TMP/m.toml"
	tell
	at=A line=--insecure
	vmm A run
	check "resets: Linux on A" booted 1
	first=$(digest)
	check "resets: Linux, in place" anew in-place
	check "resets: it is up again" booted 2
	waits B
	check "resets: Linux moves to B" arrives
	check "resets: at once relaunched there, with the same digest" anew relaunch
	check "resets: Linux is up on B" booted 1
	waits A
	check "resets: it moves back" arrives
	$CSVVMM kill m
	check "resets: ends when told to" vmm_ended A 13
	check "resets: no guest and no ASID is left on A and B" nothing_left
}

# For `make bench`: one move of a CSV2 guest (or KIND), and what A's security processor did for it; a line "number KEY VALUE" each.
case_numbers() {
	toml "${KIND:-csv2}" 2
	check "numbers: a guest at work on A" begins
	waits B
	python3 tests/e2e/sev.py counts >"$TMP/before"
	# (A page may take the processor as long as the guest takes to write a third of another.)
	check "numbers: A to B" goes --json --downtime 3000
	python3 tests/e2e/sev.py counts | awk 'NR == FNR { was[$1] = $2; next } { print "number psp_" $1, $2 - was[$1] }' "$TMP/before" -
	jq -r 'to_entries[] | select(.value | type == "number") | "number \(.key) \(.value)"' "$TMP/move"
	jq -r '.cost_ns | to_entries[] | "number cost_\(.key) \(.value)"' "$TMP/move"
	jq -r '.down_parts_ns | to_entries[] | "number part_\(.key) \(.value)"' "$TMP/move"
	order end LAST B
	vmm_ended B 0
	wait "$peer"
}

# VMSAs of AMD's processors can't be put into another platform.
case_refused() {
	toml csv2 2
	check "csv2: a guest at work on A" begins
	waits B
	check "csv2: refused" move 17
	check "csv2: by name" has "$TMP/move" AMD
	check "csv2: it goes on" goes_on
	$CSVVMM kill m
	vmm_ended A 13
	kill "$peer" # whom nobody says goodbye to
	wait "$peer"
	on B "kill \$(pgrep -x csvvmm)"
	vmm_ended B 16
}

case $maker in
amd) cases="refused csv" ;;
*) cases="holds resets csv2 ${FULL:+csv resets_linux }plain" ;;
esac
for c in ${CASES:-$cases}; do
	"case_$c"
	check "$c: no flush was missed on A and B" no_violations
done
exit $((tap_bad > 0)) # the plan is the caller's
