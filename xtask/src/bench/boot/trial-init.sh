#!/bin/busybox sh
# The trial's initrd: as little as gets to the image's own init.
#   trial.address= trial.netmask=   what iPXE leased
#   trial.server= trial.nfs=        the folder over NFS that root.squashfs is in
b=/bin/busybox
fail() { echo "TRIAL FAIL: $*"; $b sleep 1; $b poweroff -f; }
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs dev /dev
read -r line </proc/cmdline
for word in $line; do
    case $word in
    trial.address=*) address=${word#*=} ;;
    trial.netmask=*) netmask=${word#*=} ;;
    trial.server=*) server=${word#*=} ;;
    trial.nfs=*) nfs=${word#*=} ;;
    esac
done
for module in virtio_pci virtio_net nfsv3 squashfs loop overlay; do $b modprobe -q $module; done
$b ifconfig eth0 "$address" netmask "$netmask" up || fail "no eth0"
$b mkdir -p /run/nfs /run/lower /run/rw
$b mount -t tmpfs tmpfs /run/rw
$b mount -t nfs -o "ro,vers=3,proto=tcp,mountproto=tcp,nolock,addr=$server" "$server:$nfs" /run/nfs || fail "cannot mount $nfs"
$b mount -t squashfs -o ro,loop /run/nfs/root.squashfs /run/lower || fail "cannot mount the image"
$b mkdir /run/rw/upper /run/rw/work
$b mount -t overlay -o lowerdir=/run/lower,upperdir=/run/rw/upper,workdir=/run/rw/work root /newroot || fail "no overlay"
echo "trial: the root is mounted"
for each in proc sys dev; do $b mount -o move /$each /newroot/$each; done
exec $b switch_root /newroot /sbin/init
