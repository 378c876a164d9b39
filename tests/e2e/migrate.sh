# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Two hosts on this machine: each has a number, a folder for its state and a
# console of its own. The guest is tests/guest/moves.c: what the consoles of all
# hosts it was at got, in this order, must count up without a gap, which a page
# that was lost and a second copy that runs both break.
line=() # numbers of the hosts the guest was at
declare -A host_pid

# Half a minute at most: there is much to wait for in vain if one thing is wrong.
# shellcheck disable=SC2034 # for wait_for
wait_looks=1500 wait_pause=0.02

# host N [MORE]: a guest.toml for host N; $type, $vcpus, $memory, $cmdline, $profile; MORE is more lines
host() {
	{
		printf 'name = "m"\non_reboot = "%s"\nkernel = "%s"\nmemory = "%s"\nvcpus = %d\ncmdline = "%s"\n' \
			"${on_reboot-exit}" "$PWD/$BUILD/guest/moves.elf" "${memory-16M}" "${vcpus-1}" "${cmdline-}"
		[ -z "${2-}" ] || printf '%s\n' "$2"
		printf '[console]\n%s\n' "${console-file = \"$TMP/$1.out\"}"
		[ "${type-none}" = none ] ||
			printf '[csv]\ntype = "%s"\nbackend = "model"\nprofile = "%s"\n%s\n' "$type" "${profile-hygon}" "${csv-}"
	} >"$TMP/$1.toml"
	: >"$TMP/$1.out"
}

# at N COMMAND...: csvvmm as on host N
at() {
	local n=$1
	shift
	CSVVMM_STATE_DIR=$TMP/s$n "$CSVVMM" "$@"
}

# source_up N: the guest starts on host N and counts
source_up() {
	line=("$1")
	: >"$TMP/$1.log"
	: >"$TMP/$1.out"
	CSVVMM_STATE_DIR=$TMP/s$1 "$CSVVMM" run "$TMP/$1.toml" >"$TMP/$1.log" 2>&1 </dev/null &
	host_pid[$1]=$!
	wait_for counts "$1" 5
}

# awaits FILE COMMAND...: the command is a csvvmm receive that goes on, FILE its log; $port and $receiver, its process.
# Return: has it got a port?
awaits() {
	local log=$1
	shift
	: >"$log" # now, not when the child gets to it: the last one's port may be there
	"$@" >"$log" 2>&1 </dev/null &
	receiver=$!
	wait_for eval 'printed "$log" "waiting for guest" || gone "$receiver"'
	port=$(sed -n 's/.*waiting for guest .* at port //p' "$log")
	[ -n "$port" ]
}

# serve N OPTION...: host N waits for it on a line that the options tell; $port
serve() {
	local n=$1 ok=0
	shift
	: >"$TMP/$n.out"
	CSVVMM_STATE_DIR=$TMP/s$n awaits "$TMP/$n.log" "$CSVVMM" receive --listen 127.0.0.1:0 "$@" "$TMP/$n.toml" || ok=1
	host_pid[$n]=$receiver
	return $ok
}

# target_up N [OPTION...]: host N waits for it; $port
target_up() { serve "$1" --insecure "${@:2}"; }

# via RECORD ACTION...: the line goes through the proxy; $port is the proxy's
via() {
	: >"$TMP/proxy.log"
	python3 tests/e2e/migproxy.py "$port" "$@" >"$TMP/proxy.log" 2>&1 &
	proxy=$!
	wait_for printed "$TMP/proxy.log" "port "
	port=$(sed -n 's/^port //p' "$TMP/proxy.log")
}

# off: the proxy is no longer needed
off() {
	kill "$proxy" 2>/dev/null
	wait "$proxy" 2>/dev/null
}

# move N [OPTION...]: from host N to $port. Return: exit status of csvvmm migrate
move() {
	local n=$1 trust=()
	shift
	[ "${type-none}" = none ] || trust=(--root model)
	at "$n" migrate --insecure "${trust[@]}" "$@" m "127.0.0.1:$port" >"$TMP/move.log" 2>&1 </dev/null
}

# moves STATUS N [OPTION...]: move() ends like that
moves() {
	local want=$1 got
	shift
	move "$@"
	got=$?
	[ "$got" -eq "$want" ] && return 0
	echo "# migrate ended with $got, not $want:"
	tail -n 5 "$TMP/move.log" "$TMP/proxy.log" 2>/dev/null | sed 's/^/# /'
	tail -n 5 "$TMP"/[0-9].log | sed 's/^/# /'
	tail -qn 3 "$TMP"/[0-9].out | sed 's/^/# a guest: /; $a\'
	return 1
}

lines() { wc -l <"$TMP/$1.out"; }

# counts N [LINES]: so many more since it was looked at last (5)
counts() { [ "$(lines "$1")" -ge "${2-5}" ]; }

# complains N: the guest found something wrong, and says what
complains() { grep -aE 'FAIL|exception' "$TMP/$1.out"; }
counts_or_complains() { counts "$@" || complains "$1" >/dev/null; }

# goes_on N: it counts there now; so often that each vCPU has looked at all it has
goes_on() {
	local from
	from=$(lines "$1")
	wait_for counts_or_complains "$1" $((from + 5)) && ! complains "$1" | sed 's/^/# the guest: /' | grep .
}

# quiet N: it does not count there; two looks at a guest that counts hundreds of times a second
quiet() {
	local from
	from=$(lines "$1")
	sleep 0.2
	[ "$(lines "$1")" -eq "$from" ] && return 0
	echo "# host $1 goes on"
	return 1
}

# host_ended N STATUS: the VMM of host N ends like that
host_ended() {
	# shellcheck disable=SC2034 # for ended
	vm=${host_pid[$1]}
	ended "$2" && return 0
	tail -n 3 "$TMP/$1.log" | sed 's/^/# /'
	return 1
}

# all_right: the consoles one behind the other count up without a gap
all_right() {
	local n files=()
	for n in "${line[@]}"; do files+=("$TMP/$n.out"); done
	# The last line may be half there.
	cat "${files[@]}" | sed '$d; /^#/d' | awk '/FAIL|exception/ { print "# the guest: " $0; bad = 1; exit }
		NR > 1 && $0 != last + 1 { print "# line " NR ": " $0 " after " last; bad = 1; exit }
		{ last = $0 }
		END { exit bad || NR < 8 }'
}

# went N: the guest is at host N now and goes on there, with all it had
went() {
	line+=("$1")
	goes_on "$1" && all_right
}

# stayed N: it goes on at host N with all it had, as if nothing had been
stayed() { goes_on "$1" && all_right; }

# kill_host N [STATUS]: the operator ends what is there
kill_host() {
	at "$1" kill m >/dev/null 2>&1
	host_ended "$1" "${2-13}"
}

# json N FILTER: a value of status
json() { at "$1" status --json m | jq -r "$2"; }

# moves_there: to a new target at host 2, and back to a state as before it: for checks that need one that works
moves_there() {
	target_up 2
	moves 0 1 --check && stayed 1
	local r=$?
	kill -TERM "${host_pid[2]}"
	wait "${host_pid[2]}"
	return $r
}

# all_clean: no socket, lock or process of any host is left
all_clean() {
	local left
	left=$(find "$TMP"/s[0-9] -mindepth 1; grep -lsz "^$TMP/.*toml" /proc/[0-9]*/cmdline)
	[ -z "$left" ] && return 0
	echo "# left behind: $left"
	return 1
}

# Records in their order. Nothing has changed on the target before "start".
PREFLIGHT=(S:greeting T:greeting S:offer T:answer)
BEFORE=(S:start T:ready S:plain-pages S:stopped S:vCPU S:machine S:devices S:end T:prepared)
# The same of an encrypted guest.
BEFORE_CSV=(S:start T:ready S:sealed-pages S:stopped S:VMSA S:vCPU S:machine S:devices S:end T:prepared)

# fails WHERE ACTION...: one attempt that must end before commit: the guest stays, the target never runs it
fails() {
	local where=$1 want=1 ok=0 silence=20
	# Where nobody hangs up, patience has to end.
	case $2 in half | stall) silence=1 ;; esac
	target_up 2 --once --stall $silence
	via "$@"
	case " ${PREFLIGHT[*]} " in *" $where "*) want='1|17' ;; esac
	move 1 --stall $silence
	[[ $? =~ ^($want)$ ]] || { echo "# migrate: $(tail -n 1 "$TMP/move.log")"; ok=1; }
	printed "$TMP/proxy.log" "did " || { echo "# the proxy did nothing"; ok=1; }
	stayed 1 || ok=1
	off
	host_ended 2 16 || ok=1
	[ "$(lines 2)" -eq 0 ] || { echo "# it ran at the target"; ok=1; }
	return "$ok"
}
