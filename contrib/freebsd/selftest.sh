#!/bin/sh
# What `renumberd selftest` runs on FreeBSD, as root: selftest.sh PROGRAM. It builds
#
#   isp [wan] ── [wan0] router [lan0] ── [eth0] host
#
# of epair(4) interfaces and VNET jails (a kernel with VIMAGE, as GENERIC is), has the provider's
# line connect anew with other prefixes, and says line by line what works. All of it is removed, also
# after a signal.
# shellcheck disable=SC2317 # functions are called by their names
set -u

program=$1
id=renumberd_selftest_$$
failures=0

report() { # what, and the result of a command
	if [ "$2" -eq 0 ]; then echo "ok      $1"; else
		echo "FAILED  $1"
		failures=$((failures + 1))
	fi
}

# await WHAT COMMAND...: it succeeds within 25 s.
await() {
	what=$1
	shift
	end=$(($(date +%s) + 25))
	until "$@" >/dev/null 2>&1; do
		[ "$(date +%s)" -lt $end ] || { report "$what" 1 && return; }
		sleep 0.1
	done
	report "$what" 0
}

[ "$(id -u)" -eq 0 ] || { echo "FAILED  it needs root: run it by su or sudo" && exit 1; }
[ "$(sysctl -n kern.features.vimage 2>/dev/null)" = 1 ] ||
	{ echo "FAILED  it needs a kernel with VIMAGE, as GENERIC is since FreeBSD 12" && exit 1; }
folder=$(mktemp -d -t renumberd-selftest) || exit 1

remove() {
	for agent in isp router; do
		[ ! -f "$folder/$agent.pid" ] || kill "$(cat "$folder/$agent.pid")" 2>/dev/null
	done
	sleep 1
	for jail in isp router host; do jail -r "${id}_$jail" 2>/dev/null; done
	# An interface comes back some time after its jail has gone; one half takes the other along.
	for interface in ${first:-} ${second:-}; do
		for _ in 1 2 3 4 5 6 7 8 9 10; do
			ifconfig "$interface" destroy 2>/dev/null && break
			sleep 0.5
		done
	done
	rm -rf "$folder"
}
trap remove EXIT
trap 'exit 1' HUP INT TERM

in_jail() { # jail command...
	jail=${id}_$1
	shift
	jexec "$jail" "$@"
}

# give JAIL INTERFACE. It keeps its name, by which it is removed at the end.
give() {
	ifconfig "$2" vnet "${id}_$1" && in_jail "$1" ifconfig "$2" inet6 -ifdisabled auto_linklocal up
}

for jail in isp router host; do
	jail -c name="${id}_$jail" path=/ persist vnet allow.raw_sockets ||
		{ report "jails with VNET can be made (in a jail they cannot)" 1 && exit 1; }
	in_jail $jail ifconfig lo0 up
done
report "jails with VNET can be made" 0
first=$(ifconfig epair create) && second=$(ifconfig epair create) &&
	wan=$first wan0=${first%a}b lan0=$second eth0=${second%a}b &&
	give isp "$wan" && give router "$wan0" && give router "$lan0" && give host "$eth0"
connected=$?
report "a provider, a router and a host are connected" $connected
[ $connected -eq 0 ] || exit 1
for jail in isp router; do in_jail $jail sysctl net.inet6.ip6.forwarding=1 >/dev/null; done
in_jail isp ifconfig lo0 inet6 3fff:fff::1/128
in_jail host ifconfig "$eth0" inet6 accept_rtadv

cat >"$folder/isp.toml" <<C
[static.line]
prefix = "2001:db8:0:ffff::/64"

[static.site]
prefix = "2001:db8:8000::/48"

[downlink.$wan]
subnet = "0x0/64"
from   = "line"

[pool.routers]
downlink = "$wan"
prefix   = "0x0/48"
length   = 48
from     = "site"
C
cat >"$folder/router.toml" <<C
[uplink.$wan0]
delegate = [{ iaid = 1, length = 48 }]

[downlink.$lan0]
subnet = "0x0/64"
C

start() { # agent
	in_jail "$1" "$program" run --config "$folder/$1.toml" --state-dir "$folder/$1-state" \
		--runtime-dir "$folder/$1-run" 2>"$folder/$1.log" &
	echo $! >"$folder/$1.pid"
}

shows() { in_jail "$1" ifconfig "$2" inet6 | grep -q "$3"; }
# Lines of ifconfig name the flags of an address behind it.
is_deprecated() { in_jail host ifconfig "$eth0" inet6 | grep "$1" | grep -q deprecated; }
# FreeBSD 12 has ping6, later ones ping -6; either waits for long where nothing comes back.
reaches() {
	in_jail host timeout 2 ping6 -c 1 3fff:fff::1 || in_jail host timeout 2 ping -6 -c 1 3fff:fff::1
}
is_ready() { "$program" ready --runtime-dir "$folder/router-run"; }

start isp
start router
await "the router has an address and a lease" is_ready
await "the router has an address on the inner link" shows router "$lan0" 2001:db8:8000:
await "the host forms an address" shows host "$eth0" 2001:db8:8000:
await "the host reaches what is behind the provider" reaches

in_jail router ifconfig "$wan0" down
"$program" prefix --runtime-dir "$folder/isp-run" line=2001:db8:1:ffff::/64 site=2001:db8:8001::/48
report "the provider has other prefixes" $?
in_jail router ifconfig "$wan0" up
await "redial: the router has an address of the new prefix" shows router "$lan0" 2001:db8:8001:
await "redial: the host forms an address of it" shows host "$eth0" 2001:db8:8001:
await "redial: the host's old address is deprecated" is_deprecated 2001:db8:8000:
await "redial: the host reaches what is behind the provider" reaches

[ $failures -eq 0 ] || tail -n 5 "$folder"/*.log
exit $((failures > 0))
