#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Who runs the guest has its disks, and nobody else (row 15 of the fault matrix): after each failure the source, after a move
# the target; in between each has one half of the lock, and no third one has it, to write or to read.
# shellcheck disable=SC2317 # functions are called by check
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/migrate.sh
. tests/e2e/migrate.sh
need_kvm

truncate -s 1M "$TMP/disk" "$TMP/other"
disk='[[disk]]
path = "'$TMP'/disk"
cache = "direct"
[[disk]]
path = "'$TMP'/other"
readonly = true'

# A guest that wants the same disk, on a third host.
type=none vcpus=1
host 3 "$disk"
mv "$TMP/3.toml" "$TMP/thief.toml"
thief() { CSVVMM_STATE_DIR=$TMP/s3 timeout 20 "$CSVVMM" run "$TMP/thief.toml" >"$TMP/thief.log" 2>&1 </dev/null; }
taken() {
	thief
	[ $? -eq 1 ] && has "$TMP/thief.log" "disk: in use" && return 0
	sed 's/^/# /' "$TMP/thief.log"
	return 1
}

# free: the thief may have it now
free() {
	: >"$TMP/3.out"
	CSVVMM_STATE_DIR=$TMP/s3 "$CSVVMM" run "$TMP/thief.toml" >"$TMP/thief.log" 2>&1 </dev/null &
	host_pid[3]=$!
	wait_for printed "$TMP/3.out" 3 && kill_host 3
}

still_ours() { fails "$@" && taken; }

# source_killed WHERE: the guest is nowhere then
source_killed() {
	target_up 2 --once
	via "$1" kill "${host_pid[1]}"
	move 1 && { echo "# migrate says it moved"; return 1; }
	off
	host_ended 1 137 && host_ended 2 16
}

# thieves: what both of them do, into $TMP/thief.log
sed "s|^path = \"$TMP/disk\"|&\nreadonly = true|; s/^name = .*/name = \"r\"/" "$TMP/thief.toml" >"$TMP/reader.toml"
thieves="export CSVVMM_STATE_DIR=$TMP/s3
	timeout 20 $CSVVMM run $TMP/thief.toml >$TMP/thief.log 2>&1
	timeout 20 $CSVVMM run $TMP/reader.toml >>$TMP/thief.log 2>&1"
# kept: neither got it
kept() {
	[ "$(grep -c "/disk: in use" "$TMP/thief.log")" -eq 2 ] && return 0
	sed 's/^/# /' "$TMP/thief.log"
	return 1
}

# halves: which halves of the lock of the disk somebody has, as others see it
halves() {
	python3 - "$TMP/disk" <<-'END'
		import fcntl, sys
		with open(sys.argv[1], "r+b") as f:
		    for at in 0, 1 << 62:
		        try:
		            fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, at)
		            print("free", end=" ")
		        except OSError:
		            print("held", end=" ")
	END
}
has_all() { [ "$(halves)" = "held held " ]; }

# while_held WHERE: when this record is on its way, nobody can open it; then the target has all of it
while_held() {
	host 1 "$disk" && host 2 "$disk"
	source_up 1
	target_up 2 --once
	via "$1" run "$thieves"
	moves 0 1 && went 2 || return 1
	off
	host_ended 1 15 && kept && wait_for has_all || return 1
	kill_host 2
}

# doubtful ACTION: the source does not hear that it runs there: nobody else gets the disk, nor does the source, until it is
# decided; nor does the guest move on, which it could not do without standing still. Then the target has all of the lock.
doubtful() {
	host 1 "$disk" && host 2 "$disk" && host 4 "$disk"
	source_up 1
	target_up 2 --once --stall 2
	via T:running "$1"
	moves 19 1 --stall 2 && went 2 || return 1
	off
	bash -c "$thieves"
	kept && ! at 1 migrate --decide=here m >"$TMP/decide" 2>&1 && has "$TMP/1.log" "disk 0: take over" || return 1
	wait_for printed "$TMP/2.log" "half of the lock is somebody else's still" || return 1
	target_up 4 --once
	moves 17 2 && has "$TMP/move.log" "disk 0: take over" && host_ended 4 16 && goes_on 2 || return 1
	at 1 migrate --decide=there m && host_ended 1 15 && goes_on 2 && wait_for has_all || return 1
	bash -c "$thieves"
	kept && kill_host 2
}

# onward: one that has moved so moves on, when the source has let go
onward() {
	host 1 "$disk" && host 2 "$disk" && host 4 "$disk"
	source_up 1
	target_up 2 --once
	moves 0 1 && went 2 && host_ended 1 15 && wait_for has_all || return 1
	target_up 4 --once
	via S:end run "$thieves"
	moves 0 2 && went 4 && host_ended 2 15 && kept && wait_for has_all || return 1
	off
	kill_host 4
}

for type in none csv2; do
	vcpus=2
	host 1 "$disk" && host 2 "$disk"
	source_up 1
	check "$type: the source has it" taken
	before=("${BEFORE[@]}")
	[ $type = none ] || before=("${BEFORE_CSV[@]}")
	for where in T:answer "${before[@]}"; do
		check "row 15: $type: cut at $where: it is the source's" still_ours "$where" cut
	done
	for where in S:end T:prepared; do
		check "row 15: $type: silence at $where: it is the source's" still_ours "$where" stall
	done
	check "row 15: $type: killed at S:end: nobody's" source_killed S:end
	check "row 15: $type: it is free" free
	for where in S:start S:devices S:end T:prepared S:commit T:running; do
		check "row 15: $type: at $where it is somebody's" while_held "$where"
	done
	check "row 15: $type: the target runs, and the source does not hear it" doubtful stall
	check "row 15: $type: and on to a third host" onward
	check "row 15: $type: after the target has ended it is free" free
done

# The page cache of another host would not see it.
type=none
host 1 "${disk/direct/host}" && host 2 "${disk/direct/host}"
source_up 1
target_up 2 --once
check "a disk behind this host's page cache" eval 'moves 17 1 && has "$TMP/move.log" "writable and not cache =" && stayed 1'
host_ended 2 16
kill_host 1

# refused_here STATUS WORDS: both sides say why, the guest stays
refused_here() {
	target_up 2 --once
	moves "$1" 1 && host_ended 2 16 && stayed 1 && has "$TMP/move.log" "$2" && has "$TMP/2.log" "$2"
}
host 1 "$disk" && host 2 "${disk/direct/host}"
source_up 1
check "the target's would be behind its page cache" refused_here 17 "writable and not cache ="

truncate -s 2M "$TMP/large"
host 2 "${disk/$TMP\/disk/$TMP/large}"
check "another size" refused_here 17 "disk 0: the guest's has 1048576 bytes, the target's 2097152"

head -c 1M /dev/urandom >"$TMP/another"
host 2 "${disk/$TMP\/disk/$TMP/another}"
check "another disk of that size" refused_here 1 "both hosts must have the same disk, not a copy"

# The source can't go on with what has become smaller meanwhile; nor is it at the target.
host 2 "$disk"
target_up 2 --once
via S:end run "truncate -s 4096 $TMP/disk"
check "it becomes smaller on its way: the guest stands still" moves 19 1
check "and both say so" eval 'has "$TMP/move.log" "is nowhere else" && host_ended 2 16 && [ "$(json 1 .migration.phase)" = stuck ]'
off
check "it can't be said to be there" eval '! at 1 migrate --decide=there m >"$TMP/decide" 2>&1 && has "$TMP/decide" "it never ran there"'
check "here it does not go on yet" eval '! at 1 migrate --decide=here m >"$TMP/decide" 2>&1 && quiet 1'
truncate -s 1M "$TMP/disk"
check "then it does" eval 'at 1 migrate --decide=here m && stayed 1'
check "and is no longer said to be stuck" [ "$(json 1 .migration.phase)" = failed ]
kill_host 1
check "nothing is left behind" all_clean
finish
