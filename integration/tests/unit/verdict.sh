#!/bin/bash
# Judges netbootd.service in the machine that it runs in, and says so on the serial console.
exec >/dev/ttyS0 2>&1

fail() {
	systemctl status --no-pager netbootd
	journalctl --no-pager --unit netbootd
	echo "VERDICT FAIL $*"
	exit 1
}

field() { awk -v key="$1:" '$1 == key { print $2; exit }' "/proc/$2/status"; }

systemctl is-active --quiet netbootd || fail "the service is not active"
pid=$(systemctl show --property MainPID --value netbootd)
[ "$(field Uid "$pid")" = "$(id -u netbootd)" ] || fail "it runs as uid $(field Uid "$pid")"
# CAP_NET_BIND_SERVICE and CAP_NET_RAW, nothing else, and no way to more.
for set in CapPrm CapEff CapBnd; do
	[ "$(field $set "$pid")" = 0000000000002400 ] || fail "$set is $(field $set "$pid")"
done
[ "$(field NoNewPrivs "$pid")" = 1 ] || fail "it may gain privileges"
[ "$(field Seccomp "$pid")" = 2 ] || fail "its system calls are not filtered"

netbootd status || fail "the control socket does not answer"
for port in 67 69 111; do
	[ -n "$(ss -Hlnu "sport = :$port")" ] || fail "nobody has UDP $port"
done
for port in 80 111 2049; do
	[ -n "$(ss -Hlnt "sport = :$port")" ] || fail "nobody has TCP $port"
done
exec 3<>/dev/tcp/192.168.99.1/80 || fail "no HTTP"
printf 'GET /boot/02-00-00-00-00-01.ipxe HTTP/1.0\r\n\r\n' >&3
grep -q '^#!ipxe' <&3 || fail "no boot script"

# Longer than the watchdog waits for a sign of life.
sleep 25
[ "$(systemctl show --property NRestarts --value netbootd)" = 0 ] || fail "it was restarted"
systemctl restart netbootd || fail "it does not start again"
systemctl stop netbootd || fail "it does not stop"
[ "$(systemctl show --property Result --value netbootd)" = success ] || fail "it stopped in disorder"

# Network address translation: only with its drop-in, without which the check says what to do.
ip link add up0 type dummy && ip address add 203.0.113.1/24 dev up0 && ip link set up0 up
[ "$(cat /proc/sys/net/ipv4/ip_forward)" = 0 ] || fail "forwarding is on already"
echo 'nat = "up0"' >>/etc/netbootd/netbootd.toml
systemctl start netbootd || fail "it does not start without the drop-in"
journalctl --unit netbootd --grep 'C107' || fail "the check does not say what is missing"
journalctl --unit netbootd --grep 'NAT: clients do not reach the world' || fail "the daemon does not say it"
netbootd status | grep 'ALARM: no network address translation' || fail "status does not say it"
systemctl stop netbootd
install -D -m 644 /opt/nat.conf /etc/systemd/system/netbootd.service.d/nat.conf
systemctl daemon-reload
systemctl start netbootd || fail "it does not start with the drop-in"
for _ in $(seq 20); do
	[ "$(cat /proc/sys/net/ipv4/ip_forward)" = 1 ] && break
	sleep 1
done
nft list ruleset
nft list table ip netbootd | grep -q 'ip saddr 192.168.99.0/24 oifname "up0" masquerade' || fail "no rules"
pid=$(systemctl show --property MainPID --value netbootd)
# CAP_NET_ADMIN more than before.
[ "$(field CapEff "$pid")" = 0000000000003400 ] || fail "CapEff is $(field CapEff "$pid")"
iptables-legacy -P FORWARD DROP || fail "no iptables-legacy"
for _ in $(seq 40); do
	netbootd status | grep -q 'iptables-legacy -I FORWARD -i lab0 -o up0 -j ACCEPT' && break
	sleep 1
done
netbootd status | grep 'ALARM: .*iptables-legacy -I FORWARD -i lab0 -o up0' || fail "status does not say what iptables-legacy drops"
systemctl stop netbootd || fail "it does not stop"
[ -z "$(nft list ruleset)" ] || fail "rules are left"
[ "$(cat /proc/sys/net/ipv4/ip_forward)" = 0 ] || fail "forwarding is left on"

if journalctl --unit netbootd --grep 'EPERM|Operation not permitted|Permission denied'; then
	fail "it was refused something that it wanted"
fi
echo VERDICT PASS
