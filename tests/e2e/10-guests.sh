#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Each tiny guest ends as it should: exit status, last line in words, console.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
need_kvm

# run NAME STATUS 'last words' 'text on the console' [memory [more lines]]
run() {
	local name=$1
	guest "$name" "${name%%-*}" <<-END
		memory = "${5:-16M}"
		${6:-}
	END
	"$CSVVMM" run "$TMP/$name.toml" >"$TMP/out" 2>"$TMP/err" </dev/null
	check "$name: exit status $2" [ $? -eq "$2" ]
	check "$name: last words" last_words "$TMP/err" \
		"guest $name: $3 (exit status $2)"
	[ -z "$4" ] || check "$name: console" has "$TMP/out" "$4"
	check "$name: nothing is left" clean
}

run hello 0 'powered off' 'SUCCESS'
check "nothing else on standard error" [ "$(wc -l <"$TMP/err")" -eq 1 ]
run hello-cmdline 0 'powered off' 'hello: cmdline=one  "two" three' 16M \
	"cmdline = 'one  \"two\" three'"
run reboot 12 'asked for a reboot (on_reboot = "exit")' 'reboot' 16M 'on_reboot = "exit"'
run panic 10 'its kernel panicked' 'panic'
run triple 11 'ended by a triple fault' 'triple'
for n in 1 2 4 8; do
	run smp-$n 0 'powered off' "smp: running=$n of $n" 32M "vcpus = $n"
done
run smp-64 0 'powered off' "smp: running=64 of 64" 64M "vcpus = 64"

# Memory is only promised until it is touched, so these may be larger than
# what is free; configurations that the host could never keep are refused.
host=$(($(sed -nE 's/^MemTotal: *([0-9]+) kB/\1/p' /proc/meminfo) / 1024))
run memtouch 0 'powered off' 'above 4 GiB=0 wrong=0' 16M
for m in 3072:0 3074:512 4096:8192 8192:8192; do
	name=memtouch-${m%:*}M
	if [ "$host" -gt $((${m%:*} + 256)) ]; then
		run "$name" 0 'powered off' "above 4 GiB=${m#*:} wrong=0" "${m%:*}M"
		check "$name: success" has "$TMP/out" SUCCESS
	else
		skip "$name" "this host has only $host MiB"
	fi
done

# --- where the console goes ----------------------------------------------------

echo before >"$TMP/console.log"
run hello-file 0 'powered off' '' 16M '[console]
file = "console.log"'
check "file: standard output is silent" [ ! -s "$TMP/out" ]
check "file: output is there" has "$TMP/console.log" SUCCESS
check "file: what was there before, too" has "$TMP/console.log" before

run hello-none 0 'powered off' '' 16M '[console]
stdio = false'
check "no console: standard output is silent" [ ! -s "$TMP/out" ]

guest count <<<'memory = "16M"
[console]
socket = "console.sock"'
start count </dev/null
wait_for test -S "$TMP/console.sock"
socat -u "UNIX-CONNECT:$TMP/console.sock" "CREATE:$TMP/socket.out" &
client=$!
check "socket: output comes" wait_for test -s "$TMP/socket.out"
check "socket: kill" "$CSVVMM" kill count
check "socket: ends" ended 13
check "socket: the client sees the end" wait_for gone $client
check "socket: the file is gone" [ ! -e "$TMP/console.sock" ]

guest bare hello <<<'memory = "16M"'
"$CSVVMM" run "$TMP/bare.toml" 0<&- 1>&- 2>"$TMP/err"
check "no standard input and output: exit status" [ $? -eq 0 ]
check "no standard input and output: last words" last_words "$TMP/err" 'powered off'
"$CSVVMM" run "$TMP/bare.toml" 0<&- 1>&- 2>&-
check "not even standard error: exit status" [ $? -eq 0 ]
"$CSVVMM" run "$TMP/bare.toml" </dev/null 2>"$TMP/err" | true
check "nobody reads: exit status" [ "${PIPESTATUS[0]}" -eq 0 ]
check "nobody reads: last words" last_words "$TMP/err" 'powered off'

# --- other promises --------------------------------------------------------------

run hello-open 0 'powered off' 'SUCCESS' 16M 'sandbox = false'
check "sandbox = false: a warning" has "$TMP/err" \
	'warning: sandbox = false: the VMM keeps all its rights'

# Nothing wakes the VMM of a guest that does nothing: not one exit.
guest idle <<<'memory = "16M"
vcpus = 2'
start idle </dev/null
wait_for printed "$TMP/idle.out" idle
sleep 0.5
before=$(status idle exits)
sleep 3
after=$(status idle exits)
check "idle: the kinds add up" [ "$("$CSVVMM" status --json idle | jq '(.exits | add) == (.exits_by | add)')" = true ]
check "idle: 0 user-space exits ($before -> $after)" \
	[ -n "$before" -a "$before" = "$after" ]
check "idle: kill" "$CSVVMM" kill idle
check "idle: ends" ended 13
check "idle: last words" last_words "$TMP/idle.err" 'killed by the operator (exit status 13)'
check "idle: nothing is left" clean

finish
