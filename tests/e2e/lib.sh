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
trap 'rm -rf "$TMP"' EXIT

ok() { tap_n=$((tap_n + 1)); echo "ok $tap_n - $*"; }
not_ok() { tap_n=$((tap_n + 1)); tap_bad=$((tap_bad + 1)); echo "not ok $tap_n - $*"; }
skip() { tap_n=$((tap_n + 1)); echo "ok $tap_n - $1 # SKIP $2"; }

# check "name" COMMAND...: passes when the command does
check() {
	local name=$1
	shift
	if "$@"; then ok "$name"; else not_ok "$name: $*"; fi
}

# has FILE PATTERN: fixed string in a file; shows the file when it is not there
has() {
	grep -qF -- "$2" "$1" && return 0
	echo "# '$2' is not in $1:"
	tail -n 40 "$1" | sed 's/^/# /'
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
		tail -n 40 "$out" | sed 's/^/# /'
		not_ok "$name"
	fi
}

finish() { echo "1..$tap_n"; exit $((tap_bad > 0)); }
