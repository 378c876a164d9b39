# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Completion for csvvmm(1).

# Names of the running guests of the calling user.
_csvvmm_names()
{
	csvvmm list 2>/dev/null | awk 'NR > 1 { print $1 }'
}

_csvvmm()
{
	local cur=${COMP_WORDS[COMP_CWORD]} words=
	local commands='run check doctor list status pause resume stop kill measure attest
		launch-measure launch-secret launch-go'

	COMPREPLY=()
	if [ "$COMP_CWORD" -eq 1 ]; then
		words="$commands --help --version"
	else
		case ${COMP_WORDS[1]} in
		run | check | measure)
			compopt -o filenames 2>/dev/null
			mapfile -t COMPREPLY < <(compgen -d -- "$cur"; compgen -f -X '!*.toml' -- "$cur")
			[[ $cur == -* ]] && words='--help --no-files'
			[[ $cur == -* && ${COMP_WORDS[1]} == run ]] && words='--help --wait-for-owner'
			[[ $cur == -* && ${COMP_WORDS[1]} == measure ]] &&
				words='--profile --host --tik --nonce --firmware --explain --json --help'
			;;
		doctor) words='--json --syscalls --can-run-linux --help' ;;
		list) words='--json --help' ;;
		status) words="--json --help $(_csvvmm_names)" ;;
		stop) words="--wait --wait= --help $(_csvvmm_names)" ;;
		attest)
			compopt -o filenames 2>/dev/null
			mapfile -t COMPREPLY < <(compgen -f -- "$cur")
			[[ $cur == -* ]] && words='--digest --nonce --policy --root --cert --help'
			;;
		launch-measure) words="--json --help $(_csvvmm_names)" ;;
		pause | resume | kill | launch-go | launch-secret) words="--help $(_csvvmm_names)" ;;
		esac
	fi
	[ -n "$words" ] && mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -W "$words" -- "$cur")
	return 0
}

complete -F _csvvmm csvvmm
