#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# An owner's way from the documents alone, and what goes wrong on it: session,
# measurement, report, secret; on the software model and tiny guests.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
need_kvm

owner() { python3 tests/e2e/owner.py "$@"; }
json() { jq -r ".$2" "$TMP/$1.json"; }

# guest NAME PROFILE [MORE]: MORE goes into [csv]
guest() {
	cat >"$TMP/$1.toml" <<-END
		kernel = "$PWD/$BUILD/guest/secret.elf"
		memory = "16M"
		[console]
		file = "$TMP/$1.out"
		[csv]
		type = "csv2"
		backend = "model"
		profile = "$2"
		policy = ["nodbg"]
		${3-}
	END
}

# start NAME: measured, waits for its owner; $vm
start() {
	"$CSVVMM" run --wait-for-owner "$TMP/$1.toml" </dev/null >"$TMP/$1.err" 2>&1 &
	vm=$!
	"$CSVVMM" launch-measure --wait=60 --json "$1" >"$TMP/$1.json"
}
end() { "$CSVVMM" kill "$1" && wait "$vm"; }
waits() { [ "$("$CSVVMM" status --json "$1" | jq -r .csv.launch)" = "waits for its owner" ]; }

# refused "name" STATUS WORDS COMMAND...: exit status, and one line with these words
refused() {
	local name=$1 status=$2 words=$3
	shift 3
	expect "$name" "$status" "$TMP/out" "$@"
	check "$name: says why" has "$TMP/out" "$words"
	check "$name: in one line" [ "$(wc -l <"$TMP/out")" -le 1 ]
}

# --- the documents' blocks, as they stand ---------------------------------------

mkdir -p "$TMP/paste/build"
cp -r configs "$TMP/paste"
cp -r "$BUILD/guest" "$TMP/paste/build"
# block FILE HEADING: the first block under it, with what it is pasted into
block() {
	printf 'make() { :; }\nPATH=%q:$PATH\n' "$(dirname "$CSVVMM")"
	awk -v h="$2" '$0 == h { on = 1 } on && /^```/ { if (n++) exit; next } on && n' "$1"
}
# pasted: a shell with a terminal and job control reads $TMP/block
pasted() { python3 tests/e2e/pty-shell.py "$TMP/paste" <"$TMP/block" >"$TMP/out" 2>&1; }

block README.md '## Encrypted guests, without the hardware' >"$TMP/block"
check "README: there is a block" has "$TMP/block" launch-go
check "README: it prepares what it needs" has "$TMP/block" "make tests-build"
pasted
check "README: the report is verified" has "$TMP/out" "ok (Hygon): digest as expected"
check "README: the guest runs" has "$TMP/out" SUCCESS
check "README: to its end" has "$TMP/out" "powered off (exit status 0)"
check "README: no error on the way" [ "$(grep -cE 'error|Stopped|usage' "$TMP/out")" -eq 0 ]

block docs/OWNER.md '## The whole way' >"$TMP/block"
pasted
check "OWNER: the platform is verified" has "$TMP/out" "platform verified (Hygon"
check "OWNER: the measurement is checked" has "$TMP/out" "measurement ok"
check "OWNER: the guest shows the secret" has "$TMP/out" "secret: open sesame"
check "OWNER: no error on the way" [ "$(grep -cE 'error|Stopped|usage' "$TMP/out")" -eq 0 ]
# The same in a script.
rm -r "$TMP/paste/build/owner"
(cd "$TMP/paste" && timeout 120 bash -eu "$TMP/block") >"$TMP/out" 2>&1 </dev/null
check "OWNER: as a script: exit status 0" [ $? -eq 0 ]
check "OWNER: as a script: the secret" has "$TMP/out" "secret: open sesame"

# --- waiting ----------------------------------------------------------------------

guest early hygon
"$CSVVMM" launch-measure --wait early >"$TMP/early" 2>&1 &
client=$!
sleep 0.3
check "--wait: it waits for a guest that is not there" kill -0 $client
start early
wait $client
check "--wait: and is answered" [ $? -eq 0 ]
check "--wait: with the measurement" has "$TMP/early" "$(json early measurement)"
end early
refused "--wait=0: no guest" 1 'no guest named "early"' "$CSVVMM" launch-measure --wait=0 early
refused "--wait=1: still no guest" 1 'no guest named "early"' "$CSVVMM" launch-measure --wait=1 early
expect "--wait=x" 2 "$TMP/out" "$CSVVMM" launch-measure --wait=x early
"$CSVVMM" launch-measure --wait early >/dev/null 2>&1 &
client=$!
sleep 0.2
kill -KILL $client
wait $client 2>/dev/null
start early
check "a client that died while it waited changes nothing" waits early
refused "stop: nobody would see the button" 1 "guest \"early\": waits for its owner, it does not run; 'csvvmm kill early' ends it" \
	"$CSVVMM" stop early

# --- the report's nonce ------------------------------------------------------------

nonce=000102030405060708090a0b0c0d0e0f
other=100102030405060708090a0b0c0d0e0f
"$CSVVMM" launch-measure early >"$TMP/out"
for key in measurement measurement_nonce report_nonce digest firmware; do
	check "launch-measure prints $key" grep -qE "^$key +[0-9a-f.]{8,}" "$TMP/out"
done
"$CSVVMM" launch-measure --nonce $nonce --json early >"$TMP/fresh.json"
check "a report with my nonce: it says so" [ "$(json fresh report_nonce)" = $nonce ]
check "the measurement stays" [ "$(json fresh measurement)" = "$(json early measurement)" ]
attest() { "$CSVVMM" attest --root model --digest "$(json early digest)" "$@"; }
expect "attest --nonce: mine" 0 "$TMP/out" attest --nonce $nonce "$TMP/fresh.json"
refused "attest --nonce: another" 1 "nonce" attest --nonce $other "$TMP/fresh.json"
refused "attest --nonce: not the measurement's" 1 "nonce" \
	attest --nonce "$(json fresh measurement_nonce)" "$TMP/fresh.json"
expect "attest --nonce: what launch-measure printed as report_nonce" 0 "$TMP/out" \
	attest --nonce "$(json early report_nonce)" "$TMP/early.json"
check "the VMM's own nonce is random" [ "$(json early report_nonce)" != "$(json fresh report_nonce)" ]
"$CSVVMM" launch-measure --json early >"$TMP/again.json"
check "and its report is not replaced by mine" [ "$(json again report)" = "$(json early report)" ]
for n in 00 '' "${nonce}00" "${nonce%f}g"; do
	refused "launch-measure --nonce '$n'" 2 "32 hexadecimal digits" "$CSVVMM" launch-measure --nonce "$n" early
done
refused "the nonce that means the guest" 1 "32 hexadecimal digits" \
	"$CSVVMM" launch-measure --nonce "$(printf 'VM_ATTESTATION\0\0' | od -An -tx1 | tr -d ' \n')" early

# --- where a secret may go, and what a packet must be --------------------------------

head -c 52 /dev/urandom >"$TMP/hdr"
head -c 64 /dev/urandom >"$TMP/bin"
head -c 20 /dev/urandom >"$TMP/bin20"
secret() { "$CSVVMM" launch-secret "$@"; }
while read -r what at size; do
	refused "over the first bytes of $what" 1 "$what" secret early "$TMP/hdr" "$TMP/bin" "$at"
	refused "over its last ones" 1 "$what" secret early "$TMP/hdr" "$TMP/bin" $((at + size - 16))
	[ "$at" -lt 48 ] ||
		refused "with one block on it" 1 "overwrite" secret early "$TMP/hdr" "$TMP/bin" $((at - 48))
done < <("$CSVVMM" measure --explain --json "$TMP/early.toml" |
	jq -r '.regions[] | "\(.what | gsub(" "; "_")) \(.addr) \(.size)"' | grep -v _)
refused "no session: no packet helps" 1 "without a session" secret early "$TMP/hdr" "$TMP/bin" 0x80000
check "and no advice to make it anew" [ "$(grep -c anew "$TMP/out")" -eq 0 ]
refused "--force: then it is about the packet" 1 "without a session" \
	secret --force early "$TMP/hdr" "$TMP/bin" 0x100000
refused "an address of half a block" 1 "0x80008 is no multiple of 16" secret early "$TMP/hdr" "$TMP/bin" 0x80008
refused "an address outside" 1 "the address 0x1000000: no guest memory" secret early "$TMP/hdr" "$TMP/bin" 0x1000000
refused "partly outside" 1 "the address 0xffffd0: no guest memory" secret early "$TMP/hdr" "$TMP/bin" 0xffffd0
refused "the highest address" 1 "no guest memory" secret early "$TMP/hdr" "$TMP/bin" 0x7ffffffffffffff0
refused "a length" 1 "the secret has 20 bytes" secret early "$TMP/hdr" "$TMP/bin20" 0x80000
refused "a header's length" 1 "needed: 52 bytes" secret early "$TMP/bin" "$TMP/bin" 0x80000
refused "no address" 2 "0x8z" secret early "$TMP/hdr" "$TMP/bin" 0x8z
refused "no address, and no page for it" 1 "no page for secrets" secret early "$TMP/hdr" "$TMP/bin"
expect "launch-secret: too few words" 2 "$TMP/out" "$CSVVMM" launch-secret early "$TMP/hdr"
check "says which" has "$TMP/out" "NAME HEADER DATA [ADDRESS]"
check "and where it is explained" has "$TMP/out" "--help"

# --- garbage on the control socket -----------------------------------------------------

say() { socat -t 5 - "UNIX-CONNECT:$CSVVMM_STATE_DIR/early.sock"; }
good='"header":"'$(base64 -w0 "$TMP/hdr")'","data":"'$(base64 -w0 "$TMP/bin")'"'
while read -r line; do
	printf '%s\n' "$line" | say >"$TMP/out" 2>/dev/null
	check "refused: ${line:0:70}" has "$TMP/out" '"ok":false'
done <<END
{"cmd":"launch-secret"}
{"cmd":"launch-secret",$good}
{"cmd":"launch-secret",$good,"addr":"0x80000"}
{"cmd":"launch-secret",$good,"addr":524288.0}
{"cmd":"launch-secret",$good,"addr":-16}
{"cmd":"launch-secret",$good,"addr":9223372036854775807}
{"cmd":"launch-secret",$good,"addr":9223372036854775808}
{"cmd":"launch-secret",$good,"addr":null}
{"cmd":"launch-secret",$good,"addr":524288,"force":1}
{"cmd":"launch-secret",$good,"addr":524288,"force":"true"}
{"cmd":"launch-secret",$good,"addr":524288,"size":64}
{"cmd":"launch-secret",$good,"addr":524288,"addr":524288}
{"cmd":"launch-secret","header":"","data":"","addr":524288}
{"cmd":"launch-secret","header":"====","data":"!","addr":524288}
{"cmd":"launch-secret","header":[],"data":{},"addr":524288}
{"cmd":"launch-secret","header":"AAAA","data":"AAAA","addr":524288}
{"cmd":"launch-measure","nonce":1}
{"cmd":"launch-measure","nonce":null}
{"cmd":"launch-measure","nonce":""}
{"cmd":"launch-measure","nonce":"$nonce$nonce"}
{"cmd":"launch-measure","nonce":"$nonce","json":true}
{"cmd":"launch-go","force":true}
{"cmd":"launch-go","cmd":"launch-go"}
{"cmd":"launch-go"
launch-go
END
printf '{"cmd":"launch-go"}' | say >/dev/null 2>&1
printf '{"cmd":"launch-measure","nonce":"%s"}\n' $nonce | socat -t 0 - "UNIX-CONNECT:$CSVVMM_STATE_DIR/early.sock" >/dev/null 2>&1
check "after all that it still waits" waits early
check "and has not run" [ ! -s "$TMP/early.out" ]
end early

if ! python3 -c 'import cryptography' 2>/dev/null; then
	skip "the owner's commands" "no python3-cryptography"
	finish
fi

# --- owner-session and owner-secret, against another implementation --------------------

echo -n "open sesame" >"$TMP/word"
head -c 2047 /dev/zero | tr '\0' x >"$TMP/long"
head -c 2048 /dev/zero >"$TMP/toolong"
for p in hygon amd; do
	dir=$TMP/$p
	guest plat$p $p
	start plat$p
	end plat$p
	session() { "$CSVVMM" owner-session --root model --policy 0x5 --dir "$dir" "$@"; }
	expect "$p: a session" 0 "$TMP/out" session "$TMP/plat$p.json"
	check "$p: only the owner reads the keys" [ "$(stat -c %a "$dir"/t?k.bin | sort -u)" = 600 ]
	sum=$(cat "$dir"/* | sha256sum)
	refused "$p: not over another one" 1 "is there already" session "$TMP/plat$p.json"
	check "$p: which stays as it was" [ "$(cat "$dir"/* | sha256sum)" = "$sum" ]

	guest own$p $p "$(printf 'dh_cert = "%s/owner.cert"\nsession = "%s/session.bin"' "$dir" "$dir")"
	digest=$("$CSVVMM" measure --json "$TMP/own$p.toml" | jq -r .digest)
	make_secret() { "$CSVVMM" owner-secret --digest "$digest" --policy 5 --dir "$dir" "$@"; }
	start own$p
	check "$p: the measurement, by the other implementation" [ "$(json own$p measurement)" = \
		"$(owner mac $p "$dir" "$(json own$p firmware)" 5 "$digest" "$(json own$p measurement_nonce)")" ]
	expect "$p: a secret" 0 "$TMP/out" make_secret "$TMP/own$p.json" "$TMP/word"
	check "$p: which the other implementation reads" [ \
		"$(owner open $p "$dir" 5 "$(json own$p measurement)")" = "b'open sesame\x00\x00\x00\x00\x00'" ]
	cp "$dir/secret.hdr" "$TMP/old.hdr"
	cp "$dir/secret.bin" "$TMP/old.bin"
	expect "$p: it goes in" 0 "$TMP/out" secret own$p "$TMP/old.hdr" "$TMP/old.bin" 0x80000
	expect "$p: the longest, too, elsewhere" 0 "$TMP/out" make_secret "$TMP/own$p.json" "$TMP/long"
	expect "$p: it goes in" 0 "$TMP/out" secret own$p "$dir/secret.hdr" "$dir/secret.bin" 0x90000
	check "$p: each packet has an IV of its own" [ \
		"$(head -c 20 "$TMP/old.hdr" | od -An -tx1)" != "$(head -c 20 "$dir/secret.hdr" | od -An -tx1)" ]
	refused "$p: one byte more" 1 "too large" make_secret "$TMP/own$p.json" "$TMP/toolong"
	refused "$p: not over the kernel" 1 "kernel" secret own$p "$TMP/old.hdr" "$TMP/old.bin" 0x100000
	check "$p: it still waits" waits own$p

	# What is not the guest that was meant gets nothing.
	rm "$dir"/secret.*
	refused "$p: another digest" 1 "digest is another" "$CSVVMM" owner-secret --policy 5 --dir "$dir" \
		--digest "${digest:1}${digest:0:1}" "$TMP/own$p.json" "$TMP/word"
	refused "$p: another policy" 1 "another policy" "$CSVVMM" owner-secret --policy 4 --dir "$dir" \
		--digest "$digest" "$TMP/own$p.json" "$TMP/word"
	jq '.digest = "'"$digest"'"' "$TMP/plat$p.json" >"$TMP/lie.json"
	refused "$p: a guest without this session that claims the digest" 1 "not this session's guest" \
		make_secret "$TMP/lie.json" "$TMP/word"
	jq '.firmware = "0.0.1"' "$TMP/own$p.json" >"$TMP/lie.json"
	refused "$p: older firmware than measured" 1 "WRONG" make_secret "$TMP/lie.json" "$TMP/word"
	jq '.measurement = null' "$TMP/own$p.json" >"$TMP/lie.json"
	refused "$p: no measurement" 1 "no measurement" make_secret "$TMP/lie.json" "$TMP/word"
	refused "$p: a secret that is a FIFO" 1 "not a regular file" make_secret "$TMP/own$p.json" <(echo secret)
	refused "$p: a folder without a session" 1 "owner.cert" "$CSVVMM" owner-secret --digest "$digest" --policy 5 \
		--dir "$TMP" "$TMP/own$p.json" "$TMP/word"
	check "$p: nothing was written" [ -z "$(ls "$dir"/secret.* 2>/dev/null)" ]
	# Not through a link of somebody else's.
	ln -s "$TMP/word" "$dir/secret.hdr"
	expect "$p: a link in the way" 0 "$TMP/out" make_secret "$TMP/own$p.json" "$TMP/word"
	check "$p: is replaced, not followed" [ "$(cat "$TMP/word")" = "open sesame" ]

	expect "$p: go" 0 "$TMP/out" "$CSVVMM" launch-go own$p
	wait "$vm"
	check "$p: it shows the first secret" has "$TMP/own$p.out" "secret: open sesame"

	# The same session and packet again: another start, another measurement.
	start own$p
	refused "$p: a packet of an earlier start" 1 "BAD_MEASUREMENT" secret own$p "$TMP/old.hdr" "$TMP/old.bin" 0x80000
	refused "$p: a packet of nobody" 1 "BAD_MEASUREMENT" secret own$p "$TMP/hdr" "$TMP/bin" 0x80000
	check "$p: it still waits" waits own$p
	# Two owners at once: each packet goes in whole, or is refused.
	make_secret "$TMP/own$p.json" "$TMP/word" >/dev/null
	for i in 1 2 3 4; do
		secret own$p "$dir/secret.hdr" "$dir/secret.bin" 0x80000 2>"$TMP/race.$i" &
		jobs[i]=$!
		secret own$p "$TMP/hdr" "$TMP/bin" 0x80000 >/dev/null 2>&1 &
		jobs[i + 4]=$!
	done
	wait "${jobs[@]}"
	check "$p: right and wrong packets at once" [ "$(cat "$TMP"/race.? | wc -c)" -eq 0 ]
	# Killed in this state: the name is free, nothing is left of it.
	kill -KILL "$vm"
	wait "$vm" 2>/dev/null
	refused "$p: killed: no guest" 1 "no guest named" secret own$p "$dir/secret.hdr" "$dir/secret.bin" 0x80000
	start own$p
	check "$p: killed: it starts again" waits own$p
	end own$p

	# Sessions for something else.
	refused "$p: no root" 1 'was given; next: --root FILE (--root model in the lab and with backend = "model")' "$CSVVMM" owner-session --policy 5 --dir "$TMP/none" "$TMP/plat$p.json"
	jq '.pdh |= (.[0:100] + (if .[100:101] == "A" then "B" else "A" end) + .[101:])' "$TMP/plat$p.json" >"$TMP/lie.json"
	expect "$p: a PDH with another bit" 1 "$TMP/out" "$CSVVMM" owner-session --root model --policy 5 \
		--dir "$TMP/none" "$TMP/lie.json"
	base64 -w0 "$dir/owner.cert" >"$TMP/mine"
	jq --rawfile mine "$TMP/mine" '.pdh = $mine' "$TMP/plat$p.json" >"$TMP/lie.json"
	refused "$p: the host's own key as PDH" 1 "not signed by this PEK" "$CSVVMM" owner-session --root model \
		--policy 5 --dir "$TMP/none" "$TMP/lie.json"
	jq '.chain = null' "$TMP/plat$p.json" >"$TMP/lie.json"
	refused "$p: no chain" 1 "no CEK" "$CSVVMM" owner-session --root model --policy 5 --dir "$TMP/none" "$TMP/lie.json"
	check "$p: none of them left anything" [ ! -e "$TMP/none" ]
	"$CSVVMM" owner-session --root model --policy 4 --dir "$TMP/pol$p" "$TMP/plat$p.json" >/dev/null
	sed -i "s|$dir/|$TMP/pol$p/|" "$TMP/own$p.toml"
	"$CSVVMM" run "$TMP/own$p.toml" >"$TMP/out" 2>&1 </dev/null
	check "$p: a session for another policy: not started" [ $? -eq 1 ]
	check "$p: the command is named" has "$TMP/out" LAUNCH_START
done
# One make's session on the other's platform.
guest mixed amd "$(printf 'dh_cert = "%s/hygon/owner.cert"\nsession = "%s/hygon/session.bin"' "$TMP" "$TMP")"
expect "a session of the other make" 1 "$TMP/out" "$CSVVMM" run "$TMP/mixed.toml"
check "the command is named" has "$TMP/out" LAUNCH_START
jq --slurpfile other "$TMP/platamd.json" '.chain = $other[0].chain' "$TMP/plathygon.json" >"$TMP/lie.json"
refused "the chain of another make" 1 "NOT VERIFIED" "$CSVVMM" owner-session --root model --policy 5 \
	--dir "$TMP/none" "$TMP/lie.json"
for o in "--policy" "--policy x" "--policy 5 --digest $digest" "--policy 5 --fly"; do
	# shellcheck disable=SC2086 # words
	expect "owner-session: $o" 2 "$TMP/out" "$CSVVMM" owner-session $o "$TMP/plathygon.json"
done
expect "owner-session: no policy" 2 "$TMP/out" "$CSVVMM" owner-session --root model "$TMP/plathygon.json"
expect "owner-secret: no digest" 2 "$TMP/out" "$CSVVMM" owner-secret --policy 5 "$TMP/ownamd.json" "$TMP/word"
expect "owner-secret: no secret" 2 "$TMP/out" "$CSVVMM" owner-secret --digest "$digest" --policy 5 "$TMP/ownamd.json"
for f in fifo loop dir huge empty cut brace deep lists; do
	case $f in
	fifo) mkfifo "$TMP/f.$f" ;;
	loop) ln -s "f.$f" "$TMP/f.$f" ;;
	dir) mkdir "$TMP/f.$f" ;;
	huge) truncate -s 100G "$TMP/f.$f" ;;
	empty) : >"$TMP/f.$f" ;;
	cut) head -c 3000 "$TMP/ownamd.json" >"$TMP/f.$f" ;;
	brace) printf '{' >"$TMP/f.$f" ;;
	deep) head -c 60000 /dev/zero | tr '\0' '[' >"$TMP/f.$f" ;;
	lists) jq '.report = [.report] | .pdh = {} | .measurement = 5' "$TMP/ownamd.json" >"$TMP/f.$f" ;;
	esac
	refused "owner-session: $f" 1 "$f" session "$TMP/f.$f"
	refused "owner-secret: $f" 1 "$f" make_secret "$TMP/f.$f" "$TMP/word"
	refused "attest: $f" 1 "$f" attest "$TMP/f.$f"
done
# The owner predicts before there is a session.
sed -i 's|owner.cert|not-made-yet|' "$TMP/ownamd.toml"
expect "measure needs no session" 0 "$TMP/out" "$CSVVMM" measure "$TMP/ownamd.toml"
check "nothing is left" wait_for clean
finish
