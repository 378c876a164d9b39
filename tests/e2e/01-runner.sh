#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# tests/run believes no test program that stops half-way.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

mkdir -p "$TMP/tree/tests/unit" "$TMP/tree/tests/e2e"
cp tests/run "$TMP/tree/tests/run"

# run "name" STATUS TOTAL <SCRIPT: what tests/run makes of a test's output
run() {
	cat >"$TMP/tree/tests/e2e/10-x.sh"
	expect "$1: exit status" "$2" "$TMP/out" "$TMP/tree/tests/run" 10-x
	check "$1: total" has "$TMP/out" "$3"
}

run "a good test" 0 "2 passed, 0 failed, 1 skipped" <<'END'
echo "ok 1 - a"; echo "ok 2 - b # SKIP no reason"; echo "ok 3 - c"; echo 1..3
END
run "several plans" 0 "3 passed, 0 failed, 0 skipped" <<'END'
echo 1..1; echo "ok 1 - a"; echo 1..2; echo "ok 1 - b"; echo "ok 2 - c"
END
run "a failure" 1 "1 passed, 1 failed, 0 skipped" <<'END'
echo "ok 1 - a"; echo "not ok 2 - b"; echo 1..2; exit 1
END
run "fewer results than planned" 1 "1 passed, 1 failed, 0 skipped" <<'END'
echo 1..2; echo "ok 1 - a"; exit 0
END
run "an end before the plan" 1 "1 passed, 1 failed, 0 skipped" <<'END'
echo "ok 1 - a"; exit 0
END
run "more results than planned" 1 "2 passed, 1 failed, 0 skipped" <<'END'
echo 1..1; echo "ok 1 - a"; echo "ok 2 - b"
END
run "silence" 1 "0 passed, 1 failed, 0 skipped" </dev/null
run "an end with a status only" 1 "1 passed, 1 failed, 0 skipped" <<'END'
echo 1..1; echo "ok 1 - a"; exit 3
END
finish
