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
sed 's/^name = "m"/name = "n"/' "$TMP/2.toml" >"$TMP/4.toml"
another() {
	local pid
	CSVVMM_STATE_DIR=$TMP/s2 "$CSVVMM" receive --listen 127.0.0.1:0 --insecure "$TMP/4.toml" >"$TMP/4.log" 2>&1 </dev/null &
	pid=$!
	wait_for printed "$TMP/4.log" "waiting for guest n at port"
	local r=$?
	kill "$pid"
	wait "$pid"
	[ $? -eq 16 ] && return $r
}
check "one for another name may wait" another
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

# --- while the guest comes, and later -------------------------------------------------------

receiving() {
	target_up 2 --once
	first_port=$port
	via S:sealed-pages:1 run "
		CSVVMM_STATE_DIR=$TMP/s2 timeout 20 $CSVVMM receive --listen 127.0.0.1:0 --insecure $TMP/2.toml >$TMP/second.log 2>&1"
	moves 0 1 && went 2 || return 1
	off
	[ "$(wc -l <"$TMP/second.log")" -eq 1 ] && has "$TMP/second.log" "waits for guest \"m\" already (process ${host_pid[2]}, port $first_port)"
}
check "a second one while the guest comes" receiving
check "a second one when it has come" second 'a guest named "m" runs already'
kill_host 2
check "nothing is left behind" all_clean
finish
