# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# TAP helpers for the scripts here. Each script: cd to the root, source this,
# call ok/skip or check, end with `finish`.
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
BUILD=${BUILD:-build}
# shellcheck disable=SC2034 # for the scripts that source this
CSVVMM=$PWD/$BUILD/csvvmm
TMP=$(mktemp -d)
CSVVMM_STATE_DIR=$TMP/state
export CSVVMM_STATE_DIR
# In the sandbox's empty root the leak checker finds no /proc and exits with 1.
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0
tap_n=0
tap_bad=0
trap cleanup EXIT

# What a failed test may have left running must not outlive the script. Only jobs of its own that still run: the number of
# one that has ended may be another process's by now.
# shellcheck disable=SC2317 # called by the trap
cleanup() {
	local pid
	for pid in $(jobs -pr); do kill -9 "$pid"; done 2>/dev/null
	wait 2>/dev/null
	rm -rf "$TMP"
}

ok() { tap_n=$((tap_n + 1)); echo "ok $tap_n - $*"; }
not_ok() { tap_n=$((tap_n + 1)); tap_bad=$((tap_bad + 1)); echo "not ok $tap_n - $*"; }
skip() { tap_n=$((tap_n + 1)); echo "ok $tap_n - $1 # SKIP $2"; }

# check "name" COMMAND...: passes when the command does
check() {
	local name=$1
	shift
	if "$@"; then ok "$name"; else not_ok "$name: $*"; fi
}

# show FILE: its end, as comments; the last line may lack its newline, the next result must not
show() {
	tail -n 40 "$1" | sed 's/^/# /; $a\'
}

# has FILE PATTERN: fixed string in a file; shows the file when it is not there
has() {
	grep -qF -- "$2" "$1" && return 0
	echo "# '$2' is not in $1:"
	show "$1"
	return 1
}

# expect "name" STATUS FILE COMMAND...: exit status, output kept in FILE
expect() {
	local name=$1 want=$2 out=$3 got
	shift 3
	"$@" >"$out" 2>&1 </dev/null
	got=$?
	if [ $got -eq "$want" ]; then
		ok "$name"
	else
		echo "# exit status $got, expected $want:"
		show "$out"
		not_ok "$name"
	fi
}

# --- guests ------------------------------------------------------------------

# The tiny guests of tests/guest run on any KVM, also one that only emulates.
need_kvm() {
	[ -r /dev/kvm ] && [ -w /dev/kvm ] && return
	skip "$(basename "$0" .sh)" "no /dev/kvm that this user may open"
	finish
}

# guest NAME [ELF] <<<'more lines': writes $TMP/NAME.toml
guest() {
	{
		printf 'name = "%s"\nkernel = "%s"\n' "$1" \
			"$PWD/$BUILD/guest/${2:-$1}.elf"
		cat
	} >"$TMP/$1.toml"
}

# start NAME: runs it in the background; output in $TMP/NAME.out, .err. $vm
# is its process. Standard input is that of the caller.
start() {
	"$CSVVMM" run "$TMP/$1.toml" >"$TMP/$1.out" 2>"$TMP/$1.err" <&0 &
	vm=$!
}

# ended STATUS: the VM that was started last ends with this exit status
ended() {
	local got
	wait_for gone "$vm" || return 1
	wait "$vm"
	got=$?
	[ "$got" -eq "$1" ] && return 0
	echo "# exit status $got, expected $1"
	return 1
}

gone() { ! kill -0 "$1" 2>/dev/null || grep -q '^State:.*Z' "/proc/$1/status" 2>/dev/null; }

# wait_for COMMAND...: until it succeeds; gives up after a minute or two, or as often as $wait_looks says
wait_looks=1200 wait_pause=0.05
wait_for() {
	local i
	for ((i = 0; i < wait_looks; i++)); do
		"$@" 2>/dev/null && return 0
		sleep "$wait_pause"
	done
	echo "# waited in vain: $*"
	return 1
}

printed() { grep -qF -- "$2" "$1"; }

# clean: no socket, lock or process of any guest here is left
clean() {
	local left
	left=$(ls -A "$CSVVMM_STATE_DIR" 2>/dev/null)
	left+=$(grep -lsz "^$TMP/.*toml" /proc/[0-9]*/cmdline)
	[ -z "$left" ] && return 0
	echo "# left behind: $left"
	return 1
}

# last_words FILE TEXT: the last line of csvvmm on standard error
last_words() {
	tail -n 1 "$1" | grep -qF -- "$2" && return 0
	echo "# last line: $(tail -n 1 "$1")"
	return 1
}

# status NAME KEY: a value of `csvvmm status --json`, numbers and lists too
status() {
	"$CSVVMM" status --json "$1" | tr -d ' \n' |
		sed -nE "s/.*\"$2\":(\[[^]]*\]|\"[^\"]*\"|[^,}]*).*/\1/p"
}

# --- the lab ------------------------------------------------------------------

# violations: cache lines that a flush missed, of the host, of guests with themselves, since the lab started
violations() { python3 tests/e2e/sev.py watch | sed 's/^.*host=\([0-9]*\) guests=\([0-9]*\)$/\1 \2/'; }

finish() { echo "1..$tap_n"; exit $((tap_bad > 0)); }
