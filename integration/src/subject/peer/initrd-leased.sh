#!/bin/busybox sh
# What udhcpc calls with a lease.
case $1 in bound | renew) ifconfig "$interface" "$ip" netmask "$subnet" ;; esac
