# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Helpers sourced by the programs in lab/: messages, the cache of built things, locking, progress, packages.
# The caller has `set -euo pipefail` on and has set `prog`, the name put before each message.

lab_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
lab_cache=${CSVVMM_CACHE:-${XDG_CACHE_HOME:-${HOME:?}/.cache}/csvvmm}

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

# lock NAME: held until this process ends; a second builder waits here and then finds the work done.
lock()
{
	mkdir -p "$lab_cache"
	exec {lab_lock_fd}>"$lab_cache/$1.lock"
	if ! flock -n "$lab_lock_fd"; then
		note "waiting for another build of $1"
		flock "$lab_lock_fd"
	fi
}

# step TEXT LOG COMMAND... : runs COMMAND with its output in LOG, a line of progress every 5 s; on failure the
# end of LOG and status 125. The lock is not passed on: a child left behind must not hold it.
step()
{
	local text=$1 log=$2 start=$SECONDS pid n=0 last
	shift 2

	note "$text"
	set -m						# a process group of its own, for end_step
	"$@" </dev/null >>"$log" 2>&1 {lab_lock_fd}>&- &
	set +m
	pid=$!
	lab_child=$pid
	while kill -0 "$pid" 2>/dev/null; do
		sleep 0.2
		n=$((n + 1))
		if ((n % 25 == 0)); then
			last=$(tail -n 1 "$log" | cut -c 1-60 | tr -s '\t ' ' ')
			note "$text: $((SECONDS - start)) s, $(wc -l <"$log") lines:${last:+ ${last# }}"
		fi
	done
	lab_child=
	if ! wait "$pid"; then
		note "$text: failed, log in $log, its end:"
		tail -n 20 "$log" >&2
		exit 125
	fi
}

# End the running step, if any, with all it started.
lab_child=
lab_lock_fd=
end_step() { [[ -z $lab_child ]] || kill -- "-$lab_child" 2>/dev/null || true; }

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
	dpkg-deb -x "$deb" "$2"
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
