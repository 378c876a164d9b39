#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Tier 3: encrypted guests that begin anew, in the lab, on Hygon in place and relaunched, on AMD relaunched. Unmodified Linux ends
# its lives by its own reboot (RESETS=N: so many of each kind); a tiny guest by itself and by its host (LIVES=N). What the host
# did not flush becomes noise, and counts: without the flush at the end of a reset, which this host's kernel can leave out, no
# guest begins anew.
# shellcheck disable=SC2317 # functions: called by name
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/lab.sh
. tests/e2e/lab.sh
# shellcheck source=tests/e2e/program.sh
. tests/e2e/program.sh

lab_skip "resets of encrypted guests"
if [ -z "${CSVVMM_IN_LAB:-}" ]; then
	program_lab "resets of encrypted guests"
	lab_ready
	small=${SMALL_KERNEL:-$(lab/build-kernel --guest)/vmlinuz} || exit 1
	vars=("SMALL_KERNEL=$small" "RESETS=${RESETS:-2}" "LIVES=${LIVES:-20}" "FULL=${FULL:-}" "CASES=${CASES:-}" "LIMIT=${LIMIT:-}")
	program_hosts "${CPUS:-hygon amd}" lab/run --coherency "${COHERENCY:-corrupt}" -m 4G -t "${SECONDS_MAX:-1400}"
fi
lab_here
LIMIT=${LIMIT:-300} wait_looks=$((LIMIT * 20))
flush_switch=/sys/module/kvm_amd/parameters/lab_reset_without_flush
# A cgroup of its own shows how many ASIDs are in use.
echo +misc >/sys/fs/cgroup/cgroup.subtree_control
mkdir -p /sys/fs/cgroup/guests
echo $$ >/sys/fs/cgroup/guests/cgroup.procs

# guest TYPE VCPUS WAY CMDLINE: $TMP/g.toml
guest() {
	cat >"$TMP/g.toml" <<-END
		vcpus = $2
		memory = "256M"
		kernel = "${kernel:-$SMALL_KERNEL}"
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

# Without the flush that is POST's: the switch is the lab's kernel's alone.
case_flush() {
	[ "$maker" = hygon ] || return 0
	local host_before own_before host own
	guest csv2 2 in-place "csvvmm.test=idle"
	start g </dev/null
	upped 1
	read -r host_before own_before < <(violations)
	check "with the flush: reset" "$CSVVMM" reset g
	check "with the flush: up again" upped 2
	check "with the flush: no line that the host should have flushed" clean_caches
	echo 1 >"$flush_switch"
	"$CSVVMM" reset g 2>"$TMP/why"
	check "without the flush: not up again" not_upped 3
	echo 0 >"$flush_switch"
	read -r host own < <(violations)
	echo "# host $((host - host_before)) lines"
	check "without the flush: lines that the host should have flushed" [ "$host" -gt "$host_before" ]
	[ ! -d "/proc/$vm" ] || "$CSVVMM" kill g
	wait "$vm"
}
# not_upped N: a minute for it, or it is gone
not_upped() { ! LIMIT=60 upped "$1" >"$TMP/not" || return 1; sed 's/^# #/#/' "$TMP/not"; }

# ended_by CMDLINE STATUS WHY: what it is told
ended_by() {
	guest csv2 2 auto "$1"
	sed -i '1i on_reboot = "exit"' "$TMP/g.toml"
	start g </dev/null
	ended "$2" && has "$TMP/g.err" "$3"
}
# A reboot, a panic that nobody tells of, which Linux follows by a reboot, one that is told, and a crash: told apart.
case_why() {
	check "why: a reboot" ended_by "csvvmm.test=none csvvmm.end=reboot" 12 "asked for a reboot"
	check "why: by its keyboard controller" ended_by "csvvmm.test=none csvvmm.end=reboot reboot=k" 12 "asked for a reboot"
	# Debian's kernel has the driver as a module.
	kernel=$KIT/vmlinuz check "why: a panic that pvpanic tells" ended_by "csvvmm.test=none csvvmm.end=panic panic=1" 10 "its kernel panicked"
	kernel=$KIT/vmlinuz check "why: one that nobody tells" ended_by "rdinit=/none panic=1" 12 "asked for a reboot"
	check "why: a crash" ended_by "csvvmm.test=none csvvmm.end=reboot reboot=t" 11 "triple fault"
}

# tiny WAY WORDS: $TMP/g.toml; its second vCPU waits for its start, parked, again and again
tiny() {
	cat >"$TMP/g.toml" <<-END
		vcpus = 2
		memory = "16M"
		kernel = "$PWD/$BUILD/guest/holds.elf"
		cmdline = "$2"
		reset = "$1"
		[csv]
		type = "csv2"
		policy = []
		profile = "$maker"
	END
}
lived() { [ "$(grep -ac '^3$' "$TMP/g.out")" -ge "$1" ]; }

# figures: descriptors, private KiB, vCPU threads, locked KiB of it; ASIDs, pinned pages of the host
# (Counters are kept by processor, and put together now and then, or when told to.)
figures() {
	echo 1 >/proc/sys/vm/stat_refresh
	echo "$(find "/proc/$vm/fd" | wc -l) $(awk '/^Private/ { s += $2 } END { print s }' "/proc/$vm/smaps_rollup")" \
		"$(grep -l '^vcpu' /proc/"$vm"/task/*/comm 2>/dev/null | wc -l) $(awk '/^VmLck/ { print $2 }' "/proc/$vm/status")" \
		"$(awk '{ n += $2 } END { print n + 0 }' /sys/fs/cgroup/guests/misc.current)" \
		"$(awk '$1 == "nr_foll_pin_acquired" { n += $2 } $1 == "nr_foll_pin_released" { n -= $2 } END { print n }' /proc/vmstat)"
}
pausing() { "$CSVVMM" pause g && wait_for no_reset && figures && "$CSVVMM" resume g; }
no_reset() { [ "$(value .reset.pending)" = false ]; }

# many WAY SEEN: $LIVES resets by guest and host at once; nothing may grow
many() {
	local name="tiny, reset = \"$1\"" host_before own_before before after
	read -r host_before own_before < <(violations)
	tiny "$1" reborn
	start g </dev/null
	check "$name: ten lives" wait_for lived 10
	before=$(pausing)
	check "$name: $LIVES resets, also by its host: each a life" by_both "$LIVES"
	after=$(pausing)
	check "$name: done so: $2" [ "$(value .reset.way)" = "$2" ]
	echo "# $(value .reset.count) resets; descriptors, private KiB, vCPU threads, locked KiB, ASIDs, pinned pages: $before, then $after"
	# shellcheck disable=SC2086 # words
	check "$name: nothing has grown" no_more $before $after
	check "$name: no line that the host should have flushed" clean_caches
	check "$name: no count that is wrong" [ "$(grep -ac FAIL "$TMP/g.out")" -eq 0 ]
	"$CSVVMM" kill g
	check "$name: killed" ended 13
	check "$name: no ASID is left" [ "$(awk '{ n += $2 } END { print n + 0 }' /sys/fs/cgroup/guests/misc.current)" = 0 ]
}
# by_both N: one of a few by the host, which may cut a life short
by_both() {
	local want=$(($(value .reset.count) + $1)) lives
	lives=$(grep -ac '^3$' "$TMP/g.out")
	until [ "$(value .reset.count)" -ge "$want" ]; do
		"$CSVVMM" reset g || return 1
		sleep 2
	done
	wait_for lived $((lives + $1 / 2))
}
# A client that has just left may still have its descriptor.
no_more() { [ "$7" -le $(($1 + 3)) ] && [ "$8" -le $(($2 + 2048)) ] && [ "$9 ${10} ${11} ${12}" = "$3 $4 $5 $6" ]; }
case_tiny() {
	if [ "$maker" = hygon ]; then
		many auto in-place
		many relaunch relaunch
	else
		many auto relaunch
	fi
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

cases='csv2 csv flush why tiny only shim'
# The other maker's, which has no reset in place, with FULL=1 (make soak).
[ "$maker" = hygon ] || [ -n "${FULL:-}" ] || cases='csv2 only'
for c in ${CASES:-$cases}; do "case_$c"; done
exit $((tap_bad > 0)) # the plan is the caller's
