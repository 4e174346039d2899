#!/bin/busybox sh
# A machine that mounts what servers export with the kernel's own NFS client, and says what it finds.
#   lab.server=ADDRESS  netbootd: /roots/small, /images/small, and the folders odd and signals
#   lab.peer=ADDRESS    another server with the same root, for comparison
#   lab.many=NUMBER     how many names the largest directory has
# Each check says `CHECK name: ok`, or what is wrong; the last line is `VERDICT PASS` or `VERDICT FAIL`.
/bin/busybox --install -s /bin
export PATH=/usr/bin:/usr/sbin:/sbin:/bin
ln -s /proc/mounts /etc/mtab
export LC_ALL=C
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmpfs /tmp
# Nobody is at the keyboard to be asked.
exec </dev/null
failed=
ok() { echo "CHECK $1: ok${2:+, $2}"; }
bad() { echo "CHECK $1: FAILED: $2"; failed="$failed $1"; }
word() { for w in $(cat /proc/cmdline); do case $w in "$1="*) echo "${w#*=}"; return;; esac; done; }
server=$(word lab.server) peer=$(word lab.peer)
for module in virtio_pci virtio_net af_packet nfsv3 squashfs loop overlay; do modprobe -q $module; done
ip link set lo up
ip link set eth0 up
ip addr add 192.168.67.100/24 dev eth0
plain=vers=3,proto=tcp,mountproto=tcp,nolock
# One transport for all mounts of a server: what the first says of it holds for all.
ours=$plain,port=2049,mountport=2049,nconnect=4
nfs() { mkdir -p "$3"; mount -i -t nfs -o "$1,addr=${2%%:*}" "$2" "$3"; }
verdict() {
    if [ -z "$failed" ]; then echo "VERDICT PASS"; else echo "VERDICT FAIL:$failed"; fi
    sleep 1
    poweroff -f
}

nfs "$ours,rw" "$server:/roots/small" /tree || { echo "VERDICT FAIL: no tree"; poweroff -f; }
nfs "$ours,rw" "$server:/exports/odd" /folder || { echo "VERDICT FAIL: no folder"; poweroff -f; }
nfs "$plain" "$peer:/roots/small" /peer || { echo "VERDICT FAIL: no peer"; poweroff -f; }
t=/tree/opt/odd f=/folder p=/peer/opt/odd
# Not busybox's own.
find() { /usr/bin/find "$@"; }

# The same tree, seen in three ways: out of an image, out of a folder, and as another server has it.
list() {
    (cd "$1" || return
        # What another file system is mounted on is shown by its name and not described.
        seen() { find . \( -name many -o -name bind \) -prune -o "$@"; }
        seen -printf '%y %m %U %G %n %Ts %p -> %l\n'
        seen \( -type f -o -type l \) -printf '%s %p\n'
        seen -type f -exec sha256sum {} +
        stat -c '%F %t %T %n' null zero block pipe socket) 2>&1 | grep -v bind | sort
}
list $p >/tmp/peer; list $t >/tmp/tree; list $f >/tmp/folder
same() { cmp -s "$2" "$3" && ok "$1" "$(wc -l <"$2") lines" || bad "$1" "$(diff "$2" "$3" | head -n 6)"; }
[ "$(wc -l </tmp/peer)" -gt 100 ] || bad peer "lists $(wc -l </tmp/peer) lines"
same tree-as-peer /tmp/peer /tmp/tree
same folder-as-peer /tmp/peer /tmp/folder

for each in $t $f; do
    (cd $each/many && printf '%s\n' *) | sort >/tmp/many
    [ "$(uniq /tmp/many | wc -l)" = "$(word lab.many)" ] && [ "$(wc -l </tmp/many)" = "$(word lab.many)" ] &&
        ok "many-names $each" || bad "many-names $each" "$(wc -l </tmp/many), $(uniq /tmp/many | wc -l) different"
done

for each in $t $f; do
    [ "$(cat "$each/two words")" = spaces ] && [ "$(cat "$each"/not*)" = "other bytes" ] &&
        [ "$(cat $each/nnnnnnnn*)" = "a long name" ] && ok "names $each" || bad "names $each" "cannot be opened"
    [ "$(stat -c %i "$each/one name")" = "$(stat -c %i "$each/other name")" ] &&
        [ "$(stat -c %h "$each/one name")" = 2 ] && ok "hard-links $each" || bad "hard-links $each" "are two files"
    [ "$(find "$each/a name of thirty two characters" -name bottom -exec cat {} \;)" = deep ] && ok "deep $each" || bad "deep $each" "not reached"
    echo x >$each/null && [ "$(head -c 4 $each/zero | hexdump -v -e '/1 "%x"')" = 0000 ] &&
        ok "devices $each" || bad "devices $each" "do not work"
done

# Programs: by others than root, with the rights of their owner, and not by whom they are not for.
echo 'user:x:1000:1000::/:/bin/sh' >/etc/passwd
echo 'user:x:1000:' >/etc/group
run() { start-stop-daemon -S -c user:user -x "$1" >/dev/null 2>&1; echo $?; }
programs() {
    got="$(run "$2/euid") $(run "$2/euid-setuid")"
    [ "$got" = "232 0" ] && ok "$1" || bad "$1" "user 1000 and set-uid gave $got, not 232 0"
    got=$(run "$2/euid-root")
    [ "$got" != 232 ] || bad "$1" "user 1000 ran what is for root alone"
    "$2/euid-root" && ok "$1-of-root" || bad "$1-of-root" "root cannot run it"
}
programs programs-of-tree $t
programs programs-of-folder $f

# A writable layer on top, as a root has it. (Without answers about ACLs this is where it fails.)
mkdir -p /tmp/upper /tmp/work /merged
mount -t overlay -o "lowerdir=$t,upperdir=/tmp/upper,workdir=/tmp/work" overlay /merged || bad overlay "no mount"
programs programs-of-overlay /merged
echo changed >"/merged/two words" && rm -f "/merged/one name" && [ "$(cat "/merged/two words")" = changed ] &&
    [ ! -e "/merged/one name" ] && [ -e "$t/one name" ] && ok overlay || bad overlay "does not take writes"
umount /merged

# Nothing is written, whatever is tried.
refused=
try() { said=$("$@" 2>&1) && refused="$refused; done: $*"
    case $said in *"Read-only file system"*) ;; *) refused="$refused; $*: $said";; esac; }
# A file that is there: the client asks whether it may before it opens it.
write() { said=$(dd if=/dev/zero "of=$1" bs=1 count=1 conv=notrunc 2>&1) && refused="$refused; written: $1"
    case $said in *"Permission denied"*|*"Read-only file system"*) ;; *) refused="$refused; $1: $said";; esac; }
for each in $t $f; do
    try touch "$each/new"; try mkdir "$each/new"; try ln -s x "$each/new"; try mkfifo "$each/new"
    try ln "$each/one name" "$each/new"; try mv -f "$each/one name" "$each/new"; try rm -f "$each/one name"
    try rmdir $each/empty; try chmod 777 "$each/one name"; try chown 1 "$each/one name"
    write "$each/one name"
done
[ -z "$refused" ] && ok writes-refused || bad writes-refused "$refused"

# Out of the folder: by a mount inside of it.
said=$(ls $f/bind 2>&1); case $said in *denied*) ok bind-mount;; *) bad bind-mount "shows $said";; esac

# Four connections for one mount, all of them used.
nfs "$ours" "$server:/images/small" /four
readers() { for n in 0 1 2 3 4 5 6 7; do dd if=/four/root.squashfs bs=1M skip=$((n * 4)) count=4 2>/dev/null | sha256sum >/tmp/part.$n & done; wait; }
used() { awk '$1 == "device" { four = ($5 == "/four") } four && $1 == "xprt:" && $8 > 5 { n++ } END { print n + 0 }' /proc/self/mountstats; }
readers
cat /tmp/part.? >/tmp/parallel
echo 3 >/proc/sys/vm/drop_caches
for n in 0 1 2 3 4 5 6 7; do dd if=/four/root.squashfs bs=1M skip=$((n * 4)) count=4 2>/dev/null | sha256sum; done >/tmp/serial
[ "$(sort -u /tmp/parallel | wc -l)" = 8 ] && cmp -s /tmp/parallel /tmp/serial && [ "$(used)" = 4 ] && ok nconnect || bad nconnect "$(used) connections used"

# The mount programs of distributions.
mkdir -p /real /klibc
mount.nfs "$server:/roots/small" /real -o vers=3,nolock 2>/tmp/said && [ -e /real/etc/lab-note ] && umount /real &&
    ok mount.nfs || bad mount.nfs "$(cat /tmp/said)"
mount.nfs "$server:/images/small" /real -o "$ours" 2>/tmp/said && [ -e /real/root.squashfs ] && umount /real &&
    ok mount.nfs-with-ports || bad mount.nfs-with-ports "$(cat /tmp/said)"
/usr/lib/klibc/bin/nfsmount "$server:/roots/small" /klibc >/tmp/said 2>&1 && [ -e /klibc/etc/lab-note ] &&
    umount /klibc && ok klibc-nfsmount || bad klibc-nfsmount "$(cat /tmp/said)"

# From here on the server dies and comes back, and is replaced by another, while everything is read.
nfs "$ours,actimeo=0" "$server:/exports/signals" /signals || bad signals "no mount"
sum() {
    echo 3 >/proc/sys/vm/drop_caches
    for n in 0 1 2 3 4 5 6 7 8 9; do
        dd if=/four/root.squashfs bs=1M skip=$((n * 3)) count=1 2>/dev/null | sha256sum
        (cd /tree && tail -n +$((n * 20)) etc/lab-manifest | head -n 4 | sed 's,  /,  ,' | sha256sum -c 2>&1)
        (cd $f && sha256sum "two words" "other name" nnnnnnnn*)
        echo "lab: tick" >&2
    done
}
sum >/tmp/first
[ "$(grep -c ': OK$' /tmp/first)" = 40 ] || bad killed-servers "sums differ before anything happens"
rounds=0 wrong=0
echo "lab: reading while the server dies"
until [ -e /signals/stop ]; do
    sum >/tmp/now
    cmp -s /tmp/first /tmp/now || { wrong=$((wrong + 1)); diff /tmp/first /tmp/now; }
    rounds=$((rounds + 1))
done
[ $wrong = 0 ] && [ $rounds -gt 2 ] && ok killed-servers "$rounds rounds" || bad killed-servers "$wrong of $rounds rounds wrong"
[ "$(dmesg | grep -ci 'stale')" = 0 ] || bad killed-servers "the kernel speaks of stale handles"

# The same handles, from an address that may not use them any more.
echo "lab: read enough"
until [ -e /signals/changed ]; do sleep 0.2; done
echo 3 >/proc/sys/vm/drop_caches
said=$(cat "$f/two words" 2>&1)
case $said in *denied*) ok not-for-us-any-more;; *) bad not-for-us-any-more "got $said";; esac
[ "$(cat "$t/two words")" = spaces ] || bad not-for-us-any-more "nor is the tree"
verdict
