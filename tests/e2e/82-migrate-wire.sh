#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Migration: what a bad peer says, to either side. The guest stays with the source,
# the target ends with a line that names what was wrong.
# shellcheck disable=SC2317 # functions are called by check
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/migrate.sh
. tests/e2e/migrate.sh
need_kvm

# said WORDS: one of the sides
said() {
	grep -qF -- "$1" "$TMP/2.log" "$TMP/1.log" && return 0
	echo "# nobody said: $1"
	tail -n 2 "$TMP/1.log" "$TMP/2.log" | sed 's/^/# /'
	return 1
}

# bad WORDS RECORD ACTION...: the attempt ends with them
bad() {
	local words=$1 ok=0
	shift
	target_up 2 --once --stall 20
	via "$@"
	move 1 --stall 20
	[[ $? =~ ^(1|17)$ ]] || { echo "# migrate: $(tail -n 1 "$TMP/move.log")"; ok=1; }
	printed "$TMP/proxy.log" "did " || { echo "# the proxy did nothing"; ok=1; }
	stayed 1 || ok=1
	off
	host_ended 2 16 || ok=1
	[ "$(lines 2)" -eq 0 ] || { echo "# it ran at the target"; ok=1; }
	said "$words" && return "$ok"
}

vcpus=2
host 1 && host 2
source_up 1
for n in 1 7 8 9 31; do
	check "row 16: $n bytes of the source's greeting" bad "receive: the peer hung up" S:greeting cut-at $n
done
for n in 1 8 31; do
	check "row 16: $n bytes of the target's greeting" bad "receive: the peer hung up" T:greeting cut-at $n
done
for at in S:offer T:answer S:start S:plain-pages S:vCPU S:end; do
	for n in 1 7 8 9 -1; do
		check "row 16: $at cut at $n" bad "the peer hung up" $at cut-at $n
	done
done
check "row 16: garbage after the offer" bad "record of unknown type" S:start insert 999 00
check "row 16: garbage after the answer" bad '"ready" was expected' T:answer dup
check "row 16: a record that is the other side's" bad "not for the peer to send" S:start insert 4

for len in 00000000 01000000 ffffffff ffffff7f 01000100; do
	check "row 17: offer of length $len" bad 'record "offer": length' S:offer head "01000000$len"
	check "row 17: pages of length $len" bad 'record "plain pages"' S:plain-pages set 4 $len
done
check "row 17: answer of length 0" bad 'record "answer": length' T:answer head 0200000000000000
check "row 17: headers of 51" bad "header length" S:start set 12 33000000
check "row 17: pages of 4095" bad "page length" S:start set 16 ff0f0000
check "row 17: the offer twice" bad 'record "offer"' S:offer dup
check "row 17: the machine twice" bad "twice" S:machine dup
check "row 17: devices before the machine" bad 'before "machine"' S:machine swap
check "row 17: pages that are missing" bad "pages were sent" S:plain-pages drop
check "row 17: pages that come twice" bad "pages were sent" S:plain-pages dup
check "row 17: an end of more vCPUs than there are" bad 'record "end": 77 vCPUs, not 2' S:end set 16 4d00000000000000
check "row 17: no machine" bad 'before "machine"' S:machine drop
check "row 17: an end before the stop" bad "not now" S:stopped drop
check "row 17: commit too early" bad 'record "commit"' S:vCPU insert 16
check "row 17: prepared too early" bad 'record "prepared"' T:ready insert 15

# Zero pages: bytes of the list, pages, gap, pages less one. 16 MiB have 4096 pages.
check "row 18: behind the memory" bad "no memory of the guest" S:plain-pages insert 7 03000000010000008020 00
check "row 18: one page too far" bad "no memory of the guest" S:plain-pages insert 7 0300000002000000ff1f01
check "row 18: in MMIO" bad "no memory of the guest" S:plain-pages insert 7 0500000001000000 80d0bb07 00
check "row 18: more pages than a record may have" bad "at most" S:plain-pages insert 7 0300000001100000008020
check "row 18: a page twice in one record" bad "malformed list" S:plain-pages insert 7 040000000200000000000000
check "row 18: fewer pages than it says" bad "malformed list" S:plain-pages insert 7 02000000020000000100
check "row 18: an endless number" bad "malformed list" S:plain-pages insert 7 0800000001000000ffffffffffffff00
check "row 18: shared pages of a guest that shares all" bad "this guest shares all" S:vCPU insert 9 02000000010000000100

check "row 19: vCPU 2 of 2" bad "which is not there" S:vCPU set 8 02000000
check "row 19: vCPU 2^31" bad "which is not there" S:vCPU set 8 00000080
check "row 19: a vCPU twice" bad "which came before" S:vCPU dup
check "row 19: a vCPU is missing" bad "missing" S:vCPU drop
check "row 19: a VMSA of a plain guest" bad "which has none here" S:vCPU insert 10 "$(printf '00%.0s' {1..4152})"

check "row 21: version 0" bad "protocol version" S:greeting set 8 00000000
check "row 21: a version whose oldest is newer" bad "malformed" S:greeting set 8 01000200
check "row 21: the next version alone" bad "protocol version" S:greeting set 8 02000200
check "row 21: the target's next version alone" bad "protocol version" T:greeting set 8 02000200
check "row 21: an unknown feature that must be known" bad "protocol features" S:greeting set 16 01
check "row 21: the target's" bad "protocol features" T:greeting set 23 80
check "row 21: not csvvmm" bad "not csvvmm" S:greeting set 0 5353482d
kill_host 1

host 1 && host 2
source_up 1
target_up 2
via S:greeting set 8 0200
check "row 21: the next version, which speaks this one: it moves" moves 0 1
check "row 21: and is there" went 2
off
kill_host 2
host 1 && host 2
source_up 1
target_up 2
via S:greeting set 24 ff
check "row 21: an unknown feature that need not be known: it moves" moves 0 1
check "row 21: and is there" went 2
off
kill_host 2

type=csv2
host 1 && host 2
source_up 1
check "row 19: vCPU without its VMSA" bad "before its VMSA" S:VMSA drop
check "row 19: a VMSA twice" bad "which came before" S:VMSA dup
check "row 19: VMSA of vCPU 2^31" bad "which has none here" S:VMSA set 8 00000080
check "row 19: a VMSA too short" bad 'record "VMSA": length' S:VMSA body 00
check "row 20: a VMSA's contents" bad "RECEIVE_UPDATE_VMSA" S:VMSA flip 200
check "row 20: a VMSA's header" bad "RECEIVE_UPDATE_VMSA" S:VMSA flip 20
check "row 20: a page's contents" bad "BAD_MEASUREMENT" S:sealed-pages flip -100
check "row 20: the session" bad "RECEIVE_START" S:start flip 60
check "row 20: pages twice in one session" bad "BAD_MEASUREMENT" S:sealed-pages dup
check "row 20: pages once more at the end" bad "BAD_MEASUREMENT" S:sealed-pages replay

# kept FILE RECORD: of an attempt that is cut then
kept() {
	target_up 2 --once --stall 20
	via "$2" keep "$TMP/$1"
	move 1 --stall 20
	stayed 1 && [ -s "$TMP/$1" ] || return 1
	off
	host_ended 2 16
}
check "row 20: an older session's start, pages and VMSA are at hand" \
	eval 'kept old.start S:start && kept old.pages S:sealed-pages && kept old.vmsa S:VMSA'
check "row 20: pages of an older session" bad "BAD_MEASUREMENT" S:sealed-pages from "$TMP/old.pages"
check "row 20: a VMSA of an older session" bad "RECEIVE_UPDATE_VMSA" S:VMSA from "$TMP/old.vmsa"
check "row 20: an older session, and the pages of this one" bad "BAD_MEASUREMENT" S:start from "$TMP/old.start"

# another FILE RECORD: of guest n, with a key of its own, from the same host to a place that is there for it
another() {
	target_up 3 --once
	via "$2" keep "$TMP/$1"
	at 4 migrate --insecure --root model n "127.0.0.1:$port" >"$TMP/n.log" 2>&1 </dev/null
	off
	host_ended 3 16 && [ -s "$TMP/$1" ]
}
host 3 && host 4
sed -i 's/^name = "m"/name = "n"/' "$TMP/3.toml" "$TMP/4.toml"
CSVVMM_STATE_DIR=$TMP/s4 "$CSVVMM" run "$TMP/4.toml" >"$TMP/4.log" 2>&1 </dev/null &
host_pid[4]=$!
wait_for counts 4 5
check "row 20: another guest's pages and VMSA are at hand" \
	eval 'another other.pages S:sealed-pages && another other.vmsa S:VMSA && goes_on 4'
check "row 20: pages of another guest" bad "BAD_MEASUREMENT" S:sealed-pages from "$TMP/other.pages"
check "row 20: a VMSA of another guest" bad "RECEIVE_UPDATE_VMSA" S:VMSA from "$TMP/other.vmsa"
at 4 kill n >/dev/null 2>&1
host_ended 4 13
check "row 20: it moves when nobody meddles" eval 'target_up 2; moves 0 1 && went 2'
kill_host 2
check "nothing is left behind" all_clean
finish
