#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Guests that begin anew: by themselves in each way, by their host, by both at
# once. tests/guest/resets.c looks at the machine that it finds each time; what a
# lab is needed for is in 86-reset-lab.sh.
# shellcheck disable=SC2317 # functions are called by check
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
need_kvm

LIVES=${LIVES:-50}
truncate -s 4M "$TMP/disk"

# resets CMDLINE [MORE]: $TMP/r.toml; $type, $vcpus, $way, $on_reboot, $on_crash
resets() {
	{
		printf 'kernel = "%s"\nmemory = "16M"\nvcpus = %d\ncmdline = "%s"\nreset = "%s"\non_reboot = "%s"\non_crash = "%s"\n' \
			"$PWD/$BUILD/guest/resets.elf" "${vcpus-2}" "$1" "${way-auto}" "${on_reboot-reset}" "${on_crash-reset}"
		printf '[[disk]]\npath = "%s"\n' "$TMP/disk"
		[ "${type-none}" = none ] || printf '[csv]\ntype = "%s"\nbackend = "model"\n' "$type"
		printf '%s\n' "${2-}"
	} >"$TMP/r.toml"
}

# lives: it ends by itself with success after all its lives
lives() {
	"$CSVVMM" run "$TMP/r.toml" >"$TMP/r.out" 2>"$TMP/r.err" </dev/null
	local status=$?
	[ "$status" -eq 0 ] && has "$TMP/r.out" SUCCESS && return 0
	echo "# exit status $status"
	show "$TMP/r.out"
	show "$TMP/r.err"
	return 1
}

# ends STATUS
ends() {
	"$CSVVMM" run "$TMP/r.toml" >"$TMP/r.out" 2>"$TMP/r.err" </dev/null
	[ $? -eq "$1" ]
}

up() {
	: >"$TMP/r.out"
	: >"$TMP/r.err"
	start r </dev/null
	wait_for printed "$TMP/r.out" "life 1"
}

# value FILTER: of status
value() { "$CSVVMM" status --json r | jq -r "$1"; }

# --- by the guest itself ---------------------------------------------------------

for type in none csv csv2; do
	for way in auto relaunch; do
		for by in acpi kbd cf9 panic triple; do
			resets "n=5 by=$by"
			check "$type, $way: five lives, by $by" lives
		done
	done
done
way=auto
type=none
resets "n=5 by=triple"
lives
check "the reason is told: triple fault" has "$TMP/r.err" ": a triple fault"
resets "n=5 by=panic"
lives
check "the reason is told: panic" has "$TMP/r.err" ": its kernel panicked"
resets "n=5 by=kbd"
lives
check "the reason is told: reboot" has "$TMP/r.err" ": the guest asked for a reboot"
for vcpus in 1 3 8; do
	type=csv2
	resets "n=10 by=acpi io"
	check "$vcpus vCPUs, halted and working, with requests under way: ten lives" lives
done
vcpus=2
resets "n=10 by=acpi io" '[rng]
enabled = false'
sed -i 's/^sandbox.*//; 1i sandbox = false' "$TMP/r.toml"
check "without a sandbox" lives

# --- by what guest.toml says -----------------------------------------------------

type=none
on_reboot="exit" resets "by=acpi"
check 'on_reboot = "exit": 12' ends 12
on_crash="exit" resets "by=panic"
check 'on_crash = "exit": 10' ends 10
on_crash="exit" resets "by=triple"
check 'on_crash = "exit": 11' ends 11

# held WHY: it is paused for good
held() {
	wait_for printed "$TMP/r.err" "paused, until it is reset or killed: $1" || return 1
	[ "$(value .state)" = paused ] && ! "$CSVVMM" resume r 2>"$TMP/why" && has "$TMP/why" "only a reset helps ($1)"
}
for type in none csv2; do
	on_reboot="pause" resets "tell n=2 by=acpi"
	up
	check "$type, on_reboot = \"pause\": it is paused" held "the guest asked for a reboot"
	# It may have come to its end before whoever asked hears that it was reset.
	"$CSVVMM" reset r 2>"$TMP/why"
	check "a reset lets it go on, to its end" ended 0
	check "and was one" has "$TMP/r.err" "reset 1 ("
	on_crash="pause" resets "tell n=2 by=triple"
	up
	check "$type, on_crash = \"pause\": it is paused" held "a triple fault"
	check "kill ends it" "$CSVVMM" kill r
	ended 13
done

# --- by the host -----------------------------------------------------------------

for type in none csv csv2; do
	resets "tell"
	up
	check "$type: reset" "$CSVVMM" reset r
	check "$type: it begins anew" wait_for printed "$TMP/r.out" "life 2"
	check "$type: the reason is told" has "$TMP/r.err" ": the operator asked for it"
	"$CSVVMM" pause r
	check "$type: reset of a paused guest" "$CSVVMM" reset r
	check "$type: it stays paused" [ "$(value .state)" = paused ]
	sleep 0.2
	check "$type: and did not run" [ "$(grep -c life "$TMP/r.out")" -eq 2 ]
	"$CSVVMM" resume r
	check "$type: resumed, it begins anew" wait_for printed "$TMP/r.out" "life 3"
	check "$type: status counts" [ "$(value .reset.count)" -eq 2 ]
	"$CSVVMM" kill r
	ended 13
done

# requests CMD COUNT: so many at once, on one connection
requests() {
	python3 - "$CSVVMM_STATE_DIR/r.sock" "$1" "$2" <<-'END'
		import json, socket, sys
		s = socket.socket(socket.AF_UNIX)
		s.connect(sys.argv[1])
		n = int(sys.argv[3])
		s.sendall((json.dumps({"cmd": sys.argv[2]}) + "\n").encode() * n)
		f = s.makefile()
		sys.exit(not all(json.loads(f.readline())["ok"] for _ in range(n)))
	END
}
type=csv2
resets "tell"
up
"$CSVVMM" pause r
check "ten resets at once are accepted" requests reset 10
wait_for [ "$(value .reset.pending)" = false ]
check "and are few" [ "$(value .reset.count)" -le 3 ]
"$CSVVMM" kill r
ended 13

# both: the guest and its host; the control socket is served meanwhile
both() {
	local i before bad=0
	for ((i = 0; i < 30; i++)); do
		"$CSVVMM" reset r || bad=1
		[ "$(value .name)" = r ] || bad=1
	done
	before=$(value .reset.count)
	wait_for more "$before" || bad=1
	return "$bad"
}
more() { [ "$(value .reset.count)" -gt "$1" ]; }
for type in none csv2; do
	resets "by=acpi io"
	start r </dev/null
	wait_for more 5
	check "$type: reset by guest and host at once, with requests under way" both
	# A burst of 20 lines, then one a second; beside that, lives of more than a second.
	check "$type: it can't fill the log" \
		[ "$(grep -c 'the guest asked' "$TMP/r.err")" -le "$(value '25 + (.uptime_ns / 1000000000 | floor) * 2')" ]
	"$CSVVMM" kill r
	check "$type: a guest that is reset all the time can be killed" ended 13
done

no_reset() { [ "$(value .reset.pending)" = false ]; }
# stays_paused: whatever it was about to do
stays_paused() {
	local i n
	for ((i = 0; i < 20; i++)); do
		"$CSVVMM" pause r || return 1
		wait_for no_reset || return 1
		n=$(value .reset.count)
		sleep 0.1
		[ "$(value .state) $(value .reset.count)" = "paused $n" ] || return 1
		"$CSVVMM" resume r && wait_for more "$n" || return 1
	done
}
for type in none csv2; do
	resets "by=acpi"
	start r </dev/null
	wait_for more 2
	check "$type: paused while it resets itself, it stays so" stays_paused
	"$CSVVMM" kill r
	ended 13
done

# --- nothing is lost -------------------------------------------------------------

# figures PID: descriptors, private memory in KiB, vCPU threads, locked memory in KiB
figures() {
	echo "$(find "/proc/$1/fd" | wc -l) $(awk '/^Private/ { s += $2 } END { print s }' "/proc/$1/smaps_rollup")" \
		"$(grep -l '^vcpu' /proc/"$1"/task/*/comm 2>/dev/null | wc -l) $(awk '/^VmLck/ { print $2 }' "/proc/$1/status")"
}

# paused: and nothing of a reset is under way
paused() {
	"$CSVVMM" pause r && wait_for no_reset
}

# What the address sanitizer keeps back of freed memory would look like a leak.
ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}quarantine_size_mb=1
# grows N: N resets more, by the guest
grows() {
	local pid before after
	start r </dev/null
	pid=$vm
	wait_for more 20 || return 1
	paused
	before=$(figures "$pid")
	"$CSVVMM" resume r
	wait_for more $((20 + $1)) || return 1
	paused
	after=$(figures "$pid")
	"$CSVVMM" kill r
	ended 13 || return 1
	echo "# $1 resets: descriptors, private KiB, vCPU threads, locked KiB: $before, then $after"
	# shellcheck disable=SC2086 # words
	set -- $before $after
	# A client that has just left may still have its descriptor.
	[ "$5" -le $(($1 + 3)) ] && [ "$6" -le $(($2 + 2048)) ] && [ "$3" -eq "$7" ] && [ "$4" -eq "$8" ]
}
for type in none csv csv2; do
	for way in auto relaunch; do
		resets "by=acpi io"
		check "$type, $way: $LIVES resets: no descriptor, memory or thread more" grows "$LIVES"
	done
done
way=auto

# --- another kernel in the file ---------------------------------------------------

cp "$BUILD/guest/resets.elf" "$TMP/k.elf"
# swapped STATUS: the file's contents are another kernel's before the reset
swapped() {
	resets "tell"
	cp "$BUILD/guest/resets.elf" "$TMP/k.elf"
	sed -i "s|^kernel = .*|kernel = \"$TMP/k.elf\"|" "$TMP/r.toml"
	up
	cat "$BUILD/guest/hello.elf" >"$TMP/k.elf"
	"$CSVVMM" reset r 2>"$TMP/why"
	ended "$1"
}
type=none
check "plain: the file's new contents are started" swapped 0
check "plain: it is the other kernel" has "$TMP/r.out" "hello: "
type=csv2
check "encrypted: with another digest the guest ends" swapped 14
check "encrypted: and says why" has "$TMP/r.err" "has another digest: kernel or initrd are not what it was started with"
check "encrypted: who asked is told" has "$TMP/why" "ended instead"
type=csv
resets "tell"
sed -i "s|^kernel = .*|kernel = \"$TMP/k.elf\"|" "$TMP/r.toml"
cp "$BUILD/guest/resets.elf" "$TMP/k.elf"
up
: >"$TMP/k.elf"
"$CSVVMM" reset r 2>/dev/null
check "an empty kernel: the guest ends" ended 14
check "in one line" [ "$(grep -c 'error:' "$TMP/r.err")" -eq 1 ]

# --- a guest with an owner ---------------------------------------------------------

type=csv2
resets "tell"
"$CSVVMM" run --wait-for-owner "$TMP/r.toml" >"$TMP/r.out" 2>"$TMP/r.err" </dev/null &
vm=$!
"$CSVVMM" launch-measure --wait=60 --json r >"$TMP/first.json"
check "owner: no reset before it runs" [ "$("$CSVVMM" reset r 2>&1 | grep -c 'waits for its owner')" -eq 1 ]
"$CSVVMM" launch-go r
wait_for printed "$TMP/r.out" "life 1"
check "owner: reset" "$CSVVMM" reset r
check "owner: it waits for its owner again" [ "$(value .csv.launch)" = "waits for its owner" ]
"$CSVVMM" launch-measure --json r >"$TMP/second.json"
check "owner: the same digest" [ "$(jq -r .digest "$TMP/first.json")" = "$(jq -r .digest "$TMP/second.json")" ]
sleep 0.1
check "owner: it did not run" [ "$(grep -c life "$TMP/r.out")" -eq 1 ]
"$CSVVMM" launch-go r
check "owner: then it runs" wait_for printed "$TMP/r.out" "life 2"
"$CSVVMM" kill r
ended 13
check "nothing is left behind" clean
finish
