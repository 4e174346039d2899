#!/bin/busybox sh
# The peer's initrd: an address by DHCP, the root as the kernel command line says, the image's init.
#   peer.server=ADDRESS
#   peer.nfs=/PATH [peer.file=NAME]   files over NFS, or one file over NFS
#   peer.url=URL                      one file over HTTP into memory
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
fail() { echo "PEER INIT FAIL: $*"; sleep 1; poweroff -f; }
word() { for w in $(cat /proc/cmdline); do case $w in "$1="*) echo "${w#*=}"; return;; esac; done; }
echo "peer: initrd runs"
for module in virtio_pci virtio_net e1000e af_packet nfsv3 squashfs loop overlay; do modprobe -q $module; done
server=$(word peer.server) nfs=$(word peer.nfs) file=$(word peer.file) url=$(word peer.url)
ip link set lo up
ip link set eth0 up || fail "no eth0"
udhcpc -q -n -t 10 -T 1 -i eth0 -s /bin/leased || fail "no address"
mkdir -p /run/nfs /run/lower /run/rw
mount -t tmpfs tmpfs /run/rw
if [ -n "$url" ]; then
    wget -q -O /run/rw/root.squashfs "$url" || fail "cannot fetch $url"
    mount -t squashfs -o ro,loop /run/rw/root.squashfs /run/lower || fail "cannot mount the image"
else
    mount -t nfs -o ro,vers=3,proto=tcp,mountproto=tcp,nolock,addr=$server "$server:$nfs" /run/nfs || fail "cannot mount $nfs"
    if [ -n "$file" ]; then
        mount -t squashfs -o ro,loop "/run/nfs/$file" /run/lower || fail "cannot mount the image"
    else
        mount -o bind /run/nfs /run/lower
    fi
fi
mkdir -p /run/rw/upper /run/rw/work
mount -t overlay -o lowerdir=/run/lower,upperdir=/run/rw/upper,workdir=/run/rw/work root /newroot || fail "no overlay"
for each in proc sys dev; do mkdir -p /newroot/$each; mount -o move /$each /newroot/$each; done
mkdir -p /newroot/run; mount -t tmpfs tmpfs /newroot/run
echo "peer: root mounted"
exec switch_root /newroot /sbin/init
