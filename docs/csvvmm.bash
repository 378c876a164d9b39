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
	local commands='run check doctor list status pause resume stop reset kill measure attest
		launch-measure launch-secret launch-go owner-session owner-secret migrate receive'

	COMPREPLY=()
	if [ "$COMP_CWORD" -eq 1 ]; then
		words="$commands --help --version"
	else
		case ${COMP_WORDS[1]} in
		run | check | measure | receive)
			compopt -o filenames 2>/dev/null
			mapfile -t COMPREPLY < <(compgen -d -- "$cur"; compgen -f -X '!*.toml' -- "$cur")
			[[ $cur == -* ]] && words='--help --no-files'
			[[ $cur == -* && ${COMP_WORDS[1]} == run ]] && words='--help --wait-for-owner'
			[[ $cur == -* && ${COMP_WORDS[1]} == receive ]] && words='--help --listen --psk --tls --peer --insecure --once --stall'
			[[ $cur == -* && ${COMP_WORDS[1]} == measure ]] &&
				words='--profile --host --c-bit --tik --nonce --firmware --explain --json --help'
			;;
		migrate)
			words="--check --json --root --cert --downtime --timeout --stall --bandwidth --drop-connections
				--psk --tls --peer --insecure --cancel --decide --help $(_csvvmm_names)"
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
		launch-measure) words="--json --nonce --wait --wait= --help $(_csvvmm_names)" ;;
		launch-secret)
			compopt -o filenames 2>/dev/null
			mapfile -t COMPREPLY < <(compgen -f -- "$cur")
			words="--force --help $(_csvvmm_names)"
			;;
		owner-session | owner-secret)
			compopt -o filenames 2>/dev/null
			mapfile -t COMPREPLY < <(compgen -f -- "$cur")
			[[ $cur == -* ]] && words='--policy --dir --help --digest'
			[[ $cur == -* && ${COMP_WORDS[1]} == owner-session ]] && words='--policy --root --cert --dir --help'
			;;
		pause | resume | reset | kill | launch-go) words="--help $(_csvvmm_names)" ;;
		esac
	fi
	[ -n "$words" ] && mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -W "$words" -- "$cur")
	return 0
}

complete -F _csvvmm csvvmm
