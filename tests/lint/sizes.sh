#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Budgets: a .c file has at most 500 lines, a header 200, a line 100 columns
# (a tab counts 8; string literals may run over: they are not broken up).
set -u
cd "$(dirname "$0")/../.." || exit 1
bad=0
for f in core/*.[ch] devices/*.[ch] migration/*.[ch] psp/*.[ch] shim/*.[ch] vmm/*.[ch] vmm/*.cc; do
	[ -e "$f" ] || continue
	n=$(wc -l <"$f")
	case $f in *.h) limit=200 ;; *) limit=500 ;; esac
	if [ "$n" -gt $limit ]; then
		echo "$f: $n lines, the limit is $limit"
		bad=1
	fi
	expand -t 8 "$f" | awk -v f="$f" \
		'length($0) > 100 && !/"/ { print f ":" NR ": " length($0) " columns"; e = 1 } END { exit e }' || bad=1
done
exit $bad
