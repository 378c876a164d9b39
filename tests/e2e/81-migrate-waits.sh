#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Who waits for a guest: one a name and state folder, and `list` and `status` show it, when it waits and when it receives.
# shellcheck disable=SC2317 # functions are called by check
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/migrate.sh
. tests/e2e/migrate.sh
need_kvm

type=csv2 vcpus=2
host 1 && host 2
source_up 1

# second WORDS: another one that would wait for m at host 2 ends at once, with these words in one line
second() {
	CSVVMM_STATE_DIR=$TMP/s2 timeout 20 "$CSVVMM" receive --listen 127.0.0.1:0 --insecure "$TMP/2.toml" >"$TMP/second.log" 2>&1 </dev/null
	[ $? -eq 1 ] && [ "$(wc -l <"$TMP/second.log")" -eq 1 ] && has "$TMP/second.log" "$1"
}
# and_first: the one before can be reached as before
and_first() { moves 0 1 --check && stayed 1; }

# --- one that waits a name ----------------------------------------------------------------

target_up 2
first=${host_pid[2]} first_port=$port
check "a second receiver is refused, and told who waits where" second \
	"csvvmm receive waits for guest \"m\" already (process $first, port $port): send it there, or end that one first (kill $first)"
check "the first one is there" and_first
listed() { at 2 list >"$TMP/list" 2>"$TMP/list.err" && [ ! -s "$TMP/list.err" ]; }
# row PID STATE MORE: list has this one row
row() {
	listed && [ "$(sed 1d "$TMP/list" | grep -cE "^m +$1  $2 +2 +16M  0d 00:[0-9:]+$3\$")" -eq 1 ] &&
		[ "$(sed 1d "$TMP/list" | wc -l)" -eq 1 ] && return 0
	sed 's/^/# /' "$TMP/list" "$TMP/list.err"
	return 1
}
check "list shows that it waits, and where" row "$first" waiting "  port $port"
in_json() {
	[ "$(at 2 list --json | jq -c 'map(del(.uptime_ns))')" = "[$1]" ] && [ "$(at 2 status --json m | jq -c 'del(.uptime_ns)')" = "$1" ]
}
check "list and status with --json" in_json \
	'{"name":"m","pid":'"$first"',"state":"waiting","port":'"$port"',"vcpus":2,"memory":16777216}'
check "how long it waits" eval '[ "$(json 2 ".uptime_ns > 0 and .uptime_ns < 600e9")" = true ]'
shown() {
	at 2 status m >"$TMP/out" 2>&1 && [ "$(awk '$1 ~ /^(state|port|pid)$/ { printf "%s ", $2 }' "$TMP/out")" = "waiting $first $port " ]
}
check "status shows it" shown
no_guest() {
	local c
	for c in pause resume stop kill; do
		at 2 "$c" m >"$TMP/out" 2>&1 && return 1
		has "$TMP/out" "process $first waits for it to come from another host, at port $port" || return 1
	done
}
check "what needs a guest says who waits for it" no_guest
check "a guest of that name that runs meanwhile is listed, too" eval '
	CSVVMM_STATE_DIR=$TMP/s2 "$CSVVMM" run "$TMP/2.toml" >"$TMP/run.log" 2>&1 </dev/null &
	host_pid[3]=$!
	wait_for counts 2 5 && listed && [ "$(sed 1d "$TMP/list" | awk "{ print \$1, \$3 }" | tr "\n" ";")" = "m running;m waiting;" ] &&
		[ "$(json 2 .state)" = running ]'
at 2 kill m
host_ended 3 13
check "then it waits on" row "$first" waiting "  port $port"
sed 's/^name = "m"/name = "n"/' "$TMP/2.toml" >"$TMP/4.toml"
another() {
	local port r
	CSVVMM_STATE_DIR=$TMP/s2 awaits "$TMP/4.log" "$CSVVMM" receive --listen 127.0.0.1:0 --insecure "$TMP/4.toml"
	r=$?
	printed "$TMP/4.log" "waiting for guest n at port $port" || r=1
	kill "$receiver"
	wait "$receiver"
	[ $? -eq 16 ] && return $r
}
check "one for another name may wait" another
# not_its_own [OPTION]: who waits for n does not take m, but waits on
not_its_own() {
	local r=0 log
	host 5
	sed -i 's/^name = "m"/name = "n"/' "$TMP/5.toml"
	target_up 5 && printed "$TMP/5.log" "waiting for guest n at port $port" || return 1
	moves 17 1 "$@" && stayed 1 || r=1
	for log in move 5; do
		[ "$(grep -caE "name: the guest is ['\"]m['\"], the target waits for ['\"]n['\"]" "$TMP/$log.log")" -eq 1 ] || { sed "s/^/# $log: /" "$TMP/$log.log"; r=1; }
	done
	wait_for printed "$TMP/5.log" "waiting on" || r=1
	kill "${host_pid[5]}"
	host_ended 5 16 && [ ! -s "$TMP/5.out" ] && return $r
}
check "it is not sent to one that waits for another guest, and both say so" not_its_own
check "nor could it be" not_its_own --check
elsewhere() {
	host 5
	target_up 5
	kill "${host_pid[5]}"
	host_ended 5 16
}
check "and one in another state folder" elsewhere
port=$first_port
check "the first one is there still" and_first
kill -KILL "$first"
wait "$first" 2>/dev/null
again() { target_up 2 && and_first; }
check "when it was killed, the next one waits" again
kill "${host_pid[2]}"
check "a signal ends it" host_ended 2 16
check "and leaves nothing behind" eval '[ -z "$(ls -A "$TMP/s2")" ]'

# --- who says so is not csvvmm -----------------------------------------------------------------

# A process that has the lock of m.wait, and what it says in it.
cat >"$TMP/liar.py" <<'END'
import fcntl, struct, sys, time
f = open(sys.argv[1], "w")
f.write(r"""{"name": "\u001b[31mn", "pid": -1, "port": "\u009b1m", "state": "\u001b]0;x", "exits": [1], "exits_by":
{"\u001b[1mx": 1}, "since_ns": -9223372036854775808, "vcpus": -3, "memory": 9223372036854775807, "config": "\u202ex"}""")
f.flush()
fcntl.fcntl(f, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))  # F_OFD_SETLK
print("held", flush=True)
time.sleep(60)
END
python3 "$TMP/liar.py" "$TMP/s2/m.wait" >"$TMP/liar" &
liar=$!
wait_for test -s "$TMP/liar"
plain() { ! LC_ALL=C grep -qP '[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\xaa-\xae]' "$@"; }
lies() {
	at 2 list >"$TMP/list" 2>&1 && at 2 status m >"$TMP/status" 2>&1 || return 1
	at 2 kill m >"$TMP/kill" 2>&1 && return 1
	second "already; see" && plain "$TMP/list" "$TMP/status" "$TMP/kill" "$TMP/second.log" || return 1
	[ "$(sed 1d "$TMP/list" | awk '{ print $1, $2, $3, $4 }')" = "m 0 waiting 0" ] && ! grep -q exits "$TMP/status"
}
check "a file that lies: no control characters, no \"kill -1\"" lies
kill "$liar"
wait "$liar" 2>/dev/null
rm -f "$TMP/s2/m.wait"

# --- while the guest comes, and later -------------------------------------------------------

receiving() {
	target_up 2 --once
	first_port=$port
	via S:sealed-pages:1 run "export CSVVMM_STATE_DIR=$TMP/s2
		$CSVVMM list >$TMP/list 2>$TMP/list.err
		$CSVVMM status m >$TMP/status 2>&1
		$CSVVMM status --json m >$TMP/status.json
		$CSVVMM pause m >$TMP/pause 2>&1
		CSVVMM_STATE_DIR=$TMP/s2 timeout 20 $CSVVMM receive --listen 127.0.0.1:0 --insecure $TMP/2.toml >$TMP/second.log 2>&1"
	moves 0 1 && went 2 || return 1
	off
	[ "$(wc -l <"$TMP/second.log")" -eq 1 ] && has "$TMP/second.log" "waits for guest \"m\" already (process ${host_pid[2]}, port $first_port)"
}
check "a second one while the guest comes" receiving
row_then() {
	local vmm
	vmm=$(jq .pid "$TMP/status.json")
	[ "$(cat "$TMP/list.err" "$TMP/list" | sed 1d | awk '{ print $1, $2, $3 }')" = "m $vmm receiving" ] &&
		[ "$(jq -r .state "$TMP/status.json")" = receiving ] && grep -qx 'state  *receiving' "$TMP/status" &&
		has "$TMP/pause" "cannot pause: the guest is receiving" && [ "$(json 2 .pid)" = "$vmm" ]
}
check "list and status then" row_then
check "when it has come it runs, and nobody waits" row "$(json 2 .pid)" running ""
check "a second one when it has come" second 'a guest named "m" runs already'
kill_host 2
check "nothing is left behind" all_clean
finish
