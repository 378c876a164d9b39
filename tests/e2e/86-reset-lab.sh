#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Tier 3: encrypted guests that begin anew, in the lab: unmodified Linux, on Hygon in place and relaunched, on AMD relaunched. A
# guest ends each of its lives by its own reboot; the host counts, and watches caches. RESETS=N: so many of each kind.
# shellcheck disable=SC2317 # functions: called by name
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/lab.sh
. tests/e2e/lab.sh

lab_skip "resets of encrypted guests"
if [ -z "${CSVVMM_IN_LAB:-}" ]; then
	lab_ready
	small=$(lab/build-kernel --guest)/vmlinuz || exit 1
	vars=("SMALL_KERNEL=$small" "RESETS=${RESETS:-2}" "CASES=${CASES:-}" "LIMIT=${LIMIT:-}")
	lab_hosts "${CPUS:-hygon amd}" lab/run --coherency count -m 4G -t "${SECONDS_MAX:-1400}"
fi
lab_here
LIMIT=${LIMIT:-300}

# guest TYPE VCPUS WAY CMDLINE: $TMP/g.toml
guest() {
	cat >"$TMP/g.toml" <<-END
		vcpus = $2
		memory = "256M"
		kernel = "$SMALL_KERNEL"
		initrd = "$KIT/initrd.img"
		cmdline = "console=ttyS0 quiet $4"
		reset = "$3"
		[csv]
		type = "$1"
		policy = []
		profile = "$maker"
	END
}

value() { "$CSVVMM" status --json g | jq -r "$1"; }

# upped N: it was up so often, or is gone; $LIMIT seconds for each
upped() {
	local i
	for ((i = 0; i < LIMIT * 2; i++)); do
		[ "$(grep -ac 'csvvmm-guest: up' "$TMP/g.out")" -lt "$1" ] || return 0
		[ -d "/proc/$vm" ] || break
		sleep 0.5
	done
	echo "# was up $(grep -ac 'csvvmm-guest: up' "$TMP/g.out") times, not $1"
	tail -n 5 "$TMP/g.out" "$TMP/g.err" | sed 's/^/# /'
	return 1
}

# What Linux itself misses in each life: .bss..decrypted (72-csv-guests.sh). The host misses nothing.
clean_caches() {
	local host own
	read -r host own < <(violations)
	echo "# host $((host - host_before)), guests $((own - own_before)) lines"
	[ "$host" -eq "$host_before" ]
}

# again TYPE VCPUS WAY SEEN: it reboots $RESETS times by itself, once for its host; SEEN: how status says it was done
again() {
	local name="$1, $2 vCPUs, reset = \"$3\"" digest launches n=$((RESETS + 1))
	read -r host_before own_before < <(violations)
	guest "$1" "$2" "$3" "csvvmm.test=none csvvmm.end=reboot"
	start g </dev/null
	upped 1
	digest=$(value .csv.digest)
	launches=$(python3 tests/e2e/sev.py counts | awk '$1 == "LAUNCH_START" { print $2 }')
	check "$name: $RESETS reboots by itself" upped "$n"
	check "$name: done so: $4" [ "$(value .reset.way)" = "$4" ]
	check "$name: the same digest" [ "$(value .csv.digest)" = "$digest" ]
	check "$name: it is encrypted" [ "$(value .csv.launch)" = finished ]
	"$CSVVMM" pause g
	n=$(grep -ac 'csvvmm-guest: up' "$TMP/g.out")
	check "$name: a reset by the host" "$CSVVMM" reset g
	"$CSVVMM" resume g
	check "$name: up again" upped $((n + 1))
	launches=$(($(python3 tests/e2e/sev.py counts | awk '$1 == "LAUNCH_START" { print $2 }') - launches))
	if [ "$4" = in-place ]; then
		check "$name: nothing was launched" [ "$launches" -eq 0 ]
	else
		check "$name: each was a launch ($launches)" [ "$launches" -gt "$RESETS" ]
	fi
	check "$name: no line that the host should have flushed" clean_caches
	grep -a 'csvvmm: .*reset' "$TMP/g.err" | tail -n 1 | sed 's/^/# /'
	"$CSVVMM" kill g
	check "$name: killed" ended 13
}

case_csv2() {
	if [ "$maker" = hygon ]; then
		again csv2 2 auto in-place
		again csv2 2 relaunch relaunch
	else
		again csv2 2 auto relaunch
	fi
}
case_csv() {
	[ "$maker" = hygon ] || return 0
	again csv 1 auto in-place
}

# A host that can't, and a guest.toml that wants nothing else.
case_only() {
	[ "$maker" = amd ] || return 0
	guest csv2 1 in-place "csvvmm.test=none csvvmm.end=reboot"
	start g </dev/null
	check "in place only: the guest ends" ended 14
	check "in place only: and says why" has "$TMP/g.err" "not in place, as guest.toml wants it: this host can't reset CSV2 guests"
}

# A guest that damages its shim: what the host does to it from outside looks the same.
case_shim() {
	[ "$maker" = hygon ] || return 0
	guest csv2 1 auto "csvvmm.test=idle"
	start g </dev/null
	upped 1
	python3 tests/e2e/sev.py flip "$(value .pid)" $((0x70010))
	check "a damaged shim: reset" "$CSVVMM" reset g
	check "a damaged shim: is told" has "$TMP/g.err" "the guest has damaged its first code (shim)"
	check "a damaged shim: relaunched" [ "$(value .reset.way)" = relaunch ]
	check "a damaged shim: up again" upped 2
	"$CSVVMM" reset g
	check "after a relaunch in place again" [ "$(value .reset.way)" = in-place ]
	check "and up" upped 3
	"$CSVVMM" kill g
	ended 13
}

for c in ${CASES:-csv2 csv only shim}; do "case_$c"; done
exit $((tap_bad > 0)) # the plan is the caller's
