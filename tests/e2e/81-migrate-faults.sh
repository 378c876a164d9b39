#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Migration: what goes wrong between the hosts and on them; the fault matrix's rows
# by number (FULL=1: each cell, else one action at each record). After each the guest runs on exactly one side, with all it had.
# shellcheck disable=SC2317 # functions are called by check
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/migrate.sh
. tests/e2e/migrate.sh
need_kvm

descriptors() { find "/proc/${host_pid[$1]}/fd" -type l 2>/dev/null | wc -l; }

# source_killed WHERE HOW, target_killed WHERE WHOM: SIGKILL when a record comes; before commit the target never runs it
source_killed() {
	local ok=0
	host 1 && host 2
	source_up 1
	target_up 2 --once --stall 20
	via "$1" "$2" "${host_pid[1]}"
	move 1 && { echo "# migrate says it moved"; ok=1; }
	host_ended 1 137 || ok=1
	off
	host_ended 2 16 || ok=1
	[ "$(lines 2)" -eq 0 ] || { echo "# it ran at the target"; ok=1; }
	# It was not handed over: it may start again.
	source_up 1 || ok=1
	kill_host 1
	return "$ok"
}

target_killed() {
	local ok=0 pid
	target_up 2 --once --stall 20
	pid=${host_pid[2]}
	# The listener, or the child that has the connection by then.
	via "$1" "$([ "$2" = child ] && echo kill-child || echo kill-before)" "$pid"
	move 1 --stall 20
	[[ $? =~ ^(1|17)$ ]] || { echo "# migrate: $(tail -n 1 "$TMP/move.log")"; ok=1; }
	stayed 1 || ok=1
	off
	wait "$pid"
	[ "$(lines 2)" -eq 0 ] || { echo "# it ran at the target"; ok=1; }
	pgrep -f "receive.*$TMP/2.toml" >/dev/null && { echo "# a process is left"; ok=1; }
	return "$ok"
}

# in_doubt WHERE ACTION: the line breaks around commit; the source stands still
in_doubt() {
	target_up 2 --once --stall 5
	via "$@"
	moves 19 1 --stall 5 && quiet 1 && has "$TMP/1.log" "stands still"
}

# killed_prepared: whether the source hears of it before it commits is a matter of microseconds: it stays, or the operator says so
killed_prepared() {
	local status=0
	target_up 2 --once --stall 5
	via T:prepared kill-child "${host_pid[2]}"
	move 1 --stall 2 || status=$?
	case $status in
	1) has "$TMP/move.log" "the peer hung up" ;;
	19) quiet 1 && has "$TMP/1.log" "stands still" && at 1 migrate --decide=here m ;;
	*) echo "# migrate ended with $status"; return 1 ;;
	esac
}

# not_there: the target did not get the commit: it has ended, and the guest goes on at the source
not_there() {
	host_ended 2 16 && [ "$(lines 2)" -eq 0 ] && quiet 1 && at 1 migrate --decide=here m && stayed 1
}

# there: the target runs it; the source ends
there() {
	went 2 && quiet 1 && at 1 migrate --decide=there m && host_ended 1 15 && all_right && kill_host 2
}

matrix() {
	local where action
	for where in "${PREFLIGHT[@]}" "${before[@]}"; do
		for action in $actions; do
			check "row 3: $type: $action at $where: it stays" fails "$where" $action
		done
		# With "prepared" on its way the source cannot know: that is a doubt.
		[ "$where" = T:prepared ] || check "row 2: $type: target killed at $where: it stays" target_killed "$where" child
	done
	check "row 2: $type: listener killed at T:answer: it stays" target_killed T:answer parent
}

doubts() {
	local action
	check "row 2: $type: target killed at T:prepared: it stays, or is in doubt" killed_prepared
	check "row 2: $type: ... and goes on" eval 'stayed 1 && [ "$(lines 2)" -eq 0 ]'
	off
	for action in cut stall; do
		check "row 4: $type: $action at S:commit: in doubt" in_doubt S:commit $action
		check "row 4: the target does not run it; the operator lets it go on" not_there
		off
	done
	kill_host 1
	for action in cut stall drip; do
		host 1 && host 2
		source_up 1
		if [ $action = drip ]; then
			check "row 4: $type: T:running comes byte by byte: in doubt" dripped
		else
			check "row 4: $type: $action at T:running: in doubt" in_doubt T:running $action
		fi
		check "row 4: the target runs it; the operator ends the source" there
		off
	done
}

# journal: the source's VMM is killed while nobody knows
journal() {
	target_up 2 --once --stall 20
	via "$1" "$2" "${host_pid[1]}"
	move 1
	[ $? -eq 1 ] && host_ended 1 137
}

# not_again: it is not started a second time unasked
not_again() {
	at 1 run "$TMP/1.toml" >"$TMP/again.log" 2>&1 </dev/null
	[ $? -eq 1 ] && has "$TMP/again.log" "was moving to another host when its VMM ended"
}

# dripped: the target's "running" comes byte by byte, none of them late: the source waits for all of it no longer than for one
dripped() {
	local ok=0 relay
	target_up 2 --once --stall 5
	via T:running run "touch $TMP/drip"
	python3 - "$port" "$TMP/drip" >"$TMP/relay.log" 2>&1 <<-'END' &
		import os, socket, sys, threading, time
		listener = socket.create_server(("127.0.0.1", 0))
		print("port %d" % listener.getsockname()[1], flush=True)
		source = listener.accept()[0]
		target = socket.create_connection(("127.0.0.1", int(sys.argv[1])))

		def up():
		    while data := source.recv(1 << 16):
		        target.sendall(data)
		    target.shutdown(socket.SHUT_WR)

		threading.Thread(target=up, daemon=True).start()
		while data := target.recv(1 << 16):
		    if not os.path.exists(sys.argv[2]):
		        source.sendall(data)
		        continue
		    for byte in data:
		        time.sleep(0.7)
		        source.sendall(bytes([byte]))
	END
	relay=$!
	wait_for printed "$TMP/relay.log" "port "
	port=$(sed -n 's/^port //p' "$TMP/relay.log")
	moves 19 1 --stall 2 && quiet 1 || ok=1
	kill "$relay" 2>/dev/null
	wait "$relay"
	rm -f "$TMP/drip" "$TMP/relay.log"
	return "$ok"
}

for type in none csv2; do
	vcpus=2
	host 1 && host 2
	before=("${BEFORE[@]}") actions='cut hangup half stall'
	[ -n "${FULL-}" ] || actions='cut'
	[ $type = none ] || { before=("${BEFORE_CSV[@]}"); actions='cut stall'; [ -n "${FULL-}" ] || actions='stall'; }
	source_up 1
	# The numbers of the last attempt stay, with a descriptor.
	fails S:offer cut >/dev/null
	was=$(descriptors 1)
	matrix
	check "$type: no descriptor is left" [ "$(descriptors 1)" -eq "$was" ]
	doubts
	[ -n "${FULL-}" ] && killed=("${PREFLIGHT[@]}" "${before[@]}") || killed=(S:offer S:start T:synced S:stopped S:end T:prepared)
	for where in "${killed[@]}"; do
		check "row 1: $type: source killed at $where: it never runs there" source_killed "$where" kill
	done

	host 1 && host 2
	source_up 1
	check "row 1, 4: $type: source killed, commit lost" journal S:commit kill
	check "row 4: the target does not run it" host_ended 2 16
	check "row 4: it is not started again unasked" not_again
	check "row 4: but when the operator has decided" at 1 migrate --decide=here m
	source_up 1
	check "row 4: then it is" goes_on 1
	kill_host 1
	host 1 && host 2
	source_up 1
	check "row 1, 4: $type: source killed, commit sent" journal S:commit kill-after
	check "row 4: the target runs it" went 2
	check "row 4: it is not started again unasked" not_again
	check "row 4: the operator says where it is" at 1 migrate --decide=there m
	kill_host 2
	host 1 && host 2
	source_up 1
	check "row 1, 4: $type: in doubt, and the source is told to end" eval 'in_doubt T:running cut && kill -TERM "${host_pid[1]}" && host_ended 1 13'
	off
	check "row 4: the target runs it" went 2
	check "row 4: it is not started again unasked" not_again
	check "row 4: the operator says where it is" at 1 migrate --decide=there m
	kill_host 2
done
check "nothing is left behind" all_clean
finish
