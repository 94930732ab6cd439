#!/bin/sh
# Boots a Debian with systemd: boot.sh ROOT SCRATCH SHARED CGROUP. It runs as the first process of
# namespaces of its own, but for the network, which is the caller's. ROOT stays as it is, SCRATCH is
# an empty folder, SHARED is seen as /shared, CGROUP is an empty cgroup (v2) of the caller's.
set -eu
root=$1 scratch=$2 shared=$3 cgroup=$4

mount --make-rprivate /
mount -t tmpfs tmpfs "$scratch"
mkdir "$scratch/upper" "$scratch/work" "$scratch/new"
new=$scratch/new
mount -t overlay overlay -o "lowerdir=$root,upperdir=$scratch/upper,workdir=$scratch/work" "$new"
mkdir -p "$new/shared" "$new/former"
mount --bind "$shared" "$new/shared"
mount -t proc proc "$new/proc"
mount -t sysfs sysfs "$new/sys"
mount -t tmpfs tmpfs "$new/run"
mount -t tmpfs -o mode=755 tmpfs "$new/dev"
for device in null zero full random urandom tty; do
    touch "$new/dev/$device"
    mount --bind "/dev/$device" "$new/dev/$device"
done
mkdir "$new/dev/pts" "$new/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$new/dev/pts"
ln -s pts/ptmx "$new/dev/ptmx"
mount --bind "$cgroup" "$new/sys/fs/cgroup"
cd "$new"
pivot_root . former
umount -l /former
exec env -i container=laboratory PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --log-target=console --show-status=false
