#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Resets before, while and after a guest moves. As 80-migrate.sh: one line a
# round on the console; a guest that begins anew begins with 0.
# shellcheck disable=SC2317 # functions are called by check
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/migrate.sh
. tests/e2e/migrate.sh
need_kvm
on_reboot=reset vcpus=2

# begun N RESETS: so many resets on host N, it counts from 0 again, and goes on. (The reset may cut a line.)
begun() {
	wait_for was_reset "$1" "$2" && goes_on "$1" && ! grep -E 'FAIL|exception' "$TMP/$1.out" &&
		[ $(($(tail -n 2 "$TMP/$1.out" | head -n 1) + 2)) -lt "$(lines "$1")" ]
}
was_reset() { [ "$(json "$1" .reset.count)" -ge "$2" ]; }

# reset_on_its_way RECORD: the host wants it when that record comes by; it stays, and begins anew
reset_on_its_way() {
	local ok=0 before
	before=$(json 1 .reset.count)
	target_up 2 --once
	via "$1" run "CSVVMM_STATE_DIR=$TMP/s1 $CSVVMM reset m 2>$TMP/why"
	moves 18 1 || ok=1
	begun 1 $((before + 1)) || ok=1
	off
	host_ended 2 16 || ok=1
	[ "$(lines 2)" -eq 0 ] || { echo "# it ran there"; ok=1; }
	return "$ok"
}

for type in none csv2; do
	host 1 && host 2 && host 3
	source_up 1
	for at in T:answer T:ready T:synced S:stopped T:prepared; do
		check "$type: reset at $at: the migration is cancelled, it begins anew" reset_on_its_way $at
	done
	check "$type: the migration says so" has "$TMP/1.log" "migration: cancelled"
	target_up 2
	check "$type: migrate after reset" moves 0 1
	check "$type: it goes on there" goes_on 2
	check "$type: reset directly after the migration" at 2 reset m
	check "$type: it begins anew there" begun 2 1
	target_up 3
	check "$type: and moves once more" moves 0 2
	check "$type: and goes on" goes_on 3
	at 3 pause m
	at 3 reset m
	at 3 resume m
	check "$type: and begins anew" begun 3 1
	kill_host 3

	# by itself, over and over, also while the line is held up
	cmdline="end=40 reboot"
	host 1
	source_up 1
	target_up 2 --once
	via T:ready run "while ! grep -q 'migration: cancelled' $TMP/1.log; do sleep 0.1; done"
	check "$type: it reboots on its way: it stays" moves 18 1
	check "$type: and begins anew here" begun 1 1
	off
	host_ended 2 16
	kill_host 1
	cmdline=
done

# too late: the target is told that it runs there
type=csv2
host 1 && host 2
source_up 1
target_up 2
via S:commit run "CSVVMM_STATE_DIR=$TMP/s1 $CSVVMM reset m 2>$TMP/why"
check "too late at S:commit: it moves" moves 0 1
check "whoever wanted it is told" has "$TMP/why" "on its way to another host, too late"
check "it goes on there" goes_on 2
off
kill_host 2

# The target's files have something else than what has arrived: it is not launched in its place.
for type in csv csv2; do
	host 1
	cmdline=other host 2
	source_up 1
	target_up 2
	check "$type: it moves to where the files are others" moves 0 1
	at 2 reset m 2>"$TMP/why"
	check "$type: it is not launched there: another digest" host_ended 2 14
	check "$type: and says why" has "$TMP/2.log" "the new launch has another digest"
done
check "nothing is left behind" all_clean
finish
