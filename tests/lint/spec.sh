#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Every promise in docs/SPEC.md ("- **N.M** ...") ends with "Test: NAME, ..."
# or "Pending: why". A test is FILE or FILE:word; the file must exist and hold
# the word. Numbers are unique.
set -u
cd "$(dirname "$0")/../.." || exit 1
bad=0
seen=' '

check_test() {
	local id=$1 file=${2%%:*} word=
	case $2 in *:*) word=${2#*:} ;; esac
	if [ ! -e "$file" ]; then
		echo "docs/SPEC.md: $id: no such test: $file"
		bad=1
	elif [ -n "$word" ] && ! grep -qF -- "$word" "$file"; then
		echo "docs/SPEC.md: $id: $file does not hold '$word'"
		bad=1
	fi
}

# A promise may span lines: join continuation lines first.
while IFS= read -r line; do
	id=$(sed -nE 's/^- \*\*([0-9]+\.[0-9]+)\*\*.*/\1/p' <<<"$line")
	[ -n "$id" ] || continue
	case $seen in *" $id "*) echo "docs/SPEC.md: $id twice"; bad=1 ;; esac
	seen="$seen$id "
	case $line in
	*Test:*)
		IFS=',' read -ra tests <<<"${line##*Test:}"
		for t in "${tests[@]}"; do
			t=$(tr -d ' `' <<<"$t")
			check_test "$id" "${t%.}"
		done
		;;
	*Pending:*) ;;
	*) echo "docs/SPEC.md: $id names no test and no 'Pending:'"; bad=1 ;;
	esac
done < <(awk '/^- \*\*/ { if (l) print l; l = $0; next } /^  / && l { sub(/^ +/, " "); l = l $0; next }
	{ if (l) print l; l = "" } END { if (l) print l }' docs/SPEC.md)
[ "$seen" != ' ' ] || { echo "docs/SPEC.md: no promises found"; bad=1; }
exit $bad
