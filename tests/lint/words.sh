#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What must not be in a file: absolute paths of a developer's machine, names
# of package hosts, work marks without a promise behind them.
set -u
cd "$(dirname "$0")/../.." || exit 1
bad=0
hosts='debian\.(org|net)/|registry\.npm|npmjs|(^|[[:space:]"'\''=:(])/(work|home|root)/[a-z]'
marks='\b(FIX''ME|XX''X|HACK)\b'
while IFS= read -r hit; do
	echo "$hit"
	bad=1
done < <(
	git grep -nIE "$hosts" -- . ':!LICENSE' ':!tests/lint/words.sh' 2>/dev/null
	git grep -nIE "$marks" -- . ':!LICENSE' ':!tests/lint/words.sh' ':!*.patch' 2>/dev/null
	# In a patch only what it adds is ours.
	git grep -nIE "^\+.*($marks)" -- '*.patch' 2>/dev/null
)
while IFS= read -r f; do
	head -n 3 "$f" | grep -q SPDX-License-Identifier && continue
	echo "$f: no SPDX-License-Identifier in the first lines"
	bad=1
done < <(git ls-files '*.c' '*.h' '*.cc' '*.S' '*.ld' '*.asl' '*.sh' 'tests/*/run' 'lab/*' |
	grep -vE '\.(md|config|toml|patch)$')
exit $bad
