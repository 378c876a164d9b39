# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# For lab scripts in which csvvmm's program has part, beside lab.sh, on its terms: not done again with the very same sources, as
# built as they are by the same packages, in the very same lab. Any line of any of them changed: it is done.

# program_sources: a line for each file that the program, its tiny guests, unit tests and these scripts come from
program_sources() {
	find Makefile configs core devices docs/OWNER.md migration psp shim tests/{guest,psp,unit} vmm -type f -print0 | sort -z | xargs -0 sha256sum
	find tests/e2e -type f ! -name '[0-9]*' -print0 | sort -z | xargs -0 sha256sum
	dpkg-query -W 2>/dev/null
}

# program_lab WHAT: before lab_ready(); ends the script if there is a stamp for all of that
program_lab() {
	lab_whole
	[ -z "${COHERENCY:-}${CPUS:-}${FULL:-}${HOLDS:-}${LIVES:-}${PSP:-}${RESETS:-}${SECONDS_MAX:-}${SMALL_KERNEL:-}" ] || stamp=
	[ -z "${CC:-}${CFLAGS:-}${LDFLAGS:-}" ] && MAKEFLAGS='' make -q "BUILD=$BUILD" tests-build >/dev/null 2>&1 || stamp= # of other sources
	[ -n "$stamp" ] || return 0
	stamp=$(stamp_file)-$(program_sources | sha256sum | cut -c 1-16) || exit 1
	[ -s "$stamp" ] && [ -z "${LAB_AGAIN:-}" ] || return 0
	skip "$1" "passed with this very program and lab on $(cat "$stamp"); LAB_AGAIN=1 does it again"
	finish
}

# program_hosts MAKERS COMMAND...: lab_hosts(), and a stamp if it passes
program_hosts() {
	local bad=0
	(lab_hosts "$@") || bad=$?
	[ "$bad" != 0 ] || lab_stamped
	exit "$bad"
}
