# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# What the bench scripts share.

# private_kib PID: dirty memory of that process alone, in KiB, without guest
# RAM, which both VMMs map from a memfd.
private_kib() {
	awk '/^[0-9a-f]+-[0-9a-f]+ / { ram = /memfd:/ }
		/^Private_Dirty:/ && !ram { kib += $2 }
		END { print kib + 0 }' "/proc/$1/smaps"
}

# state NAME KEY: a number from `csvvmm status --json`; $csvvmm is the program
# shellcheck disable=SC2154 # set by who sources this
state() {
	"$csvvmm" status "$1" --json | sed -n "s/.*\"$2\": *\[\{0,1\} *\([0-9]*\).*/\1/p" | head -n 1
}
