#!/bin/bash
# Judges what systemd-resolved on a server knows of netbootd's names, and says so on the serial console. Who booted this
# machine answers for nas.lab.internal, netbootd in it for printer.room.internal.
exec >/dev/ttyS0 2>&1

fail() {
	resolvectl --no-pager status
	systemctl status --no-pager netbootd netbootd-resolved systemd-resolved
	journalctl --no-pager --unit netbootd --unit netbootd-resolved --unit systemd-resolved
	echo "VERDICT FAIL $*"
	exit 1
}
within() {
	local start=$SECONDS what=$1
	shift
	until "$@" >/dev/null 2>&1; do
		[ $((SECONDS - start)) -lt 60 ] || fail "$what: not after 60 s: $*"
		sleep 0.5
	done
	echo "TOLD $what: $((SECONDS - start)) s"
}
knows() { resolvectl query printer.room.internal | grep -q 192.168.99.5 && getent hosts printer.room.internal; }
knows_not() { ! getent hosts printer.room.internal; }
# Elsewhere, always, and back.
others() {
	getent hosts nas.lab.internal | grep -q 192.168.67.5 || fail "$1: nas.lab.internal is not found"
	[[ $(resolvectl domain lab0) == *"~room.internal"* ]] || fail "$1: $(resolvectl domain lab0)"
	resolvectl default-route lab0 | grep -q no || fail "$1: $(resolvectl default-route lab0)"
}

mkdir -p /etc/systemd/resolved.conf.d
printf '[Resolve]\nDNS=192.168.67.1\n' >/etc/systemd/resolved.conf.d/elsewhere.conf
ln -sf /run/systemd/resolve/stub-resolv.conf /etc/resolv.conf
systemctl restart systemd-resolved

systemctl is-active --quiet netbootd || fail "netbootd is not active"
within "known after the start" knows
others "after the start"
getent hosts 192.168.99.5 | grep -q printer.room.internal || fail "192.168.99.5 has no name"
# Netbootd itself asks resolved for other names, which asks elsewhere.
resolvectl --interface lab0 query nas.lab.internal
pid=$(systemctl show --property MainPID --value netbootd-resolved)
for set in CapPrm CapEff CapBnd; do
	grep -q "^$set:	0000000000000000$" "/proc/$pid/status" || fail "$(grep Cap "/proc/$pid/status")"
done
grep -q '^Seccomp:	2$' "/proc/$pid/status" || fail "its system calls are not filtered"

ip link delete lab0
within "forgotten with the interface" knows_not
ip link add lab0 type dummy && ip address add 192.168.99.1/24 dev lab0 && ip link set lab0 up
within "known when it is back" knows
resolvectl revert lab0
within "known again when somebody made resolved forget" knows
systemctl restart systemd-resolved
within "known after resolved began anew" knows
others "later"

systemctl kill --signal KILL netbootd
within "known after netbootd was killed" knows
systemctl restart netbootd
within "known after netbootd was restarted" knows
systemctl stop netbootd || fail "it does not stop"
[ "$(systemctl is-active netbootd-resolved)" = inactive ] || fail "netbootd-resolved is $(systemctl is-active netbootd-resolved)"
knows_not || fail "known after the stop"
[[ $(resolvectl domain lab0) != *room* ]] || fail "after the stop: $(resolvectl domain lab0)"
getent hosts nas.lab.internal || fail "after the stop: nas.lab.internal is not found"

# Where networkd has the interface, it is networkd who is told.
mkdir -p /etc/systemd/network
printf '[Match]\nName=lab0\n[Network]\nAddress=192.168.99.1/24\n' >/etc/systemd/network/lab0.network
systemctl restart systemd-networkd
systemctl start netbootd
within "known where networkd has the interface" knows
others "with networkd"
networkctl reconfigure lab0
within "known after networkd set it up anew" knows
systemctl stop netbootd
knows_not || fail "known after the stop, with networkd"

# What is missing is said, and all else is served.
systemctl stop systemd-resolved
systemctl mask --runtime systemd-resolved
systemctl start netbootd || fail "it does not start without resolved"
within "said that resolved does not run" journalctl --unit netbootd-resolved --grep 'resolved was not told'
journalctl --unit netbootd --grep 'C108' || fail "the check does not say that resolved does not run"
systemctl unmask --runtime systemd-resolved
systemctl start systemd-resolved
within "known when resolved runs" knows
systemctl disable netbootd-resolved
systemctl restart netbootd
journalctl --unit netbootd --grep 'systemctl enable --now netbootd-resolved' || fail "the check does not say how to enable it"
if journalctl --unit netbootd-resolved --grep 'EPERM|Operation not permitted|Permission denied'; then
	fail "it was refused something that it wanted"
fi
if journalctl --unit netbootd-resolved --grep 'resolved may still ask here'; then
	fail "it was not taken back"
fi
echo VERDICT PASS
