#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Includes point one way (tests/lint/includes.allow), and only vmm/board.c
# names concrete devices.
set -u
cd "$(dirname "$0")/../.." || exit 1
bad=0
concrete='devices/(blk|net|console|rng|uart|disk|chardev|virtio_pci)\.h'

while IFS=: read -r folder allowed; do
	case $folder in '' | '#'*) continue ;; esac
	while IFS=: read -r file line text; do
		inc=$(sed -E 's/.*"([^"]+)".*/\1/' <<<"$text")
		dir=${inc%%/*}
		case $inc in */*) ;; *) dir=generated ;; esac
		case " $allowed " in
		*" $dir "*) ;;
		*)
			echo "$file:$line: $folder may not include $inc (allowed:$allowed)"
			bad=1
			;;
		esac
	done < <(grep -rnE '^#[[:space:]]*include "' --include='*.[ch]' --include='*.cc' "$folder" 2>/dev/null)
done <tests/lint/includes.allow

while IFS= read -r hit; do
	echo "$hit: only vmm/board.c names concrete devices"
	bad=1
done < <(grep -rnE "^#[[:space:]]*include \"$concrete\"" vmm | grep -v '^vmm/board\.c:')
exit $bad
