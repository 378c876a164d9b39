#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Tier 3: migration to a host that lacks something (row 8) where only a real KVM can show it: who waits may not use the security
# processor, or all ASIDs of the guest's kind are taken. One machine of the lab is both hosts, each with a state folder. Both sides
# name it in one line, the guest goes on, and nothing stays behind: no ASID, no guest of the firmware. 81-migrate-lacks has the rest.
# shellcheck disable=SC2317,SC2154 # functions: called by name; coproc makes others_PID
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/lab.sh
. tests/e2e/lab.sh
# shellcheck source=tests/e2e/program.sh
. tests/e2e/program.sh

lab_skip "receivers of encrypted guests that lack something"
if [ -z "${CSVVMM_IN_LAB:-}" ]; then
	program_lab "receivers of encrypted guests that lack something"
	lab_ready
	vars=()
	program_hosts "${CPUS:-hygon}" lab/run --coherency count -m 3G -t 900
fi
lab_here
# A cgroup of its own shows how many ASIDs are in use.
echo +misc >/sys/fs/cgroup/cgroup.subtree_control
mkdir /sys/fs/cgroup/guests
echo $$ >/sys/fs/cgroup/guests/cgroup.procs
chmod 711 "$TMP"
mkdir -m 700 "$TMP/s1" "$TMP/s2"
declare -A vmm

# toml NAME: tests/guest/holds.c, always inside of two VMGEXITs; m2 is m at the other host
toml() {
	cat >"$TMP/$1.toml" <<-END
		name = "${1/m2/m}"
		vcpus = 2
		memory = "16M"
		kernel = "$PWD/$BUILD/guest/holds.elf"
		[console]
		file = "$TMP/$1.out"
		[csv]
		type = "csv2"
		profile = "$maker"
		policy = []
	END
	: >"$TMP/$1.out"
}

# up: m runs on host 1, and is at work
up() {
	CSVVMM_STATE_DIR=$TMP/s1 "$CSVVMM" run "$TMP/m.toml" >"$TMP/1.log" 2>&1 </dev/null &
	vmm[m]=$!
	wait_for counts m 3
}
lines() { wc -l <"$TMP/$1.out"; }
counts() { [ "$(lines "$1")" -ge "$2" ]; }
goes_on() {
	local from
	from=$(lines "$1")
	wait_for counts "$1" $((from + 3)) && ! grep -q FAIL "$TMP/$1.out"
}

# waits STATE [COMMAND]...: host 2 waits for m, as who COMMAND makes it; $port
waits() {
	local state=$1
	shift
	: >"$TMP/2.log"
	CSVVMM_STATE_DIR=$state "$@" "$CSVVMM" receive --once --listen 127.0.0.1:0 --insecure "$TMP/m2.toml" >"$TMP/2.log" 2>&1 </dev/null &
	vmm[2]=$!
	wait_for printed "$TMP/2.log" "waiting for guest m at port"
	port=$(sed -n 's/.*waiting for guest m at port //p' "$TMP/2.log")
}
# moves STATUS: m is sent there; what was said, in comments
moves() {
	local got
	CSVVMM_STATE_DIR=$TMP/s1 timeout 120 "$CSVVMM" migrate --insecure --root model m "127.0.0.1:$port" >"$TMP/move.log" 2>&1 </dev/null
	got=$?
	tail -n 1 "$TMP/move.log" | tr '\r' '\n' | tail -n 1 | sed 's/^/# source: /'
	grep -a 'error' "$TMP/2.log" | sed 's/^/# target: /'
	[ "$got" -eq "$1" ] || { echo "# migrate ended with $got, not $1"; return 1; }
}
# ends NAME STATUS
ends() { vm=${vmm[$1]} && ended "$2"; }

# asids: of all who run here
asids() { awk '{ n += $2 } END { print n + 0 }' /sys/fs/cgroup/guests/misc.current; }
guests() { python3 tests/e2e/sev.py status | sed 's/.*guests=//'; }
# taken N: so many ASIDs, so many guests, and no more
taken() {
	local asids guests
	asids=$(asids) guests=$(guests)
	echo "# $asids ASIDs, $guests guests of the firmware"
	[ "$asids" -eq "$1" ] && [ "$guests" -eq "$1" ]
}

once() { [ "$(grep -caF "$1" "$2")" -eq 1 ] || { show "$2"; return 1; }; }

# refused WORDS: both sides say so in one line; m goes on, and nothing of it is at the other host
refused() {
	moves 17 || return 1
	once "$1" "$TMP/move.log" && once "$1" "$TMP/2.log" || return 1
	ends 2 1 && goes_on m && [ "$(lines m2)" -eq 0 ]
}

# --- may not use the security processor ----------------------------------------------------

toml m
toml m2
check "nobody is there" taken 0
check "a guest at work" up
check "one ASID, one guest" taken 1

nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups)
no_sev="this host does not let you use its security processor (/dev/sev: Permission denied)"
mkdir -m 777 "$TMP/s3"
chmod 666 "$TMP/m2.out" /dev/kvm
chmod 600 /dev/sev
at_once() {
	CSVVMM_STATE_DIR=$TMP/s3/state timeout 60 "${nobody[@]}" "$CSVVMM" receive --listen 127.0.0.1:0 --insecure "$TMP/m2.toml" \
		>"$TMP/2.log" 2>&1 </dev/null
	[ $? -eq 1 ] && ! printed "$TMP/2.log" "waiting for" && [ "$(wc -l <"$TMP/2.log")" -eq 1 ] && has "$TMP/2.log" "$no_sev"
}
check "row 8: no permission for /dev/sev: receive says so at once" at_once
while_it_waits() {
	chmod 666 /dev/sev
	waits "$TMP/s3/state" "${nobody[@]}" || return 1
	chmod 600 /dev/sev
	refused "$no_sev"
}
check "row 8: no permission for /dev/sev any more when the guest knocks" while_it_waits
check "and nothing of it is left" taken 1

# --- no ASID --------------------------------------------------------------------------------

# Of other guests, which never run.
coproc others { exec python3 tests/e2e/sev.py asids; }
vmm[others]=$others_PID
exec 7>&"${others[1]}" 8<&"${others[0]}"
eval "exec ${others[1]}>&- ${others[0]}<&-"
read -r _ n <&8
check "others take all ASIDs for CSV2, $n" eval '[ "$n" -gt 1 ] && taken $((n + 1))'
no_asid() { waits "$TMP/s2" && refused "there is no free ASID"; }
check "row 8: no ASID is free" no_asid
check "and nothing of it is left" taken $((n + 1))
again() { echo >&7 && wait_for taken "$n" && waits "$TMP/s2" && moves 0 && ends m 15 && goes_on m2; }
check "one of them ends: there it moves" again
CSVVMM_STATE_DIR=$TMP/s2 "$CSVVMM" kill m
ends 2 13
exec 7>&-
ends others 0
check "no ASID, no guest, no file is left" eval 'taken 0 && [ -z "$(find "$TMP"/s[12] "$TMP/s3/state" -mindepth 1)" ]'
check "no flush was missed" eval 'read -r host _ < <(violations) && [ "$host" = 0 ]'
exit $((tap_bad > 0)) # the plan is the caller's
