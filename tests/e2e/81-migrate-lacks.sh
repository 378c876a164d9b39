#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Migration to a host that lacks something (row 8): who waits there says so at once where it can be known, else both sides
# name it when the guest knocks. It goes on where it was.
# shellcheck disable=SC2317 # functions are called by check
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/migrate.sh
. tests/e2e/migrate.sh
need_kvm

# at_once WORDS [COMMAND]...: receive ends before it has a port
at_once() {
	local words=$1
	shift
	CSVVMM_STATE_DIR=$TMP/s2 "$@" "$CSVVMM" receive --listen 127.0.0.1:0 --insecure "$TMP/2.toml" >"$TMP/2.log" 2>&1 </dev/null
	[ $? -eq 1 ] && ! printed "$TMP/2.log" "waiting for" && has "$TMP/2.log" "$words"
}

# refused WORDS: the move, in these words at both sides
refused() { moves 17 1 && stayed 1 && has "$TMP/move.log" "$1" && has "$TMP/2.log" "$1"; }

type=csv2 vcpus=2
host 1 && host 2
source_up 1

# --- what can be known before ---------------------------------------------------------

if [ -e /dev/sev ]; then
	skip "row 8: no /dev/sev" "there is one"
else
	sed -i '/^backend/d' "$TMP/2.toml"
	check "row 8: no /dev/sev" at_once "/dev/sev: No such file or directory"
fi
memory=$(awk '/^MemTotal:/ { print int($2 / 1024) "M" }' /proc/meminfo) host 2
# (All of it has to be pinned.)
check "row 8: more memory than the host has" at_once "MemAvailable"
host 2
CSVVMM_STATE_DIR=$TMP/s2 "$CSVVMM" run "$TMP/2.toml" >"$TMP/run.log" 2>&1 </dev/null &
host_pid[2]=$!
wait_for counts 2 5
check "row 8: its name is taken" at_once 'a guest named "m" runs already'
kill_host 2

# --- what is found when the guest knocks ------------------------------------------------

host 2
target_up 2 --once
CSVVMM_STATE_DIR=$TMP/s2 "$CSVVMM" run "$TMP/2.toml" >"$TMP/run.log" 2>&1 </dev/null &
other=$!
wait_for counts 2 5
taken() {
	refused "runs already" && host_ended 2 1 && goes_on 2
}
check "row 8: its name is taken while it waits" taken
host_pid[2]=$other
kill_host 2

# nobody_kvm: who waits may not open /dev/kvm
nobody_kvm() {
	local ok=0
	mkdir -m 777 "$TMP/s3"
	chmod 711 "$TMP"
	chmod 666 "$TMP/2.out"
	CSVVMM_STATE_DIR=$TMP/s3/state awaits "$TMP/2.log" setpriv --reuid 65534 --regid 65534 --clear-groups \
		"$CSVVMM" receive --once --listen 127.0.0.1:0 --insecure "$TMP/2.toml"
	host_pid[2]=$receiver
	refused "('csvvmm doctor' says what to do): Permission denied" && [ "$(lines 2)" -eq 0 ] && host_ended 2 1 || ok=1
	rm -rf "$TMP/s3"
	chmod 700 "$TMP"
	return $ok
}
host 2
if [ "$(id -u)" != 0 ] || ! setpriv --reuid 65534 --regid 65534 --clear-groups test -x "$CSVVMM" ||
	setpriv --reuid 65534 --regid 65534 --clear-groups test -w /dev/kvm; then
	skip "row 8: no permission" "not root, or /dev/kvm is everybody's"
else
	check "row 8: no permission" nobody_kvm
fi

# room KIB: who waits has so much address space. Return: 0: it moved; 1: named, and it stayed; 2: wrong
room() {
	local status
	: >"$TMP/2.out"
	# shellcheck disable=SC2016 # for that shell
	if ! CSVVMM_STATE_DIR=$TMP/s2 awaits "$TMP/2.log" bash -c 'ulimit -v "$1" && shift && exec "$@"' - "$1" \
		"$CSVVMM" receive --once --listen 127.0.0.1:0 --insecure "$TMP/2.toml"; then
		echo "# $1 KiB: $(tail -n 1 "$TMP/2.log")"
		status=1
		gone "$receiver" || { kill "$receiver"; status=2; }
		wait "$receiver"
		return $status
	fi
	host_pid[2]=$receiver
	move 1
	status=$?
	echo "# $1 KiB: $status: $(tail -n 1 "$TMP/move.log")"
	[ $status -ne 0 ] || return 0
	wait "${host_pid[2]}"
	stayed 1 && [[ $status =~ ^(1|17)$ ]] && [ "$(lines 2)" -eq 0 ] &&
		grep -q "Cannot allocate memory\|not enough memory" "$TMP/move.log" || return 2
	return 1
}

# no_room: less and less of it is missing
no_room() {
	local kib status named=0
	for ((kib = 30000; kib < 400000; kib += kib / 4)); do
		room $kib
		status=$?
		[ $status -ne 2 ] || return 1
		[ $status -ne 0 ] || break
		named=$((named + 1))
	done
	[ $named -ge 2 ] && [ $status -eq 0 ]
}
if [ -n "${SAN:-}" ]; then
	skip "row 8: out of memory" "sanitizers take all address space"
	kill_host 1
else
	check "row 8: out of memory, at one place or another; with enough it moves" no_room
	check "row 8: and is there" went 2
	kill_host 2
fi
check "nothing is left behind" all_clean
finish
