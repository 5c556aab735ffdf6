#!/usr/bin/env bash
# Makes small disks that are laid out as distributions lay theirs out, for what is read of guests:
#
#   .ci/make-distributions.sh PACKED [NAME…]    PACKED is tests/data/guests; NAME is one of the functions below, else all
#
# They hold what an inspection reads, about thirty files; programs are ELF headers, drivers are names, kernels are empty.
# What is in them follows the public sources that are named at each. Needs qemu-img, sfdisk, mkfs.{ext4,xfs,btrfs,vfat},
# mcopy, cpio, zstd and python3; and root with a loop device for the subvolumes of btrfs, which is why what comes of it
# is committed and not made again by each run of the checks.
set -euo pipefail
export SOURCE_DATE_EPOCH=1700000000 PATH="$PATH:/usr/sbin:/sbin" LC_ALL=C MTOOLS_SKIP_CHECK=1
packed=$(realpath -m "${1:?usage: make-distributions.sh PACKED [NAME…]}")
mkdir -p "$packed"
work=$(mktemp -d)
trap 'umount "$work/mounted" 2> /dev/null || true; rm -rf "$work"' EXIT
cd "$work"

readonly ESP=C12A7328-F81F-11D2-BA4B-00A0C93EC93B BIOS=21686148-6449-6E6F-744E-656564454649
readonly LINUX=0FC63DAF-8483-4772-8E79-3D69D8477DE4
readonly ROOT=11111111-2222-4333-8444-555555555555 BOOT=22222222-2222-4333-8444-555555555555 ESP_ID=ABCD1234
readonly ESP_UUID=ABCD-1234

put() { mkdir -p "$(dirname "$1")"; cat > "$1"; } # FILE, from stdin
link() { mkdir -p "$(dirname "$2")"; ln -sfn "$1" "$2"; } # TARGET NAME
elf() { mkdir -p "$(dirname "$1")"; { printf '\177ELF\2\1\1'; head -c 9 /dev/zero; printf '\3\0\76\0\1\0\0\0'; } > "$1"; }

# skeleton NAME PRETTY ID VERSION [LINE…]: `tree` with a merged /usr, systemd, a shell, accounts and os-release.
skeleton() {
  rm -rf tree boot esp
  mkdir -p tree/{boot,dev,etc,home,proc,run,sys,tmp,var} tree/usr/{bin,sbin,lib,lib64} boot esp
  local folder
  for folder in bin lib lib64 sbin; do ln -s usr/$folder tree/$folder; done
  elf tree/usr/lib/systemd/systemd; elf tree/usr/bin/bash
  elf tree/usr/bin/passwd
  ln -s bash tree/usr/bin/sh; link ../lib/systemd/systemd tree/usr/sbin/init
  printf 'root:x:0:0:root:/root:/bin/bash\n' > tree/etc/passwd
  printf 'root:*:19000:0:99999:7:::\n' > tree/etc/shadow
  : > tree/etc/machine-id
  printf 'NAME="%s"\nPRETTY_NAME="%s"\nID=%s\nVERSION_ID="%s"\n' "${@:1:4}" > tree/usr/lib/os-release
  [[ $# -lt 5 ]] || printf '%s\n' "${@:5}" >> tree/usr/lib/os-release
  ln -s ../usr/lib/os-release tree/etc/os-release
}

# drivers RELEASE SUFFIX "BUILT-IN…" "MODULE…": the lists of modules of a kernel, and the modules.
drivers() {
  local folder=tree/usr/lib/modules/$1 module
  mkdir -p "$folder"
  for module in $3; do echo "kernel/drivers/$module.ko"; done > "$folder/modules.builtin"
  for module in $4; do echo "kernel/drivers/$module.ko$2:"; done > "$folder/modules.dep"
}

# initramfs FILE PACKER PREFIX SUFFIX "MODULE…": a small one with these modules.
initramfs() {
  rm -rf early
  local module
  mkdir -p early/etc
  for module in $5; do mkdir -p "early/$(dirname "$3/$module")"; : > "early/$3/$module.ko$4"; done
  mkdir -p "$(dirname "$1")"
  (cd early && find . -print0 | sort -z | cpio -0 -o -H newc --quiet --reproducible) | $2 > "$1"
}
gzipped() { gzip -9 -n; }
zstandard() { zstd -q -19 -c; }

cloud_init() { # SITE VERSION
  mkdir -p "tree/etc/cloud/cloud.cfg.d"
  printf '__VERSION__ = "%s"\n_PACKAGED_VERSION = "%s"\n' "${2%%-*}" "$2" | put "$1/cloudinit/version.py"
  printf 'users:\n - default\ndisable_root: true\n' > tree/etc/cloud/cloud.cfg
  elf tree/usr/bin/cloud-init
  local unit
  for unit in cloud-init-local cloud-init cloud-config cloud-final; do
    put "tree/usr/lib/systemd/system/$unit.service" <<< '[Unit]'
    link "/usr/lib/systemd/system/$unit.service" "tree/etc/systemd/system/cloud-init.target.wants/$unit.service"
  done
}

sshd() { # UNIT
  elf tree/usr/sbin/sshd
  printf 'PermitRootLogin prohibit-password\n' | put tree/etc/ssh/sshd_config
  printf '[Service]\nExecStart=/usr/sbin/sshd -D\n' | put "tree/usr/lib/systemd/system/$1.service"
  link "/usr/lib/systemd/system/$1.service" "tree/etc/systemd/system/multi-user.target.wants/$1.service"
}

growing() { elf tree/usr/bin/growpart; for tool in "$@"; do elf "tree/usr/sbin/$tool"; done; }

prototype() { # DIR: as mkfs.xfs takes it
  python3 - "$1" << 'PYTHON'
import os, sys
def folder(path):
    for name in sorted(os.listdir(path)):
        at = os.path.join(path, name)
        if os.path.islink(at):
            print(name, "l--777 0 0", os.readlink(at))
        elif os.path.isdir(at):
            print(name, "d--755 0 0")
            folder(at)
        else:
            print(name, "---644 0 0", at)
    print("$")
print("/\n0 0\nd--755 0 0")
folder(sys.argv[1])
PYTHON
}
ext4() { rm -f "$1"; truncate -s "$3"M "$1"; mkfs.ext4 -q -F -U "$4" -E hash_seed="$4",root_owner=0:0 -d "$2" "${@:5}" "$1"; } # FILE DIR MIB UUID
xfs() { rm -f "$1"; truncate -s "$3"M "$1"; prototype "$2" > proto; mkfs.xfs -q -m uuid="$4" -p proto "${@:5}" "$1"; }
fat() { # FILE DIR MIB
  rm -f "$1"; truncate -s "$3"M "$1"
  mkfs.vfat --invariant -F 16 -s 1 -i $ESP_ID "$1" > /dev/null
  (cd "$2" && mcopy -s -i "$work/$1" ./* ::)
}

# disk NAME TABLE FILE@MIB…: puts the file systems on a disk, and packs it.
disk() {
  local last=${*: -1} place
  rm -f disk.raw
  truncate -s $((${last#*@} + $(stat -c %s "${last%@*}") / 1048576 + 1))M disk.raw
  case $2 in *"label: dos"* | *$BIOS*) printf '\xeb\x63\x90boot code for tests' | dd of=disk.raw conv=notrunc status=none ;; esac
  sfdisk -q disk.raw <<< "$2"
  for place in "${@:3}"; do dd if="${place%@*}" of=disk.raw bs=1M seek="${place#*@}" conv=notrunc,sparse status=none; done
  qemu-img convert -f raw -O qcow2 -c disk.raw "$1.qcow2"
  gzip -9 -n -c "$1.qcow2" > "$packed/guest-$1.qcow2.gz"
  [[ $(stat -c %s "$packed/guest-$1.qcow2.gz") -le 61440 ]]
}
printf 'core image for tests' > core; truncate -s 1M core

# Rocky Linux 9, as its GenericCloud image: XFS, a boot partition, entries of the Boot Loader Specification with their
# arguments in grubenv as well, dracut with `hostonly=no`, NetworkManager without profiles, SELinux enforcing.
# Sources: rocky-linux/kickstarts: Rocky-9-GenericCloud-Base.ks; dracut.cmdline(7); grubby's 20-grub.install.
rocky() {
  local kernel=5.14.0-362.8.1.el9_3.x86_64 id=0f4d1a5c6e2b4f37a8c90d1e2f3a4b5c
  skeleton 'Rocky Linux' 'Rocky Linux 9.3 (Blue Onyx)' '"rocky"' 9.3 'ID_LIKE="rhel centos fedora"' 'PLATFORM_ID="platform:el9"'
  drivers $kernel .xz 'virtio/virtio_pci virtio/virtio virtio/virtio_ring firmware/qemu_fw_cfg' \
    'block/virtio_blk net/virtio_net nvme/host/nvme nvme/host/nvme-core scsi/virtio_scsi'
  printf 'CONFIG_VIRTIO_PCI=y\nCONFIG_VIRTIO_BLK=m\nCONFIG_VIRTIO_NET=m\nCONFIG_BLK_DEV_NVME=m\nCONFIG_FW_CFG_SYSFS=y\n' > boot/config-$kernel
  printf 'MZ' > boot/vmlinuz-$kernel
  initramfs boot/initramfs-$kernel.img gzipped usr/lib/modules/$kernel/kernel/drivers .xz \
    'block/virtio_blk net/virtio_net nvme/host/nvme nvme/host/nvme-core scsi/virtio_scsi'
  local arguments='console=ttyS0,115200n8 no_timer_check crashkernel=1G-4G:192M,4G-64G:256M,64G-:512M net.ifnames=0'
  put boot/loader/entries/$id-$kernel.conf << CONF
title Rocky Linux ($kernel) 9.3 (Blue Onyx)
version $kernel
linux /vmlinuz-$kernel
initrd /initramfs-$kernel.img \$tuned_initrd
options root=UUID=$ROOT ro $arguments \$tuned_params
grub_users \$grub_users
grub_arg --unrestricted
grub_class rocky
CONF
  put boot/grub2/grub.cfg << 'CFG'
set pager=1
if [ -f ${config_directory}/grubenv ]; then
  load_env -f ${config_directory}/grubenv
elif [ -s $prefix/grubenv ]; then
  load_env
fi
set default="${saved_entry}"
### BEGIN /etc/grub.d/10_linux ###
insmod part_gpt
insmod xfs
search --no-floppy --fs-uuid --set=root BOOT_UUID
insmod part_gpt
insmod xfs
search --no-floppy --fs-uuid --set=boot BOOT_UUID
insmod blscfg
blscfg
### END /etc/grub.d/10_linux ###
CFG
  sed -i "s/BOOT_UUID/$BOOT/" boot/grub2/grub.cfg
  python3 - "saved_entry=$id-$kernel" "kernelopts=root=UUID=$ROOT ro $arguments" > boot/grub2/grubenv << 'PYTHON'
import sys
print("\n".join(["# GRUB Environment Block", *sys.argv[1:], ""]).ljust(1024, "#"), end="")
PYTHON
  printf 'search --no-floppy --fs-uuid --set=dev %s\nset prefix=($dev)/grub2\nexport $prefix\nconfigfile $prefix/grub.cfg\n' $BOOT |
    put esp/EFI/rocky/grub.cfg
  printf 'MZ' | put esp/EFI/BOOT/BOOTX64.EFI; printf 'MZ' > esp/EFI/rocky/shimx64.efi; printf 'MZ' > esp/EFI/rocky/grubx64.efi
  put tree/etc/fstab << FSTAB
UUID=$ROOT	/	xfs	defaults	0	0
UUID=$BOOT	/boot	xfs	defaults	0	0
UUID=$ESP_UUID	/boot/efi	vfat	defaults,uid=0,gid=0,umask=077,shortname=winnt	0	2
FSTAB
  printf 'GRUB_DEFAULT=saved\nGRUB_CMDLINE_LINUX="%s"\nGRUB_ENABLE_BLSCFG=true\n' "$arguments" | put tree/etc/default/grub
  printf 'hostonly="no"\n' | put tree/usr/lib/dracut/dracut.conf.d/02-generic-image.conf
  elf tree/usr/sbin/NetworkManager
  put tree/usr/lib/systemd/system/NetworkManager.service <<< '[Unit]'
  link /usr/lib/systemd/system/NetworkManager.service tree/etc/systemd/system/multi-user.target.wants/NetworkManager.service
  printf 'NETWORKING=yes\n' | put tree/etc/sysconfig/network; mkdir -p tree/etc/NetworkManager/system-connections
  printf 'SELINUX=enforcing\nSELINUXTYPE=targeted\n' | put tree/etc/selinux/config
  : | put tree/etc/selinux/targeted/policy/policy.33
  cloud_init tree/usr/lib/python3.9/site-packages 23.1.1-11.el9; sshd sshd; growing xfs_growfs
  put tree/usr/lib/systemd/system/sshd-keygen@.service <<< '[Unit]'
  put tree/usr/lib/systemd/system/sshd-keygen.target <<< '[Unit]'
  printf '[Unit]\nWants=sshd-keygen.target\n[Service]\nExecStart=/usr/sbin/sshd -D\n' > tree/usr/lib/systemd/system/sshd.service
  fat esp.img esp 8; xfs boot.img boot 300 $BOOT -L boot; xfs root.img tree 300 $ROOT -L rocky
  disk rocky-9 "label: gpt
start=2048, size=16384, type=$ESP
size=614400, type=$LINUX
size=2048, type=$BIOS
size=614400, type=$LINUX" esp.img@1 boot.img@9 core@309 root.img@310
}

# Ubuntu Server 22.04, as the installer of its ISO leaves it: an ESP, and the root on ext4; cloud-init without a data
# source and without the network. Sources: canonical/subiquity: subiquity/models/subiquity.py (files of cloud-init),
# canonical/curtin: curtin/commands/install_grub.py, the kernel's config of linux-image-5.15.0-91-generic.
ubuntu() {
  local kernel=5.15.0-91-generic
  skeleton Ubuntu 'Ubuntu 22.04.3 LTS' ubuntu 22.04 ID_LIKE=debian 'VERSION_CODENAME=jammy'
  drivers $kernel '' 'block/virtio_blk net/virtio_net virtio/virtio_pci virtio/virtio virtio/virtio_ring' 'nvme/host/nvme nvme/host/nvme-core firmware/qemu_fw_cfg'
  printf 'CONFIG_VIRTIO_PCI=y\nCONFIG_VIRTIO_BLK=y\nCONFIG_VIRTIO_NET=y\nCONFIG_BLK_DEV_NVME=m\nCONFIG_FW_CFG_SYSFS=m\n' > tree/boot/config-$kernel
  printf 'MZ' > tree/boot/vmlinuz-$kernel
  initramfs tree/boot/initrd.img-$kernel zstandard usr/lib/modules/$kernel/kernel/drivers '' 'nvme/host/nvme nvme/host/nvme-core'
  link vmlinuz-$kernel tree/boot/vmlinuz; link initrd.img-$kernel tree/boot/initrd.img
  put tree/boot/grub/grub.cfg << CFG
if [ -s \$prefix/grubenv ]; then
  set have_grubenv=true
  load_env
fi
if [ "\${next_entry}" ] ; then
   set default="\${next_entry}"
else
   set default="0"
fi
menuentry 'Ubuntu' --class ubuntu --class gnu-linux --class gnu --class os \$menuentry_id_option 'gnulinux-simple-$ROOT' {
	recordfail
	load_video
	gfxmode \$linux_gfx_mode
	insmod gzio
	insmod part_gpt
	insmod ext2
	search --no-floppy --fs-uuid --set=root $ROOT
	linux	/boot/vmlinuz-$kernel root=UUID=$ROOT ro  
	initrd	/boot/initrd.img-$kernel
}
CFG
  printf 'MODULES=most\nCOMPRESS=zstd\n' | put tree/etc/initramfs-tools/initramfs.conf
  printf 'search.fs_uuid %s root \nset prefix=($root)'"'/boot/grub'"'\nconfigfile $prefix/grub.cfg\n' $ROOT | put esp/EFI/ubuntu/grub.cfg
  printf 'MZ' | put esp/EFI/BOOT/BOOTX64.EFI; printf 'MZ' > esp/EFI/ubuntu/shimx64.efi; printf 'MZ' > esp/EFI/ubuntu/grubx64.efi
  put tree/etc/fstab << FSTAB
# / was on /dev/sda2 during curtin installation
/dev/disk/by-uuid/$ROOT / ext4 defaults 0 1
# /boot/efi was on /dev/sda1 during curtin installation
/dev/disk/by-uuid/$ESP_UUID /boot/efi vfat defaults 0 1
/swap.img	none	swap	sw	0	0
FSTAB
  : > tree/swap.img
  printf "# This is the network config written by 'subiquity'\nnetwork:\n  ethernets:\n    ens33:\n      dhcp4: true\n  version: 2\n" |
    put tree/etc/netplan/00-installer-config.yaml
  cloud_init tree/usr/lib/python3/dist-packages 23.3.3-0ubuntu0~22.04.1; sshd ssh; growing resize2fs
  printf 'datasource:\n  None:\n    metadata:\n      instance-id: 4c1a0f6e-2f44-4f0b-8d1e-0a1b2c3d4e5f\n    userdata_raw: "#cloud-config\\n{}\\n"\ndatasource_list: [None]\n' \
    > tree/etc/cloud/cloud.cfg.d/99-installer.cfg
  printf 'datasource_list: [ NoCloud, ConfigDrive, AliYun, Ec2, None ]\n' > tree/etc/cloud/cloud.cfg.d/90_dpkg.cfg
  printf 'policy: enabled\n' > tree/etc/cloud/ds-identify.cfg
  printf 'network: {config: disabled}\n' > tree/etc/cloud/cloud.cfg.d/subiquity-disable-cloudinit-networking.cfg
  local key
  for key in rsa ecdsa ed25519; do printf 'not a key' > tree/etc/ssh/ssh_host_${key}_key; done
  fat esp.img esp 8; ext4 root.img tree 16 $ROOT
  disk ubuntu-22.04-iso "label: gpt
start=2048, size=16384, type=$ESP
size=32768, type=$LINUX" esp.img@1 root.img@9
}

# openSUSE Leap 15.5, as its installer leaves it on btrfs: the default subvolume is @/.snapshots/1/snapshot, beside it
# those of /boot/grub2, /home, /root, /srv, /tmp, /usr/local, /var and /.snapshots. Sources: openSUSE wiki
# SDB:BTRFS, yast/yast-storage-ng: doc/btrfs, the kernel's config of kernel-default-5.14.21-150500.
opensuse() {
  local kernel=5.14.21-150500.55.36-default
  skeleton 'openSUSE Leap' 'openSUSE Leap 15.5' '"opensuse-leap"' 15.5 'ID_LIKE="suse opensuse"'
  drivers $kernel .zst '' 'block/virtio_blk net/virtio_net virtio/virtio_pci virtio/virtio virtio/virtio_ring nvme/host/nvme nvme/host/nvme-core firmware/qemu_fw_cfg'
  printf 'CONFIG_VIRTIO_PCI=m\nCONFIG_VIRTIO_BLK=m\nCONFIG_VIRTIO_NET=m\nCONFIG_BLK_DEV_NVME=m\nCONFIG_FW_CFG_SYSFS=m\n' > tree/boot/config-$kernel
  printf 'MZ' > tree/boot/vmlinuz-$kernel
  initramfs tree/boot/initrd-$kernel zstandard lib/modules/$kernel/kernel/drivers .zst \
    'block/virtio_blk net/virtio_net virtio/virtio_pci virtio/virtio virtio/virtio_ring nvme/host/nvme nvme/host/nvme-core'
  link vmlinuz-$kernel tree/boot/vmlinuz; link initrd-$kernel tree/boot/initrd
  mkdir grub2
  cat > grub2/grub.cfg << CFG
set btrfs_relative_path="y"
export btrfs_relative_path
if [ -s \$prefix/grubenv ]; then
  load_env
fi
set default="\${saved_entry}"
menuentry 'openSUSE Leap 15.5'  --class opensuse --class gnu-linux --class gnu --class os \$menuentry_id_option 'gnulinux-simple-$ROOT' {
	load_video
	set gfxpayload=keep
	insmod gzio
	insmod part_gpt
	insmod btrfs
	search --no-floppy --fs-uuid --set=root $ROOT
	echo	'Loading Linux $kernel ...'
	linux	/boot/vmlinuz-$kernel root=UUID=$ROOT  \${extra_cmdline} splash=silent mitigations=auto quiet
	echo	'Loading initial ramdisk ...'
	initrd	/boot/initrd-$kernel
}
CFG
  python3 -c 'print("# GRUB Environment Block\n".ljust(1024, "#"), end="")' > grub2/grubenv
  {
    echo "UUID=$ROOT  /                       btrfs  defaults                      0  0"
    local folder
    for folder in var usr/local tmp srv root opt home boot/grub2/x86_64-efi boot/grub2/i386-pc; do
      echo "UUID=$ROOT  /$folder  btrfs  subvol=/@/$folder  0  0"
    done
    echo "UUID=$ESP_UUID  /boot/efi  vfat  utf8  0  2"
    echo "UUID=$ROOT  /.snapshots  btrfs  subvol=/@/.snapshots  0  0"
  } > tree/etc/fstab
  printf "BOOTPROTO='dhcp'\nSTARTMODE='auto'\n" | put tree/etc/sysconfig/network/ifcfg-eth0
  printf 'SELINUX=disabled\n' | put tree/etc/selinux/config
  put tree/usr/lib/systemd/system/wicked.service <<< '[Unit]'
  link /usr/lib/systemd/system/wicked.service tree/etc/systemd/system/multi-user.target.wants/wicked.service
  link /usr/lib/systemd/system/wicked.service tree/etc/systemd/system/network.service
  elf tree/usr/sbin/wicked
  cloud_init tree/usr/lib/python3.6/site-packages 23.1-150100.8.71.1; sshd sshd; growing btrfs
  elf tree/usr/sbin/sshd-gen-keys-start
  printf '[Service]\nExecStartPre=/usr/sbin/sshd-gen-keys-start\nExecStart=/usr/sbin/sshd -D\n' > tree/usr/lib/systemd/system/sshd.service
  printf 'MZ' | put esp/EFI/BOOT/BOOTX64.EFI
  printf 'search.fs_uuid %s root \nset prefix=($root)'"'/boot/grub2'"'\nsource "${prefix}/grub.cfg"\n' $ROOT | put esp/EFI/opensuse/grub.cfg
  printf 'MZ' > esp/EFI/opensuse/grubx64.efi
  rm -f root.img; truncate -s 128M root.img; mkfs.btrfs -q -U $ROOT root.img > /dev/null 2>&1; mkdir -p mounted
  mount -o loop root.img mounted
  (
    cd mounted
    btrfs -q subvolume create @
    mkdir -p @/usr @/boot/grub2
    for folder in var usr/local tmp srv root opt home boot/grub2/x86_64-efi boot/grub2/i386-pc .snapshots; do
      btrfs -q subvolume create "@/$folder"
    done
    mkdir @/.snapshots/1
    btrfs -q subvolume create @/.snapshots/1/snapshot
    cp -a ../tree/. @/.snapshots/1/snapshot/
    cp -a ../grub2 @/.snapshots/1/snapshot/boot/
    rmdir @/.snapshots/1/snapshot/var; mkdir -p @/.snapshots/1/snapshot/{.snapshots,var,usr/local,boot/grub2/x86_64-efi,boot/grub2/i386-pc}
    btrfs subvolume set-default @/.snapshots/1/snapshot
  )
  cd "$work"; umount mounted
  fat esp.img esp 8
  disk opensuse-leap-15.5 "label: gpt
start=2048, size=2048, type=$BIOS
size=16384, type=$ESP
size=262144, type=$LINUX" core@1 esp.img@2 root.img@10
}

# Alpine 3.19, as setup-disk leaves it: an MBR, /boot and the root on ext4, extlinux, OpenRC, linux-virt. Sources:
# alpinelinux/alpine-conf: setup-disk.in, alpinelinux/mkinitfs: features.d/virtio.modules, update-extlinux(8).
alpine() {
  local kernel=6.6.7-0-virt
  skeleton 'Alpine Linux' 'Alpine Linux v3.19' alpine 3.19.0
  rm -r tree/{bin,sbin,lib,lib64} tree/usr/lib/systemd tree/usr/{bin/bash,bin/sh,sbin/init}
  mkdir tree/{bin,sbin,lib}
  elf tree/bin/busybox; link /bin/busybox tree/bin/sh; link /bin/busybox tree/sbin/init; elf tree/sbin/openrc
  sed -i 's|/bin/bash|/bin/ash|' tree/etc/passwd; link /bin/busybox tree/bin/ash
  drivers $kernel .gz 'virtio/virtio virtio/virtio_ring' 'block/virtio_blk net/virtio_net virtio/virtio_pci nvme/host/nvme nvme/host/nvme-core firmware/qemu_fw_cfg'
  mv tree/usr/lib/modules tree/lib/modules
  printf 'MZ' > boot/vmlinuz-virt
  printf 'CONFIG_VIRTIO_PCI=m\nCONFIG_VIRTIO_BLK=m\nCONFIG_VIRTIO_NET=m\nCONFIG_BLK_DEV_NVME=m\nCONFIG_FW_CFG_SYSFS=m\n' > boot/config-$kernel
  initramfs boot/initramfs-virt gzipped lib/modules/$kernel/kernel/drivers .gz \
    'block/virtio_blk net/virtio_net virtio/virtio_pci nvme/host/nvme nvme/host/nvme-core'
  put boot/extlinux.conf << CONF
# Generated by update-extlinux 6.04_pre1-r15
DEFAULT menu.c32
PROMPT 0
MENU TITLE Alpine/Linux Boot Menu
MENU HIDDEN
MENU AUTOBOOT Alpine will be booted automatically in # seconds.
TIMEOUT 10
LABEL virt
  MENU DEFAULT
  MENU LABEL Linux virt
  LINUX vmlinuz-virt
  INITRD initramfs-virt
  APPEND root=UUID=$ROOT modules=sd-mod,usb-storage,ext4,nvme,virtio_blk,virtio_pci quiet rootfstype=ext4

MENU SEPARATOR
CONF
  printf 'UUID=%s\t/\text4\trw,relatime 0 1\nUUID=%s\t/boot\text4\trw,relatime 0 2\ntmpfs\t/tmp\ttmpfs\tnosuid,nodev\t0\t0\n' $ROOT $BOOT > tree/etc/fstab
  printf 'features="ata base ide scsi usb virtio ext4 nvme"\n' | put tree/etc/mkinitfs/mkinitfs.conf
  printf 'auto lo\niface lo inet loopback\n\nauto eth0\niface eth0 inet dhcp\n' | put tree/etc/network/interfaces
  elf tree/usr/sbin/sshd; printf 'PermitRootLogin prohibit-password\n' | put tree/etc/ssh/sshd_config
  printf '#!/sbin/openrc-run\nstart() { ssh-keygen -A; }\n' | put tree/etc/init.d/sshd
  link /etc/init.d/sshd tree/etc/runlevels/default/sshd
  printf '__VERSION__ = "23.4.1"\n_PACKAGED_VERSION = "@@PACKAGED_VERSION@@"\n' | put tree/usr/lib/python3.11/site-packages/cloudinit/version.py
  elf tree/usr/bin/cloud-init
  printf 'users:\n - default\n' | put tree/etc/cloud/cloud.cfg
  local service
  for service in cloud-init-local cloud-init; do link /etc/init.d/$service tree/etc/runlevels/boot/$service; done
  for service in cloud-config cloud-final; do link /etc/init.d/$service tree/etc/runlevels/default/$service; done
  for service in cloud-init-local cloud-init cloud-config cloud-final; do put tree/etc/init.d/$service <<< '#!/sbin/openrc-run'; done
  growing resize2fs
  ext4 boot.img boot 8 $BOOT -O ^64bit; ext4 root.img tree 16 $ROOT
  disk alpine-3.19 "label: dos
label-id: 0x12345678
start=2048, size=16384, type=83, bootable
size=32768, type=83" boot.img@1 root.img@9
}

# Arch Linux with systemd-boot: the ESP is /boot, mkinitcpio with `autodetect` off, systemd-networkd. Sources: Arch wiki
# "systemd-boot", "mkinitcpio", "systemd-networkd"; archlinux/arch-boxes.
arch() {
  local kernel=6.6.8-arch1-1
  skeleton 'Arch Linux' 'Arch Linux' arch TEMPLATE
  sed -i 's/^VERSION_ID=.*/BUILD_ID=rolling/' tree/usr/lib/os-release
  drivers $kernel .zst 'virtio/virtio virtio/virtio_ring' 'block/virtio_blk net/virtio_net virtio/virtio_pci nvme/host/nvme nvme/host/nvme-core firmware/qemu_fw_cfg'
  printf 'MZ' > tree/usr/lib/modules/$kernel/vmlinuz
  printf 'linux\n' > tree/usr/lib/modules/$kernel/pkgbase
  printf 'MZ' > esp/vmlinuz-linux
  initramfs esp/initramfs-linux.img zstandard usr/lib/modules/$kernel/kernel/drivers .zst \
    'block/virtio_blk net/virtio_net virtio/virtio_pci nvme/host/nvme nvme/host/nvme-core'
  printf 'default arch.conf\ntimeout 1\nconsole-mode max\n' | put esp/loader/loader.conf
  printf 'title Arch Linux\nlinux /vmlinuz-linux\ninitrd /initramfs-linux.img\noptions root=UUID=%s rw net.ifnames=0\n' $ROOT | put esp/loader/entries/arch.conf
  printf 'MZ' | put esp/EFI/BOOT/BOOTX64.EFI; printf 'MZ' | put esp/EFI/systemd/systemd-bootx64.efi
  printf 'UUID=%s\t/\text4\trw,relatime\t0 1\nUUID=%s\t/boot\tvfat\trw,relatime,fmask=0022\t0 2\n' $ROOT $ESP_UUID > tree/etc/fstab
  printf 'MODULES=()\nHOOKS=(base systemd modconf block filesystems fsck)\n' > tree/etc/mkinitcpio.conf
  printf '[Match]\nName=eth0\n\n[Network]\nDHCP=yes\n' | put tree/etc/systemd/network/80-dhcp.network
  elf tree/usr/lib/systemd/systemd-networkd
  put tree/usr/lib/systemd/system/systemd-networkd.service <<< '[Unit]'
  link /usr/lib/systemd/system/systemd-networkd.service tree/etc/systemd/system/multi-user.target.wants/systemd-networkd.service
  cloud_init tree/usr/lib/python3.11/site-packages 23.4.1
  sshd sshd; mv tree/usr/sbin/sshd tree/usr/bin/sshd; rm -r tree/usr/sbin; ln -s bin tree/usr/sbin; link ../lib/systemd/systemd tree/usr/bin/init
  put tree/usr/lib/systemd/system/sshdgenkeys.service <<< '[Unit]'
  printf '[Unit]\nWants=sshdgenkeys.service\n[Service]\nExecStart=/usr/bin/sshd -D\n' > tree/usr/lib/systemd/system/sshd.service
  elf tree/usr/bin/growpart; elf tree/usr/bin/resize2fs
  fat esp.img esp 8; ext4 root.img tree 16 $ROOT
  disk arch-systemd-boot "label: gpt
start=2048, size=16384, type=$ESP
size=32768, type=$LINUX" esp.img@1 root.img@9
}

# Fedora CoreOS 38 before its first start: the root holds ostree's deployment and nothing else, Ignition does the rest.
# Sources: coreos/coreos-assembler: src/create_disk.sh, coreos/fedora-coreos-config: manifests, overlay.d/05core, ostree-boot-complete(8).
coreos() {
  local kernel=6.5.9-200.fc38.x86_64 commit=8d2a3c1b4e5f60718293a4b5c6d7e8f90123456789abcdef0123456789abcdef
  local sum=1f2e3d4c5b6a79880123456789abcdef0123456789abcdef0123456789abcdef
  skeleton 'Fedora Linux' 'Fedora CoreOS 38.20231027.3.2' fedora 38 VARIANT_ID=coreos 'VARIANT="CoreOS"'
  drivers $kernel .xz 'block/virtio_blk virtio/virtio_pci virtio/virtio virtio/virtio_ring' 'net/virtio_net nvme/host/nvme nvme/host/nvme-core'
  sshd sshd
  elf tree/usr/sbin/xfs_growfs
  for unit in NetworkManager sshd-keygen@; do
    printf '[Service]\nExecStart=/usr/lib/%s\n' $unit | put tree/usr/lib/systemd/system/$unit.service
  done
  link /usr/lib/systemd/system/NetworkManager.service tree/etc/systemd/system/multi-user.target.wants/NetworkManager.service
  link /usr/lib/systemd/system/sshd-keygen@.service tree/etc/systemd/system/sshd-keygen.target.wants/sshd-keygen@rsa.service
  printf '[Unit]\nDescription=Ignition OSTree: Grow Root Filesystem\n' |
    put tree/usr/lib/dracut/modules.d/40ignition-ostree/ignition-ostree-growfs.service
  mv tree deployment
  rm -r deployment/{boot,dev,home,proc,run,sys,tmp,var}
  mkdir -p tree/ostree/deploy/fedora-coreos/{deploy,var} tree/ostree/repo tree/boot
  mv deployment tree/ostree/deploy/fedora-coreos/deploy/$commit.0
  mkdir -p tree/ostree/boot.1.1/fedora-coreos/$sum
  ln -s boot.1.1 tree/ostree/boot.1
  ln -s ../../../deploy/fedora-coreos/deploy/$commit.0 tree/ostree/boot.1.1/fedora-coreos/$sum/0
  mkdir -p boot/ostree/fedora-coreos-$sum boot/loader.1/entries boot/grub2
  ln -s loader.1 boot/loader; ln -s . boot/boot
  printf 'MZ' > boot/ostree/fedora-coreos-$sum/vmlinuz-$kernel
  initramfs boot/ostree/fedora-coreos-$sum/initramfs-$kernel.img gzipped usr/lib/modules/$kernel/kernel/drivers .xz \
    'net/virtio_net nvme/host/nvme nvme/host/nvme-core'
  put boot/loader.1/entries/ostree-1-fedora-coreos.conf << CONF
title Fedora CoreOS 38.20231027.3.2 (ostree:0)
version 1
options mitigations=auto,nosmt ignition.platform.id=aliyun console=tty0 console=ttyS0,115200n8 \$ignition_firstboot ostree=/ostree/boot.1/fedora-coreos/$sum/0
linux /ostree/fedora-coreos-$sum/vmlinuz-$kernel
initrd /ostree/fedora-coreos-$sum/initramfs-$kernel.img
CONF
  printf 'set pager=1\nsearch --label boot --set boot --no-floppy\nset root=$boot\nif [ -f "/ignition.firstboot" ]; then\n  set ignition_firstboot="ignition.firstboot"\nfi\nblscfg\n' > boot/grub2/grub.cfg
  : > boot/ignition.firstboot
  printf 'MZ' | put esp/EFI/BOOT/BOOTX64.EFI
  printf 'search --label boot --set prefix --no-floppy\nset prefix=($prefix)/grub2\nnormal\n' | put esp/EFI/fedora/grub.cfg
  fat esp.img esp 8; ext4 boot.img boot 8 $BOOT -L boot; xfs root.img tree 300 $ROOT -L root
  disk fedora-coreos-38 "label: gpt
start=2048, size=2048, type=$BIOS, name=BIOS-BOOT
size=16384, type=$ESP, name=EFI-SYSTEM
size=16384, type=$LINUX, name=boot
size=614400, type=$LINUX, name=root" core@1 esp.img@2 boot.img@10 root.img@18
}

# Flatcar: the root is empty before the first start, /usr is a partition of its own (btrfs since 2022), GRUB has its configuration in
# itself, and the kernels are on the EFI partition.
# Sources: flatcar/scripts: build_library/disk_layout.json, build_library/grub.cfg; flatcar/init: systemd/.
flatcar() {
  local kernel=6.6.54-flatcar
  skeleton 'Flatcar Container Linux by Kinvolk' 'Flatcar Container Linux by Kinvolk 3975.2.2 (Oklo)' flatcar 3975.2.2
  drivers $kernel .xz 'block/virtio_blk virtio/virtio_pci virtio/virtio virtio/virtio_ring net/virtio_net nvme/host/nvme nvme/host/nvme-core firmware/qemu_fw_cfg' ''
  elf tree/usr/sbin/sshd; elf tree/usr/sbin/resize2fs
  for unit in sshd extend-filesystems sshd-keygen systemd-networkd; do
    printf '[Service]\nExecStart=/usr/lib/%s\n' $unit | put tree/usr/lib/systemd/system/$unit.service
    link "../$unit.service" "tree/usr/lib/systemd/system/multi-user.target.wants/$unit.service"
  done
  printf '[Match]\nName=*\n\n[Network]\nDHCP=yes\n' | put tree/usr/lib/systemd/network/zz-default.network
  printf 'PermitRootLogin no\n' | put tree/etc/ssh/sshd_config
  mkdir -p tree/usr/share/flatcar; mv tree/etc tree/usr/share/flatcar/etc
  rm tree/usr/share/flatcar/etc/machine-id; mkdir empty oem
  printf 'set oem_id="qemu"\n' > oem/grub.cfg
  printf 'MZ' | put esp/EFI/boot/bootx64.efi; printf 'MZ' > esp/EFI/boot/grubx64.efi
  printf 'MZ' | put esp/flatcar/vmlinuz-a; : > esp/flatcar/first_boot
  fat esp.img esp 8; ext4 root.img empty 200 $ROOT -L ROOT; ext4 oem.img oem 8 $BOOT -L OEM
  rm -f usr.img; truncate -s 128M usr.img; mkfs.btrfs -q -U 33333333-2222-4333-8444-555555555555 --rootdir tree/usr usr.img > /dev/null 2>&1
  disk flatcar-3975 "label: gpt
start=2048, size=16384, type=$ESP, name=EFI-SYSTEM
size=2048, type=$BIOS, name=BIOS-BOOT
size=262144, type=5DFBF5F4-2848-4BAC-AA5E-0D9A20B745A6, name=USR-A
size=16384, type=$LINUX, name=OEM
size=409600, type=3884DD41-8582-4404-B9A8-E9B84F2DF50E, name=ROOT" esp.img@1 core@9 usr.img@10 oem.img@138 root.img@146
}

names=("${@:2}")
for distribution in "${names[@]:-rocky ubuntu opensuse alpine arch coreos flatcar}"; do
  for name in $distribution; do $name; done
done
cp ./*.qcow2 "${KEEP:-.}" 2> /dev/null || true
