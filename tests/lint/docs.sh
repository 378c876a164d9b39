#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Documents keep up: each subcommand stands in csvvmm.1 and in the completion,
# each relative link in a Markdown file leads somewhere.
set -u
cd "$(dirname "$0")/../.." || exit 1
bad=0
for c in $(sed -nE 's/^[[:space:]]*\.name = "([a-z-]+)".*/\1/p' vmm/cmd_*.c); do
	for f in docs/csvvmm.1 docs/csvvmm.bash; do
		grep -qw -- "$c" "$f" || { echo "$f: does not mention '$c'"; bad=1; }
	done
done
while IFS=: read -r file link; do
	target=${link#*](}
	target=${target%%[)#]*}
	case $target in '' | *://*) continue ;; esac
	[ -e "$(dirname "$file")/$target" ] || { echo "$file: broken link $target"; bad=1; }
done < <(git ls-files -co --exclude-standard '*.md' | xargs grep -oHE '\]\([^)]+\)' 2>/dev/null)
exit $bad
