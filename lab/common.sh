# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Helpers sourced by the programs in lab/: messages, the cache of built things, locking, progress, packages.
# The caller has `set -euo pipefail` on and has set `prog`, the name put before each message.

lab_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)

# shellcheck source=lab/versions
. "$lab_dir/versions"

: "${prog:?set by the caller}"

note() { printf '%s: %s\n' "$prog" "$*" >&2; }

# The lab failed, as opposed to what runs in it: always 125.
die()
{
	note "$*"
	exit 125
}

lab_cache=${CSVVMM_CACHE:-${XDG_CACHE_HOME:-${HOME:+$HOME/.cache}}}
[[ -n $lab_cache ]] || die "no folder for the cache: neither CSVVMM_CACHE, XDG_CACHE_HOME nor HOME is set"
[[ -n ${CSVVMM_CACHE:-} ]] || lab_cache+=/csvvmm
[[ $lab_cache == /* ]] || lab_cache=$PWD/$lab_cache
[[ $lab_cache != *$'\n'* ]] || die "the cache's folder has a line break in its name"

# no_arguments "$@": for the programs that take none.
no_arguments() { [[ $# == 0 ]] || die "$1: $prog takes no arguments"; }

# made PROGRAM [ARGUMENT]...: the folder that another program here prints. Called in $(...); ends with the caller, and
# so does the build.
made() { exec setpriv --pdeathsig TERM "$lab_dir/$1" "${@:2}"; }

# need PROGRAM PACKAGE: names the Debian package when a program is missing.
need()
{
	PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null ||
		die "$1 is not installed; Debian package: $2 ('make deps' installs all)"
}

# key WORD... : 16 hex digits for the words and standard input.
key()
{
	local sum

	sum=$({ printf '%s\0' "$@"; cat; } | sha256sum)
	printf '%.16s\n' "$sum"
}

# lock WHAT: held until this process ends; a second builder of it waits here and then finds the work done.
lock()
{
	{ mkdir -p "$lab_cache" && : >>"$lab_cache/$1-build.lock"; } 2>/dev/null || die "$lab_cache: the cache can't be written"
	exec {lab_lock_fd}>"$lab_cache/$1-build.lock"
	if ! flock -n "$lab_lock_fd"; then
		note "waiting for another build of $1"
		flock "$lab_lock_fd"
	fi
}

# guard FOLDER: it goes when this process ends, even by kill -9, and the running step before it. Until then a lock that
# this process had is still held.
guard()
{
	# shellcheck disable=SC2016 # expanded there
	setsid bash -c 'tail --pid="$1" -s 0.5 -f /dev/null
		! read -r step <"$2/step" || for _ in {1..50}; do kill -9 -- "-$step" || break; sleep 0.1; done
		rm -rf "$2"' guard "$$" "$1" </dev/null >/dev/null 2>&1 &
	lab_guard=$!
	lab_guarded=$1
}

# What the trap of EXIT does for it when there is time.
end_guard()
{
	end_step
	[[ -z $lab_guard ]] || { kill -- "-$lab_guard" && wait "$lab_guard"; } 2>/dev/null || true
	[[ -z $lab_guarded ]] || rm -rf "$lab_guarded"
}

# plain_cache: Kbuild and QEMU's configure can't do with spaces, colons and the like in a folder's name.
plain_cache()
{
	local LC_ALL=C odd=$'*[\x01-*,:-?[-^`{-\x7f]*'

	# shellcheck disable=SC2053 # a pattern
	[[ $lab_cache != $odd ]] ||
		die "$lab_cache: no build can be done in a folder with such a name, only letters, digits and /_.+@-"
}

# workshop WHAT DIR: for what becomes DIR, with the lock held: an empty $tmp, and $log, of which only a failed step
# leaves something. Always the same folder: its name is in what ccache looks at.
workshop()
{
	tmp=$lab_cache/$1-build log=$lab_cache/$1-build/build.log
	lab_failed_log=$2.log
	trap end_guard EXIT
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM
	{ rm -rf "$tmp" && mkdir "$tmp" && : >"$log"; } 2>/dev/null || die "$tmp: can't be made"
	guard "$tmp"
}

# step TEXT COMMAND... : runs COMMAND with its output in $log, a line of progress every 5 s; on failure the end of it
# and status 125. The lock is not passed on: a child left behind must not hold it.
step()
{
	local text=$1 start=$SECONDS pid n=0 last
	shift

	note "$text"
	set -m						# a process group of its own, for end_step
	TMPDIR=$tmp "$@" </dev/null >>"$log" 2>&1 {lab_lock_fd}>&- &
	set +m
	pid=$!
	lab_child=$pid
	echo "$pid" 2>/dev/null >"$tmp/step" || true
	while kill -0 "$pid" 2>/dev/null; do
		sleep 0.2
		n=$((n + 1))
		if ((n % 25 == 0)); then
			last=$(tail -n 1 "$log" | cut -c 1-60 | tr -s '\t ' ' ')
			note "$text: $((SECONDS - start)) s, $(wc -l <"$log") lines:${last:+ ${last# }}"
		fi
	done
	rm -f "$tmp/step"
	if ! wait "$pid"; then
		tail -n 20 "$log" >&2
		mv "$log" "$lab_failed_log" 2>/dev/null || lab_failed_log='lost'
		die "$text: failed$(room); the log, whose end this is: $lab_failed_log"
	fi
	lab_child=
}

# End the running step, if any, with all it started.
lab_child='' lab_lock_fd='' lab_guard='' lab_guarded=''
end_step()
{
	local n

	[[ -n $lab_child ]] || return 0
	for ((n = 0; n < 100; n++)); do
		kill -s $((n < 40 ? 15 : 9)) -- "-$lab_child" 2>/dev/null || break
		sleep 0.05
	done
}

# Is that why?
room() { (($(df -k --output=avail "$lab_cache" | tail -n 1) > 8192)) || printf ', no space left'; }

# finish DIR PACKAGE: what the steps made in $tmp/out, with its log and the package's name, becomes DIR, whole or not
# at all.
finish()
{
	# Synced, or a power cut might leave a whole folder of empty files.
	{ printf '%s\n' "$2" >"$tmp/out/package" && mv "$log" "$tmp/out/build.log" && sync "$tmp"/out/* && rm -rf "$1" &&
		mv "$tmp/out" "$1"; } 2>/dev/null || die "$1: can't be written$(room)"
	rm -f "$1.log"
}

# pin NAME=VERSION [META]: the same, or else NAME, or what META depends on, in the newest version to be had here.
pin()
{
	local name=${1%%=*} have release

	if apt-cache show "$1" >/dev/null 2>&1; then
		printf '%s\n' "$1"
		return
	fi
	[[ $# == 1 ]] || name=$(depends "$2")
	have=$(newest "$name")
	[[ -n $have ]] || die "package ${1%%=*} is not to be had here ('apt-get update'?)"
	# shellcheck source=/dev/null
	release=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
	[[ $release != "$LAB_PIN_RELEASE" ]] || note "warning: $1 is gone, using $name=$have ('make bump' pins it)"
	printf '%s=%s\n' "$name" "$have"
}

# depends META: the package a meta package stands for.
depends() { apt-cache depends "$1" 2>/dev/null | sed -n 's/^  Depends: //p' | head -n 1; }

newest() { apt-cache policy "$1" 2>/dev/null | sed -n 's/^  Candidate: //p' | grep -vx '(none)' || true; }

# unpack NAME=VERSION DIR: fetches a binary package, once, and unpacks it under DIR; nothing gets installed.
# shellcheck disable=SC2317 # called through step
unpack()
{
	local deb=$lab_cache/debs/$1.deb

	if [[ ! -f $deb ]]; then
		mkdir -p "$2/fetch" "$lab_cache/debs"
		(cd "$2/fetch" && apt-get -q download "$1") || return
		mv "$2"/fetch/*.deb "$deb"
	fi
	dpkg-deb -x "$deb" "$2" || {
		rm -f "$deb"				# the next time it is fetched again
		return 1
	}
}

# linux_source NAME=VERSION DIR TMP [PATH...]: the tree of a linux-source package as DIR, or only these parts of it.
# shellcheck disable=SC2317 # called through step
linux_source()
{
	local name=${1%%=*} version=${1#*=} dir=$2 tmp=$3 tar
	shift 3

	tar=/usr/src/$name.tar.xz
	if [[ $(dpkg-query -W -f '${Version}' "$name" 2>/dev/null) != "$version" || ! -f $tar ]]; then
		unpack "$name=$version" "$tmp"
		tar=$tmp$tar
	fi
	mkdir "$dir"
	tar -C "$dir" --strip-components=1 -xf "$tar" "${@/#/$name/}"
}

# apply_patches DIR PATCH...: no fuzz, or it fails.
# shellcheck disable=SC2317 # called through step
apply_patches()
{
	local dir=$1 p
	shift

	for p; do
		echo "patch ${p##*/}"
		patch -d "$dir" -p1 --forward --fuzz=0 <"$p" || return
	done
}
