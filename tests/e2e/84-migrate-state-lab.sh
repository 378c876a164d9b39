#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What a plain guest's vCPUs have for themselves, on the KVM of a host of the lab: it sets each vCPU's TSC, which not every
# KVM does that tests/e2e/80-migrate.sh may run on, and has all of a processor's registers.
# shellcheck disable=SC2317 # functions are called by check
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/lab.sh
. tests/e2e/lab.sh
# shellcheck source=tests/e2e/program.sh
. tests/e2e/program.sh

lab_skip "migration of a vCPU's state on a real KVM"
if [ -z "${CSVVMM_IN_LAB:-}" ]; then
	program_lab "migration of a vCPU's state on a real KVM"
	lab_ready
	vars=()
	program_hosts "${CPUS:-hygon}" lab/run -m 2G -t 1200
fi
# shellcheck source=tests/e2e/migrate.sh
. tests/e2e/migrate.sh
lab_here
wait_looks=6000

# settled: the kernel knows how fast its TSC is; until then kvm-clock may go back
settled() { wait_for grep -qx tsc /sys/devices/system/clocksource/clocksource0/current_clocksource; }
check "the clock has settled" settled
check "a vCPU's state from one VM is in another" eval "$BUILD/unit/vcpu_state_test >$TMP/unit 2>&1 || { show $TMP/unit; false; }"

# there: it moves to another VMM, in half a second, and finds all it had
there() {
	host 1 && host 2
	source_up 1
	target_up 2
	via S:machine run "sleep 0.5"
	moves 0 1 && went 2 && host_ended 1 15 && ! printed "$TMP/2.log" TSC
	local r=$?
	off
	kill_host 2
	return $r
}
vcpus=2
check "each vCPU has its registers, and its TSC goes on with kvm-clock" there

# tsc_wrong WHERE: one vCPU's TSC is another one (the machine's last bytes, docs/WIRE.md), and the guest notices
tsc_wrong() {
	host 1 && host 2
	source_up 1
	target_up 2
	via S:machine set "$1" "$2"
	moves 0 1
	wait_for complains 2 >/dev/null
	local r=$?
	off
	kill_host 2 >/dev/null || host_ended 2 0 >/dev/null
	return $r
}
check "the first one's TSC, near its start" tsc_wrong -16 0500000000000000
check "the second one's TSC, far ahead" tsc_wrong -8 0000000000010000
exit $((tap_bad > 0)) # the plan is the caller's
