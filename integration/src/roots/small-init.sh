#!/bin/busybox sh
# The small root's init: judges what it was booted from, says so on the console, switches off.
# The kernel command line tells it what the test expects:
#   lab.root=image|tree|ram   how the root must have come
#   lab.nfs=SERVER:/PATH      an export that must refuse to be written
#   lab.mountport=PORT        where that server answers MOUNT
#   lab.wait=1                to wait for a line on the console before the checks, for a server that changes meanwhile
#   lab.damaged=1             that a block of the root is damaged, until somebody has seen that it is
# and netbootd.verity= that every block of the root is checked.
bb=/bin/busybox
fail() { echo "VERDICT FAIL: $*"; $bb sleep 1; $bb poweroff -f; }
word() { for w in $($bb cat /proc/cmdline); do case $w in "$1="*) echo "${w#*=}"; return;; esac; done; }

[ -e /proc/self ] || $bb mount -t proc proc /proc
[ -e /sys/kernel ] || $bb mount -t sysfs sysfs /sys
[ -c /dev/null ] || $bb mount -t devtmpfs dev /dev
echo "lab: init of the image runs"
root=$(word lab.root)
nfs=$(word lab.nfs)
[ -n "$root" ] && [ -n "$nfs" ] || fail "the kernel command line lacks lab.root= or lab.nfs="

if [ -n "$(word lab.wait)" ]; then
    echo "lab: waiting for a line"
    read -r _ </dev/console
fi

# 0. Damage is a read error for who reads it, and none any more when the server has been put right.
unreadable() { $bb find /lib/modules/ -type f -exec $bb cat {} + 2>&1 >/dev/null; }
if [ -n "$(word lab.damaged)" ]; then
    said=$(unreadable)
    case $said in *"Input/output error"*) ;; *) fail "a damaged root reads without an error: $said";; esac
    echo "lab: damage is a read error: $said"
    tries=0
    while [ -n "$(unreadable)" ]; do
        tries=$((tries + 1))
        [ $tries -lt 60 ] || fail "still $(unreadable)"
        $bb sleep 2
    done
    echo "lab: what was damaged can be read again"
fi

# 1. Every byte that we read is the byte that the image has.
good=0
$bb sha256sum -c /etc/lab-manifest >/run/sums 2>&1 || fail "sums differ: $($bb grep -v ': OK$' /run/sums | $bb head -n 3)"
good=$($bb grep -c ': OK$' /run/sums)
echo "lab: $good files have the right sum"

# 2. The root came the way it was meant to.
volumes=$($bb sed 1d /proc/fs/nfsfs/volumes 2>/dev/null | $bb grep -c .)
loops=$($bb cat /sys/block/loop*/loop/backing_file 2>/dev/null | $bb grep -c .)
case $root in
    image) [ "$loops" -gt 0 ] && [ "$volumes" -gt 0 ] || fail "root=image, but $loops loops and $volumes NFS volumes";;
    tree)  [ "$loops" -eq 0 ] && [ "$volumes" -gt 0 ] || fail "root=tree, but $loops loops and $volumes NFS volumes";;
    ram)   [ "$loops" -gt 0 ] && [ "$volumes" -eq 0 ] || fail "root=ram, but $loops loops and $volumes NFS volumes";;
    *)     fail "lab.root=$root";;
esac
if [ -n "$(word netbootd.verity)" ]; then
    [ "$($bb cat /sys/block/dm-0/dm/name)" = netbootd-root ] && [ -n "$($bb ls /sys/block/dm-0/slaves)" ] \
        || fail "nobody checks the blocks of the root"
    echo "lab: the blocks of the root are checked"
fi
echo "lab: the root came as $root"

# 3. The overlay takes what we write: new files, changed files, removed files.
echo "changed by the client" >/etc/lab-note || fail "cannot change a file of the image"
[ "$($bb cat /etc/lab-note)" = "changed by the client" ] || fail "the change was lost"
$bb mkdir -p /var/lab/new && echo new >/var/lab/new/file || fail "cannot make a file"
first=$($bb head -n 1 /etc/lab-manifest); first=${first#*  }
$bb rm "$first" && [ ! -e "$first" ] || fail "cannot remove a file of the image"
echo "lab: the overlay takes writes"

# 4. The server refuses to be written, whatever the client's mount says.
/sbin/modprobe nfsv3 2>/dev/null
server=${nfs%%:*}
$bb mount -t nfs -o rw,vers=3,proto=tcp,mountproto=tcp,port=2049,mountport="$(word lab.mountport)",nolock,addr="$server" "$nfs" /mnt \
    || fail "cannot mount $nfs"
[ -n "$($bb ls /mnt)" ] || fail "$nfs is empty"
refused=$($bb touch /mnt/lab-was-here 2>&1) && fail "the server took a new file"
case $refused in *"Read-only file system"*) ;; *) fail "the server's refusal was: $refused";; esac
refused=$($bb rm -f /mnt/etc/lab-note 2>&1) && fail "the server removed a file"
case $refused in *"Read-only file system"*) ;; *) fail "the server's refusal was: $refused";; esac
$bb umount /mnt
echo "lab: the server refused to be written"

echo "VERDICT PASS $good files"
$bb sleep 1
$bb poweroff -f
