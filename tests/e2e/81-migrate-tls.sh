#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Migration over TLS: who is let in, who is not, and what the strangers get to see.
# After each refusal the guest goes on where it was.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/migrate.sh
. tests/e2e/migrate.sh
need_kvm

key=00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff
psk() { (umask 077 && echo "$2" >"$TMP/$1"); }

# side NAME CA SAN DAYS: a folder as --tls wants it; believes in "ca"
side() {
	mkdir "$TMP/$1" && cp "$TMP/ca.pem" "$TMP/$1/ca.pem" &&
		openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" \
			-keyout "$TMP/$1/key.pem" -out "$TMP/$1.csr" &&
		openssl x509 -req -in "$TMP/$1.csr" -CA "$TMP/$2.pem" -CAkey "$TMP/$2.key" -CAcreateserial -days "$4" \
			-extfile <(echo "subjectAltName=$3") -out "$TMP/$1/cert.pem" &&
		chmod 600 "$TMP/$1/key.pem"
}

files() {
	local ca
	psk key $key && psk other "ff${key:2}" && psk named "someone:$key" && psk short 0011
	for ca in ca other-ca; do
		openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=$ca" \
			-keyout "$TMP/$ca.key" -out "$TMP/$ca.pem" || return 1
	done
	side a ca IP:127.0.0.1 30 && side b ca DNS:b.example,IP:127.0.0.1 30 && side elsewhere ca DNS:c.example 30 &&
		side expired ca IP:127.0.0.1 -1 && side alien other-ca IP:127.0.0.1 30
}
files 2>"$TMP/openssl.log" || { tail "$TMP/openssl.log"; exit 1; }

# try STATUS OPTION...: host 1 sends it to $port
try() {
	local want=$1 got trust=()
	shift
	[ "$type" = none ] || trust=(--root model)
	at 1 migrate "${trust[@]}" "$@" m "127.0.0.1:$port" >"$TMP/move.log" 2>&1 </dev/null
	got=$?
	[ $got -eq "$want" ] && return 0
	echo "# migrate ended with $got, not $want"
	sed 's/^/# /' "$TMP/move.log" "$TMP/2.log"
	return 1
}

# says FILE WORDS: in it, in a while
says() { [ -z "$2" ] || wait_for printed "$1" "$2" || { sed 's/^/# /' "$1"; return 1; }; }

# over THERE HERE: the guest moves from 1, whose options are HERE, to 2
# shellcheck disable=SC2086 # options are words
over() {
	local ok=0
	host 1 && host 2
	source_up 1 || return 1
	serve 2 $1
	try 0 $2 && went 2 && host_ended 1 15 || ok=1
	has "$TMP/move.log" "of CPU time for the line" || ok=1
	kill_host 2 || ok=1
	return $ok
}

# refused THERE HERE WORDS-THERE WORDS-HERE: and the next one who may is asked
# shellcheck disable=SC2086
refused() {
	local ok=0
	serve 2 $1
	try 1 $2 || ok=1
	says "$TMP/2.log" "$3" && says "$TMP/move.log" "$4" || ok=1
	[ "$(wc -l <"$TMP/move.log")" -eq 1 ] || { echo "# not one line:"; sed 's/^/# /' "$TMP/move.log"; ok=1; }
	stayed 1 || ok=1
	try 0 --check $1 && says "$TMP/2.log" "the source has seen that the guest could come" || ok=1
	stayed 1 || ok=1
	kill "${host_pid[2]}"
	wait "${host_pid[2]}"
	return $ok
}

for type in none csv2; do
	vcpus=2
	check "$type: with a key both sides have" over "--psk $TMP/key" "--psk $TMP/key"
	check "$type: with certificates" over "--tls $TMP/a" "--tls $TMP/b"
	check "$type: with certificates and names" over "--tls $TMP/elsewhere --peer b.example" \
		"--tls $TMP/b --peer c.example"
	check "$type: without protection" over --insecure --insecure
done

type=none vcpus=1
host 1 && host 2
source_up 1
K=$TMP/key
check "another key" refused "--psk $K" "--psk $TMP/other" "refused: it has another key" "it has another key"
check "another identity" refused "--psk $K" "--psk $TMP/named" "refused: it has no key, or one of another identity" \
	"it refuses our key or certificate"
check "a certificate to who has a key" refused "--psk $K" "--tls $TMP/a" "refused: it has no key" "it refuses our key"
check "a key to who wants certificates" refused "--tls $TMP/a" "--psk $K" "refused: " "migrate: 127.0.0.1:"
check "a certificate of another authority" refused "--tls $TMP/a" "--tls $TMP/alien" \
	"refused: its certificate: unable to get local issuer" "it refuses us: unknown CA"
check "an expired certificate" refused "--tls $TMP/a" "--tls $TMP/expired" \
	"refused: its certificate: certificate has expired" "it refuses us: certificate expired"
check "a certificate for another name" refused "--tls $TMP/a --peer 127.0.0.1" "--tls $TMP/elsewhere" \
	"refused: its certificate: IP address mismatch" "it refuses us"
check "no TLS to who wants TLS" refused "--psk $K" --insecure "refused: it does not use TLS (--insecure)" \
	"do both sides use the same"
check "TLS to who has none" refused --insecure "--psk $K" "refused: it speaks TLS, and this side does not" \
	"do both sides use the same"

# distrusted THERE HERE WORDS-HERE: it is the source that does not go on
# shellcheck disable=SC2086
distrusted() {
	local ok=0
	serve 2 $1
	try 1 $2 || ok=1
	says "$TMP/move.log" "$3" || ok=1
	says "$TMP/2.log" "refused: it refuses us" || ok=1
	stayed 1 || ok=1
	kill "${host_pid[2]}"
	wait "${host_pid[2]}"
	return $ok
}
check "the target's has expired" distrusted "--tls $TMP/expired" "--tls $TMP/a" "its certificate: certificate has expired"
check "the target's authority is another" distrusted "--tls $TMP/alien" "--tls $TMP/a" \
	"its certificate: unable to get local issuer"
check "the target's is for another name" distrusted "--tls $TMP/elsewhere" "--tls $TMP/a" \
	"its certificate: IP address mismatch"

# --- strangers ---------------------------------------------------------------------

# stranger WORDS: what is on stdin is said at the port
stranger() {
	local ok=0
	exec {door}<>"/dev/tcp/127.0.0.1/$port"
	{ cat 1>&"$door"; } 2>/dev/null
	says "$TMP/2.log" "refused: $1" || ok=1
	exec {door}>&-
	return $ok
}

# vmm_of N: the process of host N that has a virtual machine
vmm_of() {
	local pid
	for pid in "${host_pid[$1]}" $(pgrep -P "${host_pid[$1]}"); do
		find "/proc/$pid/fd" -lname '*kvm-vm*' 2>/dev/null | grep -q . && echo "$pid"
	done
}
has_vmm() { [ -n "$(vmm_of "$1")" ]; }

# knocks WORDS OPTION...: OpenSSL's client is the stranger
knocks() {
	local words=$1 ok=0
	shift
	openssl s_client -connect "127.0.0.1:$port" "$@" >/dev/null 2>&1 </dev/null
	says "$TMP/2.log" "refused: $words" || ok=1
	return $ok
}

serve 2 --psk "$K"
check "HTTP" stranger "it speaks HTTP" < <(printf 'GET / HTTP/1.1\r\nHost: x\r\n\r\n')
check "nothing known" stranger "it does not speak TLS" < <(head -c 3000 /dev/zero | tr '\0' '\001')
check "our own protocol without TLS" stranger "it does not use TLS" < <(printf 'csvvmm hello 1\r\nCSVVMMIG')
check "an older TLS" knocks "it has no TLS 1.3" -tls1_2
check "TLS without a key" knocks "it has no key" -tls1_3
# A byte now and then; others come and go meanwhile.
exec {loris}<>"/dev/tcp/127.0.0.1/$port"
for b in 16 03 01 02; do printf '%b' "\\x$b" >&"$loris"; done
check "who is slow does not keep others out" try 0 --check --psk "$K"
check "... which reached a VMM, and the strangers did not" \
	[ "$(grep -c "is let in" "$TMP/2.log") $(grep -c "refused:" "$TMP/2.log")" = "1 5" ]
exec {loris}>&-
kill "${host_pid[2]}"
wait "${host_pid[2]}"
serve 2 --tls "$TMP/a"
check "TLS without a certificate" knocks "it shows no certificate" -tls1_3
exec {loris}<>"/dev/tcp/127.0.0.1/$port"
printf '\x16\x03' >&"$loris"
check "who is slow for too long" says "$TMP/2.log" "refused: it said too little for too long"
exec {loris}>&-
check "nobody reached a VMM" [ "$(grep -c "is let in" "$TMP/2.log")" -eq 0 ]
check "after all that the right one is let in" try 0 --check --tls "$TMP/b"
kill "${host_pid[2]}"
wait "${host_pid[2]}"
stayed 1 || not_ok "the guest went on all the time"

# answers WORDS TEXT OPTION...: somebody else is at the target's port, says TEXT
answers() {
	local words=$1 ok=0 other
	port=$((20000 + RANDOM % 10000))
	# (socat has rules of its own about quotes and backslashes in a command.)
	printf "printf '%s'\nsleep 60\n" "$2" >"$TMP/other"
	socat "TCP-LISTEN:$port,bind=127.0.0.1,reuseaddr" "EXEC:bash $TMP/other" 2>/dev/null &
	other=$!
	shift 2
	wait_for grep -q "0100007F:$(printf %04X "$port") 00000000:0000 0A" /proc/net/tcp
	try 1 "$@" || ok=1
	says "$TMP/move.log" "$words" || ok=1
	kill "$other" $(pgrep -P "$other") 2>/dev/null
	wait "$other" 2>/dev/null
	stayed 1 || ok=1
	return $ok
}
check "HTTP at the target's port" answers "it speaks HTTP" 'HTTP/1.1 400 Bad Request\r\n' --psk "$K"
check "SSH at the target's port, no TLS wanted" answers "it is no csvvmm" 'SSH-2.0-OpenSSH_9.2\r\n' --insecure
check "silence at the target's port" answers "no answer" '' --tls "$TMP/a"

# --- who has what -------------------------------------------------------------------

# tcp_of PID: its TCP sockets
tcp_of() {
	local inode
	for inode in $(find "/proc/$1/fd" -lname 'socket:*' -printf '%l\n' | tr -dc '0-9\n'); do
		awk -v i="$inode" '$10 == i { print $2 " " $3 }' /proc/net/tcp /proc/net/tcp6
	done
}
# guest_of PID: what a helper has none of
guest_of() {
	find "/proc/$1/fd" \( -lname '*kvm*' -o -lname '/dev/sev*' -o -lname '*memfd*' -o -lname '/dev/vhost*' \) -printf '%l\n'
	grep -E 'memfd|kvm|/dev/sev' "/proc/$1/maps"
}
# memory_of PID: mappings of the guest's size or a little less (its memory has a hole or two)
memory_of() {
	local range rest size
	while read -r range rest; do
		size=$((16#${range#*-} - 16#${range%-*} >> 20))
		((size >= 120 && size <= 128)) && echo "$range $rest"
	done <"/proc/$1/maps"
}
helper_of() {
	local pid
	for pid in $(pgrep -P "$1"); do [ -n "$(tcp_of "$pid")" ] && echo "$pid"; done
}

# flood N: so many at the door, 200 at a time; each says that 16 MB of ClientHello will follow, and sends 16 KiB of it
flood() {
	python3 - "$port" "$1" <<-'END'
		import socket, sys
		first = b"\x16\x03\x01\x40\x00" + b"\x01\xff\xff\xff" + b"\x03\x03" + bytes(16378)
		held = []
		for i in range(int(sys.argv[2])):
		    s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
		    s.setblocking(False)
		    try:
		        s.send(first)
		    except OSError:
		        pass
		    held.append(s)
		    if len(held) > 200:
		        held.pop(0).close()
	END
}
peak() { sed -n 's/^VmHWM:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$1/status"; }

# What the address sanitizer keeps back of freed memory would look like a leak.
was_asan=${ASAN_OPTIONS-}
ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}quarantine_size_mb=1
host 2
serve 2 --psk "$K"
listener=$(helper_of "${host_pid[2]}")
was=$(peak "$listener")
flood "${FLOOD:-400}"
check "row 24: ${FLOOD:-400} at the door: the receiver takes no more than 8 MiB for all of them" \
	[ "$(peak "$listener")" -le $((was + 8192)) ]
ASAN_OPTIONS=$was_asan
check "row 22: none of them reached a VMM" [ "$(grep -c "is let in" "$TMP/2.log")" -eq 0 ]
kill "${host_pid[2]}"
wait "${host_pid[2]}"

# no_crossing: with a migration under way, TCP is where the guest is not
no_crossing() {
	local pid ok=0 vmms helpers
	vmms="$(vmm_of 1) $(vmm_of 2)"
	helpers="$(helper_of "$mover") $(helper_of "${host_pid[2]}")"
	[ "$(wc -w <<<"$vmms") $(wc -w <<<"$helpers")" = "2 2" ] || { echo "# VMMs: $vmms, helpers: $helpers"; return 1; }
	for pid in $vmms; do
		[ -z "$(tcp_of "$pid")" ] || { echo "# VMM $pid has a TCP socket: $(tcp_of "$pid")"; ok=1; }
		[ -n "$(guest_of "$pid")" ] && [ -n "$(memory_of "$pid")" ] || { echo "# $pid is no VMM"; ok=1; }
	done
	for pid in $helpers; do
		[ -z "$(guest_of "$pid")" ] || { echo "# helper $pid: $(guest_of "$pid")"; ok=1; }
		[ -z "$(memory_of "$pid")" ] || { echo "# helper $pid: $(memory_of "$pid")"; ok=1; }
		grep -q '^CapEff:.*0000000000000000$' "/proc/$pid/status" || { echo "# helper $pid has capabilities"; ok=1; }
		[ "$(find "/proc/$pid/fd" -type l | wc -l)" -eq 5 ] || { ls -l "/proc/$pid/fd"; ok=1; }
	done
	return $ok
}
kill_host 1
memory=128M cmdline="hot=2000"
host 1 && host 2
source_up 1
serve 2 --psk "$K"
CSVVMM_STATE_DIR=$TMP/s1 "$CSVVMM" migrate --psk "$K" --bandwidth 50K m "127.0.0.1:$port" >"$TMP/move.log" 2>&1 </dev/null &
mover=$!
under_way() { [ "$(json 1 '.migration.pages')" -gt 0 ]; }
check "a migration that takes its time" wait_for under_way
check "no TCP where the guest is, nothing of the guest where TCP is" no_crossing
# Whoever asked for it may end: the line is the VMM's.
kill -9 "$mover"
wait "$mover" 2>/dev/null
check "... goes on without who asked for it" under_way
check "... until it is cancelled" at 1 migrate --cancel m
check "... and the guest stays" stayed 1
check "the target ends its attempt" host_ended 2 16

# --- the command line and the control socket -------------------------------------------

# misuse STATUS WORDS COMMAND...: one line, which says it
misuse() {
	local want=$1 words=$2 n=1 got
	shift 2
	[ "$1" != receive ] || n=3 # where its name is not in use
	at "$n" "$@" >"$TMP/misuse.log" 2>&1 </dev/null
	got=$?
	[ "$got $(wc -l <"$TMP/misuse.log")" = "$want 1" ] || { echo "# status $got"; sed 's/^/# /' "$TMP/misuse.log"; return 1; }
	has "$TMP/misuse.log" "$words"
}
port=9
chmod 644 "$TMP/other"
cp -r "$TMP/a" "$TMP/c" && chmod 644 "$TMP/c/key.pem"
cp -r "$TMP/a" "$TMP/d" && cp "$TMP/b/key.pem" "$TMP/d/key.pem"
cp -r "$TMP/a" "$TMP/e" && echo hello >"$TMP/e/cert.pem"
mkdir "$TMP/f" && mkfifo "$TMP/f/ca.pem"
cp -r "$TMP/a" "$TMP/g" && rm "$TMP/g/cert.pem" && mkfifo "$TMP/g/cert.pem"
for what in "migrate m 127.0.0.1:9" "receive --listen 127.0.0.1:0 $TMP/2.toml"; do
	c=${what%% *} rest=${what#* }
	wrong() {
		local status=$1 words=$2
		shift 2
		# shellcheck disable=SC2086 # words
		check "$c ${*/$TMP\/}: $words" misuse "$status" "$words" $c "$@" $rest
	}
	wrong 2 "say how the line is protected: --psk FILE, --tls DIR, or --insecure"
	wrong 2 "only one of --psk, --tls and --insecure" --psk "$K" --insecure
	wrong 2 "only one of --psk, --tls and --insecure" --psk "$K" --tls "$TMP/a"
	wrong 2 "--peer goes with --tls only" --psk "$K" --peer x
	wrong 2 "a name, not nothing" --psk ''
	wrong 1 "nowhere: No such file" --psk "$TMP/nowhere"
	wrong 1 "the key has 4 digits" --psk "$TMP/short"
	wrong 1 "others may read" --psk "$TMP/other"
	wrong 1 "nowhere/ca.pem: No such file" --tls "$TMP/nowhere"
	wrong 1 "others may read" --tls "$TMP/c"
	wrong 1 "d/key.pem: key values mismatch" --tls "$TMP/d"
	wrong 1 "e/cert.pem: no start line" --tls "$TMP/e"
	wrong 1 "f/ca.pem: not a regular file" --tls "$TMP/f"
	wrong 1 "g/cert.pem: not a regular file" --tls "$TMP/g"
done
check "migrate to no port" misuse 2 "not HOST:PORT" migrate --insecure m host
check "receive at no port" misuse 2 "not HOST:PORT" receive --insecure --listen ::1 "$TMP/2.toml"

# asks WORDS LINE KIND: over the control socket; the answer says WORDS
asks() {
	python3 - "$TMP/s1/m.sock" "$2" "$3" >"$TMP/asked.log" 2>&1 <<'P'
import json, socket, sys
path, line, kind = sys.argv[1:]
request = {"cmd": "migrate"}
if line:
    request["line"] = line
if kind == "tcp":
    a = socket.create_server(("127.0.0.1", 0))
else:
    a, _ = socket.socketpair(socket.AF_UNIX, getattr(socket, kind))
events, _ = socket.socketpair()
s = socket.socket(socket.AF_UNIX)
s.connect(path)
socket.send_fds(s, [json.dumps(request).encode() + b"\n"], [a.fileno(), events.fileno()])
print(s.makefile().readline())
P
	has "$TMP/asked.log" "$1"
}
check "control: no word on protection" asks 'must say how the line is protected' '' SOCK_STREAM
check "control: another word" asks 'must say how the line is protected' ssh SOCK_STREAM
check "control: a TCP socket" asks 'the line must be a local stream socket' psk tcp
check "control: no stream" asks 'the line must be a local stream socket' psk SOCK_SEQPACKET
check "control: as it should be" asks '"ok":true' psk SOCK_STREAM
check "... and the guest stays" stayed 1
kill_host 1
finish
