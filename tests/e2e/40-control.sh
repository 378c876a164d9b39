#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The operator's commands, and what hostile or clumsy clients can do.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
need_kvm

guest count <<<'memory = "16M"'
guest idle <<<'memory = "16M"'
guest powerbtn <<<'memory = "16M"'

answers() { "$CSVVMM" status "$1" >/dev/null; }

# lines: how far the counting guest has come
lines() { wc -l <"$TMP/count.out"; }
more_than() { [ "$(lines)" -gt "$1" ]; }

start count </dev/null
wait_for more_than 2
check "list: it is there" grep -q '^count .*running' <("$CSVVMM" list)
check "status: running" [ "$(status count state)" = '"running"' ]
check "status: as many bytes as asked for" [ "$(status count memory)" = 16777216 ]
check "pause" "$CSVVMM" pause count
check "pause: status says so" [ "$(status count state)" = '"paused"' ]
before=$(lines)
sleep 1
check "pause: the guest does not go on" [ "$(lines)" -eq "$before" ]
check "pause: twice is fine" "$CSVVMM" pause count
check "resume" "$CSVVMM" resume count
check "resume: the guest goes on" wait_for more_than "$before"

# One name, one guest.
"$CSVVMM" run "$TMP/count.toml" >"$TMP/out" 2>"$TMP/err" </dev/null
check "second run of the name: exit status 1" [ $? -eq 1 ]
check "second run of the name: says who has it" has "$TMP/err" "$vm"
check "second run of the name: the first is not disturbed" [ "$(status count state)" = '"running"' ]

# SIGSTOP: a client must not wait for ever. SIGCONT: as if nothing had been.
kill -STOP "$vm"
timeout 60 "$CSVVMM" status count >"$TMP/out" 2>&1
check "a stopped VMM: the client gives up" [ $? -eq 1 ]
kill -CONT "$vm"
check "continued: it answers" wait_for answers count

# --- clients that do not behave --------------------------------------------------

sock=$CSVVMM_STATE_DIR/count.sock
say() { socat -t 5 - "UNIX-CONNECT:$sock"; }
answer() { printf '%b' "$1" | say 2>/dev/null | grep -qF -- "$2"; }
check "not JSON" answer 'hello\n' '"ok":false'
check "no such command" answer '{"cmd":"fly"}\n' '"ok":false'
check "an unknown key" answer '{"cmd":"ping","x":1}\n' '"ok":false'
check "a NUL" answer '{"cmd":"ping\\0"}\n' '"ok":false'
check "two requests in one go" answer '{"cmd":"ping","id":1}\n{"cmd":"ping","id":2}\n' '"id":2'
# Not more: what is sent after the answer breaks the pipe of a slow client.
head -c 4096 /dev/zero | tr '\0' x | say >"$TMP/out" 2>/dev/null
check "4096 bytes without a line end" has "$TMP/out" '"ok":false'
head -c 1000000 /dev/zero | tr '\0' x | say >"$TMP/out" 2>/dev/null
check "a megabyte: hung up on, and that is all" [ "$(status count state)" = '"running"' ]
printf '{"cmd":"pi' | say >"$TMP/out" 2>/dev/null
check "half a request changes nothing" [ "$(status count state)" = '"running"' ]
for ((i = 0; i < 100; i++)); do
	printf '{"cmd":"status"}\n' | socat -t 0 - "UNIX-CONNECT:$sock" >/dev/null 2>&1 &
	clients[i]=$!
done
wait "${clients[@]}"
check "100 clients at once, gone before the answer" wait_for answers count
fds=$(find "/proc/$vm/fd" | wc -l)
for ((i = 0; i < 50; i++)); do
	printf '{"cmd":"status"}\n' | say >/dev/null 2>&1
done
wait_for [ "$(find "/proc/$vm/fd" | wc -l)" -le "$fds" ]
check "no descriptor is left of them" [ "$(find "/proc/$vm/fd" | wc -l)" -le "$fds" ]
before=$(lines)
check "the guest went on all the while" wait_for more_than "$before"

# --- ends ------------------------------------------------------------------------

"$CSVVMM" pause count
check "kill of a paused guest" "$CSVVMM" kill count
check "kill: exit status 13" ended 13
check "kill: nothing is left" clean
"$CSVVMM" status count >"$TMP/out" 2>&1
check "status of no guest: exit status 1" [ $? -eq 1 ]
check "status of no guest: says so" has "$TMP/out" 'no guest named "count"'

start idle </dev/null
wait_for printed "$TMP/idle.out" idle
kill -TERM "$vm"
check "SIGTERM: exit status 13" ended 13
check "SIGTERM: nothing is left" clean

# Killed: the socket and lock files stay, and are replaced.
start idle </dev/null
wait_for printed "$TMP/idle.out" idle
kill -KILL "$vm"
wait "$vm" 2>/dev/null
"$CSVVMM" list >"$TMP/out"
check "killed: not in the list" [ "$(grep -c '^idle' "$TMP/out")" -eq 0 ]
rm "$TMP/idle.out"
start idle </dev/null
check "killed: the name is free again" wait_for printed "$TMP/idle.out" idle
"$CSVVMM" kill idle
ended 13

start powerbtn </dev/null
wait_for answers powerbtn
check "stop --wait presses the power button" timeout 60 "$CSVVMM" stop --wait powerbtn
check "stop: exit status 0" ended 0

# --- disks ---------------------------------------------------------------------------

truncate -s 1M "$TMP/disk.img"
for n in one two; do
	guest $n idle <<<'memory = "16M"
[[disk]]
path = "disk.img"'
done
start one </dev/null
wait_for printed "$TMP/one.out" idle
"$CSVVMM" run "$TMP/two.toml" >"$TMP/out" 2>"$TMP/err" </dev/null
check "one disk, two writers: exit status 1" [ $? -eq 1 ]
check "one disk, two writers: says so" has "$TMP/err" 'in use'
"$CSVVMM" kill one
ended 13
for n in one two; do
	printf 'readonly = true\n' >>"$TMP/$n.toml"
	start $n </dev/null
	check "one disk, two readers: $n" wait_for printed "$TMP/$n.out" idle
done
"$CSVVMM" kill one
"$CSVVMM" kill two
check "nothing is left" wait_for clean
finish
