#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The known answers of psp/'s tests are what the independent implementation
# says today.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

# Debian's, also where another python3 comes first.
PY=/usr/bin/python3
[ -x "$PY" ] || PY=python3
if "$PY" -c 'import cryptography, hashlib; hashlib.new("sm3")' 2>/dev/null; then
	"$PY" tests/psp/vectors.py >"$TMP/vectors.h"
	check "tests/psp/vectors.h is up to date" cmp "$TMP/vectors.h" tests/psp/vectors.h
else
	skip "tests/psp/vectors.h is up to date" "needs python3-cryptography"
fi
finish
