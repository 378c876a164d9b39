#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The programs in lab/, used wrongly, with tools that are missing or fail, and
# killed: one line that says why, status 125, and nothing is left. What they
# call is replaced by stand-ins, except for the last three boots.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

if [ -n "${CSVVMM_IN_LAB:-}${SAN:-}" ]; then
	skip "lab/" "nothing here depends on a sanitizer, or is for inside"
	finish
fi
unset LAB_OUT LAB_TIMEOUT LAB_CPU LAB_GEN LAB_PSP LAB_COHERENCY LAB_KERNEL LAB_QEMU KIT
mkdir "$TMP/bin" "$TMP/tmp"
: >"$TMP/file"
printf '# costs\n\nmailbox-ns 5\n' >"$TMP/costs"

# stand_in NAME <SCRIPT: a program in $TMP/bin
stand_in() {
	{ echo '#!/bin/sh'; cat; } >"$TMP/bin/$1"
	chmod +x "$TMP/bin/$1"
}

# in_lab COMMAND...: a program of lab/, the machine replaced by one that waits, with a cache of its own
in_lab() {
	local -x TMPDIR=$TMP/tmp CSVVMM_CACHE=$TMP/cache LAB_QEMU=$TMP/bin/qemu LAB_KERNEL=$TMP/file PATH=$TMP/bin:$PATH
	"$@"
}
stand_in qemu <<'END_OF'
exec sleep 98765
END_OF

# refused "text" COMMAND...: status 125, one line, with that text in it
refused() {
	local text=$1 status
	shift
	in_lab "$@" </dev/null >"$TMP/out" 2>&1
	status=$?
	check "lab/${*#*lab/}: 125, a line with '$text'" \
		[ "$status $(wc -l <"$TMP/out") $(grep -cF -- "$text" "$TMP/out")" = '125 1 1' ]
	[ "$status" = 125 ] && grep -qF -- "$text" "$TMP/out" || sed 's/^/# /' "$TMP/out"
}

# --- wrong arguments ----------------------------------------------------------

case_arguments() {
	refused 'no such option' lab/run -x true
	refused 'no such option' lab/run --frob=1 true
	refused 'no value' lab/run -m
	refused 'no value' lab/run --cpu
	refused '-m 0' lab/run -m 0 true
	refused '-m 4X' lab/run -m 4X true
	refused '-m 1G,readonly=on' lab/run -m 1G,readonly=on true
	refused '-c 0' lab/run -c 0 true
	refused '-c 100' lab/run -c 100 true
	refused '-t soon' lab/run -t soon true
	refused 'not a writable folder' lab/run -o /nowhere true
	refused 'amd, hygon or plain' lab/run --cpu intel true
	refused '1 or 2' lab/run --gen 3 true
	refused 'free, cheap, dear' lab/run --psp cheapest true
	refused "'mailbox-ns 5' is not" lab/run --psp "$TMP/costs" true
	refused 'plain or debug' lab/run --kernel huge true
	refused 'off, count or corrupt' lab/run --coherency on true
	refused 'not a writable file' lab/run --disk /nowhere true
	refused 'not a writable file' lab/run --disk /etc true
	refused 'A or B' lab/run --role C true
	refused 'together with --role' lab/run --net "$TMP" true
	refused 'needs a terminal' lab/run -i true
	refused 'needs a terminal' lab/shell
	refused 'no such program' env LAB_QEMU=/nowhere lab/run true
	refused 'no such kernel' env LAB_KERNEL=/nowhere lab/run true
	refused 'TMPDIR' env TMPDIR=/nowhere lab/run true
	refused 'no such option' lab/two -x
	refused 'no value' lab/two --cpu
	refused 'not a number of MiB' lab/two -s 0 true
	refused 'not a number of seconds' lab/two -g soon true
	refused 'not a writable file' lab/two -d /nowhere true
	refused 'either a command' lab/two -a true -b true true
	refused 'amd, hygon or plain' lab/two --cpu intel true
	refused 'not a writable folder' lab/two -o /proc/nowhere true
	refused 'takes no arguments' lab/build all
	refused 'takes no arguments' lab/guest -x
	expect 'lab/guest --help: 0' 0 "$TMP/out" lab/guest --help
	check 'lab/guest --help: the words it obeys' has "$TMP/out" 'csvvmm.test=NAME'
	refused 'takes no arguments' lab/selftests -h
	refused 'takes no arguments' lab/build-qemu -h
	refused 'usage:' lab/build-kernel --fast
	refused 'usage:' lab/bump -x
	expect "lab/run alone: usage" 125 "$TMP/out" in_lab lab/run
	expect "lab/two alone: usage" 125 "$TMP/out" in_lab lab/two
	expect "lab/ovmf alone: usage" 125 "$TMP/out" in_lab lab/ovmf
	expect "lab/run --help" 0 "$TMP/out" in_lab lab/run --help
	expect "lab/two --help" 0 "$TMP/out" in_lab lab/two --help
	check "nothing is left" [ -z "$(ls -A "$TMP/tmp")$(ls -A "$TMP/cache" 2>/dev/null)" ]
}

# --- the cache ------------------------------------------------------------------

case_cache() {
	local name t
	refused "can't be written" env CSVVMM_CACHE=/proc/nowhere lab/guest
	refused "can't be written" env CSVVMM_CACHE=/dev/null lab/build-kernel
	refused 'no folder for the cache' env HOME= XDG_CACHE_HOME= CSVVMM_CACHE= lab/guest
	refused 'line break' env "CSVVMM_CACHE=$TMP/a"$'\n'"b" lab/guest
	for name in 'a b' a:b "a'b" 'a$b' 'a#b' 'a%b'; do
		refused 'such a name' env "CSVVMM_CACHE=$TMP/$name" lab/build-qemu
	done
	# All but one tool.
	mkdir "$TMP/some"
	ln -s /usr/bin/* /usr/sbin/* "$TMP/some/" 2>/dev/null
	for t in gcc meson busybox cpio bison depmod; do
		rm "$TMP/some/$t"
		case $t in
		gcc | bison) set -- lab/build-kernel ;;
		meson) set -- lab/build-qemu ;;
		cpio) set -- lab/run true ;;
		*) set -- lab/guest ;;
		esac
		# The folder of administrators' programs is looked into as well.
		[ -z "$(PATH=/usr/sbin:/sbin command -v "$t")" ] || [ "$t" != depmod ] || continue
		refused "$t is not installed; Debian package: " env "PATH=$TMP/some" "$@"
		ln -s "/usr/bin/$t" "$TMP/some/$t"
	done
	# A damaged package is fetched again.
	stand_in apt-get <<-'END_OF'
	echo damaged >damaged.deb
	END_OF
	expect "a damaged package: 125" 125 "$TMP/out" in_lab lab/guest
	check "a damaged package: the log is named" grep -q "^lab/guest: fetch .*: failed; .*: $TMP/cache/guest-.*\.log" "$TMP/out"
	check "a damaged package: and is there" [ -s "$TMP"/cache/guest-*.log ]
	check "a damaged package: and nothing else" [ "$(find "$TMP/cache" -type f | grep -cv '\.lo[gc]k*$')" = 0 ]
	rm -rf "$TMP/cache"
}

# --- the end, by force -----------------------------------------------------------

# Nothing: processes of the stand-ins, folders, locks that are held
nothing() {
	! pgrep -f "^sleep 98765|$TMP/(tmp|cache)/" >"$TMP/pids" || return 1
	[ -z "$(ls -A "$TMP/tmp")" ] || return 1
	[ -z "$(find "$TMP/cache" -mindepth 1 -not -name '*.lock' -not -name debs 2>/dev/null | head -n 1)" ] || return 1
	for l in "$TMP"/cache/*.lock; do
		[ ! -e "$l" ] || flock -n "$l" true || return 1
	done
}

waits() { pgrep -f '^sleep 98765' >"$TMP/pids" && [ "$(wc -l <"$TMP/pids")" = "$1" ]; }

# killed SIGNAL STATUS N COMMAND...: it ends when N stand-ins wait
killed() {
	local signal=$1 want=$2 n=$3 p status
	shift 3
	(in_lab exec env --default-signal=INT "$@" </dev/null >"$TMP/out" 2>&1) &
	p=$!
	wait_for waits "$n"
	kill -s "$signal" "$p"
	wait "$p" 2>/dev/null
	status=$?
	check "$1 ended by $signal: status" [ "$status" = "$want" ]
	check "$1 ended by $signal: nothing is left" wait_for nothing
}

case_killed() {
	local s
	: >"$TMP/disk"
	# The step that waits has a child, too.
	stand_in apt-get <<-'END_OF'
	sleep 98765 &
	: >half.deb
	sleep 98765
	END_OF
	for s in 'KILL 137' 'TERM 143' 'INT 130' 'HUP 129'; do
		# shellcheck disable=SC2086 # two words
		{
			killed $s 1 lab/run true
			killed $s 2 lab/guest
		}
	done
	killed KILL 137 2 lab/two true
	killed TERM 143 2 lab/two true
	# Who waits for a build ends it.
	stand_in busybox <<<:
	killed KILL 137 2 lab/ovmf plain
	killed TERM 143 2 lab/ovmf plain
	rm "$TMP/bin/busybox"
}

# Two at once: the second waits, then finds the work done, or does it.
case_at_once() {
	local a b
	stand_in apt-get <<-END_OF
	: >x.deb
	until [ -e "$TMP/go" ]; do sleep 0.1; done
	END_OF
	# What this test needs of a package: no more than a kernel and no module.
	stand_in dpkg-deb <<-'END_OF'
	mkdir -p "$3/boot" "$3/lib/modules/9"
	echo kernel >"$3/boot/vmlinuz-9"
	END_OF
	stand_in depmod <<<:
	stand_in modprobe <<<'exit 1'
	in_lab lab/guest >"$TMP/a" 2>"$TMP/a.err" &
	a=$!
	wait_for printed "$TMP/a.err" 'fetch'
	in_lab lab/guest >"$TMP/b" 2>"$TMP/b.err" &
	b=$!
	wait_for printed "$TMP/b.err" 'waiting for another build'
	: >"$TMP/go"
	wait "$a"
	check "two builds at once: the first" [ $? = 0 ]
	wait "$b"
	check "two builds at once: the second" [ $? = 0 ]
	check "two builds at once: the same folder" cmp "$TMP/a" "$TMP/b"
	check "two builds at once: built once" [ "$(grep -c fetch "$TMP/a.err" "$TMP/b.err" | tr '\n' ' ')" = "$TMP/a.err:1 $TMP/b.err:0 " ]
	check "two builds at once: whole" [ -s "$(cat "$TMP/a")/initrd.img" ]
	: >"$(cat "$TMP/a")/initrd.img"
	check "an empty file is no built thing" [ "$(in_lab lab/guest 2>"$TMP/b.err")" = "$(cat "$TMP/a")" ]
	check "an empty file: built again" [ -s "$(cat "$TMP/a")/initrd.img" ]
	rm "$TMP"/bin/{apt-get,dpkg-deb,depmod,modprobe}
	rm -rf "$TMP/cache"
}

# --- a machine that fails ---------------------------------------------------------

case_failures() {
	stand_in qemu <<<'echo "qemu: no memory" >&2; exit 3'
	expect "QEMU fails: 125" 125 "$TMP/out" in_lab lab/run true
	check "QEMU fails: what it says" has "$TMP/out" 'qemu: no memory'
	check "QEMU fails: its status" last_words "$TMP/out" 'failed, status 3'
	stand_in qemu <<<:
	expect "QEMU ends: 125" 125 "$TMP/out" in_lab lab/run true
	check "QEMU ends: why" last_words "$TMP/out" 'stopped before the command ended'
	stand_in qemu <<<'exec sleep 98765'
	expect "no time: 125" 125 "$TMP/out" in_lab lab/run -t 1 true
	check "no time: why" last_words "$TMP/out" 'not done after 1 s'
	stand_in qemu <<<'trap "" TERM; exec sleep 98765'
	expect "a QEMU that does not want to end: 125" 125 "$TMP/out" in_lab lab/run -t 1 true
	check "nothing is left" wait_for nothing
}

# --- the real one -------------------------------------------------------------------

case_real() {
	local status odd="$TMP/o d,d'\"\$\\ü" sum
	mkdir "$odd"
	sum=$(yes 0123456789 | head -c 50000000 | sha256sum)
	# shellcheck disable=SC2016 # for the shell in the lab
	TMPDIR=$odd lab/run -o "$odd" sh -c 'yes 0123456789 | head -c 50000000; yes 0123456789 | head -c 50000000 >&2
		echo kept >"$1/file"; exit 255' sh "$odd" <&- >"$TMP/out" 2>"$TMP/err"
	status=$?
	check "much output, no input, odd names: status 255" [ "$status" = 255 ]
	check "much output: all of it" [ "$(sha256sum <"$TMP/out")" = "$sum" ]
	check "much output: errors as well" [ "$(sha256sum <"$TMP/err")" = "$sum" ]
	check "odd names: what is written to -o is kept" grep -qx kept "$odd/file"
	check "odd names: nothing else is" [ "$(ls -A "$odd")" = file ]
	# shellcheck disable=SC2016
	echo input | lab/run sh -c 'read -r x; echo "$x"; setsid sleep 1000 & kill -9 $$' >"$TMP/out" 2>&1
	status=$?
	check "ended by a signal: 128 + 9" [ "$status" = 137 ]
	check "input gets there" grep -qx input "$TMP/out"
	expect "the machine panics: 125" 125 "$TMP/out" lab/run sh -c 'echo c >/proc/sysrq-trigger'
	check "the machine panics: why" has "$TMP/out" 'Kernel panic'
	check "the machine panics: last words" last_words "$TMP/out" 'stopped before the command ended'
}

# What takes minutes is for FULL=1 (make soak T=lab).
for c in ${CASES:-arguments cache at_once failures real ${FULL:+killed}}; do "case_$c"; done
finish
