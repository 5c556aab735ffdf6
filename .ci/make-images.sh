#!/usr/bin/env bash
# Makes one disk image of every kind that `ossup inspect` tells apart, into the directory given.
#
#   .ci/make-images.sh DIR            then: OSSUP_IMAGE_DIR=DIR cargo test --test image_fixtures
#   .ci/make-images.sh DIR PACKED     also packs the small ones with gzip into PACKED (tests/data/images)
#
# Needs qemu-img, sfdisk, sgdisk, mkfs.{ext4,xfs,btrfs,vfat,ntfs}, mcopy, xorriso, cryptsetup, pvcreate, xz, zstd,
# bzip2, lz4, zip, 7z and python3 (Debian: qemu-utils fdisk gdisk e2fsprogs xfsprogs btrfs-progs dosfstools ntfs-3g
# mtools xorriso cryptsetup-bin lvm2 xz-utils zstd bzip2 lz4 zip p7zip-full python3). No root, no loop devices, no
# network.
set -euo pipefail

here=$(dirname "$(realpath "$0")")
out=${1:?usage: make-images.sh DIR [PACKED]}
packed=${2:+$(realpath -m "$2")}
mkdir -p "$out"
cd "$out"
export SOURCE_DATE_EPOCH=1700000000 PATH="$PATH:/usr/sbin:/sbin"

# What a BIOS would run: a jump and some bytes, not a loader.
boot_code() { printf '\xeb\x63\x90boot code for tests' | dd of="$1" conv=notrunc status=none; }
core() { printf 'core image for tests' | dd of="$1" bs=1M seek="$2" conv=notrunc status=none; } # DISK MIB
patch() { printf "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none; }  # FILE OFFSET BYTES
ext4() { # FILE OFFSET SIZE [OPTION…]
  mke2fs -q -F -t ext4 -U 11111111-2222-3333-4444-555555555555 \
    -E "offset=$2,hash_seed=11111111-2222-3333-4444-555555555555,root_owner=0:0" "${@:4}" "$1" "$3"
}
place() { dd if="$2" of="$1" bs=1M seek="$3" conv=notrunc,sparse status=none; } # DISK FILE MIB
esp() { # DISK MIB LOADER…: an EFI system partition of 2 MiB with these loaders
  rm -f esp.tmp
  truncate -s 2M esp.tmp
  mkfs.vfat --invariant -i 12345678 esp.tmp > /dev/null
  mmd -i esp.tmp ::/EFI ::/EFI/BOOT
  for loader in "${@:3}"; do printf 'MZ' | mcopy -i esp.tmp - "::/EFI/BOOT/$loader"; done
  place "$1" esp.tmp "$2"
  rm esp.tmp
}
disk() { rm -f "$1"; truncate -s "$2" "$1"; }
dos() { sfdisk -q "$1" <<< "label: dos
label-id: 0x12345678
$2"; }
gpt() { sfdisk -q "$1" <<< "label: gpt
label-id: 11111111-1111-1111-1111-111111111111
$2"; }
ESP=C12A7328-F81F-11D2-BA4B-00A0C93EC93B
BIOS=21686148-6449-6E6F-744E-656564454649
LINUX=0FC63DAF-8483-4772-8E79-3D69D8477DE4
BASIC=EBD0A0A2-B9E5-4433-87C0-68B6B72699C7
RECOVERY=DE94BBA4-06D1-4D40-A16A-BFD50179D6AC
LVM=E6D6D379-F507-44C2-A23C-238F2A3DF928

# RAW disks with an MBR.
disk mbr.raw 8M; dos mbr.raw 'start=2048, size=12288, type=83, bootable'; boot_code mbr.raw; ext4 mbr.raw 1048576 6M
cp mbr.raw mbr-inactive.raw; patch mbr-inactive.raw 446 '\x00'
cp mbr.raw mbr-no-code.raw; dd if=/dev/zero of=mbr-no-code.raw bs=440 count=1 conv=notrunc status=none
cp mbr.raw mbr-cut.raw; truncate -s 5M mbr-cut.raw
cp mbr.raw mbr-byte-short.raw; truncate -s -1 mbr-byte-short.raw
cp mbr.raw mbr-no-signature.raw; patch mbr-no-signature.raw 510 '\x00\x00'
disk mbr-logical.raw 8M; dos mbr-logical.raw 'start=2048, size=4096, type=83, bootable
start=6144, type=5
start=8192, size=2048, type=82
start=12288, size=2048, type=83'
boot_code mbr-logical.raw; ext4 mbr-logical.raw 1048576 2M
cp mbr-logical.raw mbr-logical-cut.raw; truncate -s 5M mbr-logical-cut.raw
disk mbr-uefi.raw 8M; dos mbr-uefi.raw 'start=2048, size=4096, type=ef
start=6144, size=8192, type=83'
esp mbr-uefi.raw 1 BOOTX64.EFI; ext4 mbr-uefi.raw 3145728 4M

# RAW disks with a GPT.
disk gpt-uefi.raw 8M; gpt gpt-uefi.raw "start=2048, size=4096, type=$ESP, uuid=22222222-1111-1111-1111-111111111111, name=efi
size=8192, type=$LINUX, uuid=33333333-1111-1111-1111-111111111111, name=root"
esp gpt-uefi.raw 1 BOOTX64.EFI; ext4 gpt-uefi.raw 3145728 4M
cp gpt-uefi.raw gpt-arm64.raw; esp gpt-arm64.raw 1 BOOTAA64.EFI
cp gpt-uefi.raw gpt-cut.raw; truncate -s -1M gpt-cut.raw
cp gpt-uefi.raw gpt-byte-short.raw; truncate -s -1 gpt-byte-short.raw
cp gpt-uefi.raw gpt-grown.raw; truncate -s 10M gpt-grown.raw
cp gpt-uefi.raw gpt-bad-header.raw; patch gpt-bad-header.raw 600 '\xff'
cp gpt-uefi.raw gpt-bad-entries.raw; patch gpt-bad-entries.raw 1080 '\xff'
cp gpt-uefi.raw gpt-bad-backup.raw; dd if=/dev/zero of=gpt-bad-backup.raw bs=512 seek=16383 count=1 conv=notrunc status=none
disk gpt-bios.raw 8M; gpt gpt-bios.raw "start=2048, size=2048, type=$BIOS
size=8192, type=$LINUX"
boot_code gpt-bios.raw; core gpt-bios.raw 1; ext4 gpt-bios.raw 2097152 4M
disk gpt-both.raw 8M; gpt gpt-both.raw "start=2048, size=2048, type=$BIOS
size=4096, type=$ESP
size=6144, type=$LINUX"
boot_code gpt-both.raw; core gpt-both.raw 1; esp gpt-both.raw 2 BOOTX64.EFI BOOTAA64.EFI; ext4 gpt-both.raw 4194304 3M
# A BIOS boot partition that nothing was installed to; an EFI partition without a loader where firmware looks; a loader
# on a partition that is not marked for it.
cp gpt-both.raw gpt-empty-bios.raw; dd if=/dev/zero of=gpt-empty-bios.raw bs=1M seek=1 count=1 conv=notrunc status=none
cp gpt-uefi.raw gpt-no-loader.raw; esp gpt-no-loader.raw 1 GRUBX64.EFI
disk gpt-data-loader.raw 8M; gpt gpt-data-loader.raw "start=2048, size=4096, type=$BASIC
size=8192, type=$LINUX"
esp gpt-data-loader.raw 1 BOOTX64.EFI; ext4 gpt-data-loader.raw 3145728 4M
# A GPT whose end is not at a whole MiB.
disk gpt-odd.raw 8389120; gpt gpt-odd.raw "start=2048, size=4096, type=$ESP
size=8192, type=$LINUX"
esp gpt-odd.raw 1 BOOTX64.EFI; ext4 gpt-odd.raw 3145728 4M
cp gpt-uefi.raw gpt-both-bad.raw; patch gpt-both-bad.raw 600 '\xff'
dd if=/dev/zero of=gpt-both-bad.raw bs=512 seek=16383 count=1 conv=notrunc status=none
disk gpt-no-boot.raw 8M; gpt gpt-no-boot.raw "start=2048, size=8192, type=$LINUX"; ext4 gpt-no-boot.raw 1048576 4M
disk gpt-4k.raw 8M; dd if=gpt-uefi.raw of=gpt-4k.raw bs=512 skip=1 seek=8 count=1 conv=notrunc status=none
dd if=gpt-uefi.raw of=gpt-4k.raw bs=512 count=1 conv=notrunc status=none

# Mostly holes.
cp mbr.raw holes.raw; truncate -s 2G holes.raw

# Other contents.
disk zero.raw 8M
disk bare-ext4.raw 8M; ext4 bare-ext4.raw 0 8M
disk bare-fat.raw 40M; mkfs.vfat --invariant -F 32 -i 12345678 bare-fat.raw > /dev/null
disk ntfs.raw 8M; dos ntfs.raw 'start=2048, size=12288, type=7, bootable'; boot_code ntfs.raw
disk ntfs.tmp 6M; mkfs.ntfs -q -F -f -p 2048 -H 255 -S 63 ntfs.tmp > /dev/null 2>&1; place ntfs.raw ntfs.tmp 1; rm ntfs.tmp
disk btrfs.raw 128M; dos btrfs.raw 'start=2048, type=83, bootable'; boot_code btrfs.raw
disk btrfs.tmp 126M; mkfs.btrfs -q -U 11111111-2222-3333-4444-555555555555 btrfs.tmp; place btrfs.raw btrfs.tmp 1; rm btrfs.tmp
disk xfs.raw 330M; dos xfs.raw 'start=2048, type=83, bootable'; boot_code xfs.raw
disk xfs.tmp 320M; mkfs.xfs -q -m uuid=11111111-2222-3333-4444-555555555555 xfs.tmp; place xfs.raw xfs.tmp 1; rm xfs.tmp
disk ext-quota.raw 8M; dos ext-quota.raw 'start=2048, size=12288, type=83, bootable'; boot_code ext-quota.raw
ext4 ext-quota.raw 1048576 6M -O 64bit,project,quota -I 256
disk lvm.raw 16M; gpt lvm.raw "start=2048, size=2048, type=$BIOS
size=16384, type=$LVM"
boot_code lvm.raw; core lvm.raw 1
# A label as pvcreate writes it, which itself wants a block device.
patch lvm.raw $((2097152 + 512)) 'LABELONE\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x20\x00\x00\x00LVM2 001'
# BitLocker, by the first bytes of its volumes; the rest would be noise.
disk bitlocker.raw 8M; patch bitlocker.raw 0 '\xeb\x58\x90-FVE-FS-'; patch bitlocker.raw 82 'FAT32   '; patch bitlocker.raw 510 '\x55\xaa'
disk bitlocker-to-go.raw 40M; mkfs.vfat --invariant -F 32 -i 12345678 bitlocker-to-go.raw > /dev/null
patch bitlocker-to-go.raw 3 'MSWIN4.1'; patch bitlocker-to-go.raw 424 '\x3b\xd6\x67\x49\x29\x2e\xd8\x4a\x83\x99\xf6\xa3\x39\xe3\xd0\x01'
disk bitlocker-windows.raw 16M; gpt bitlocker-windows.raw "start=2048, size=4096, type=$ESP
size=16384, type=$BASIC
size=6144, type=$RECOVERY"
esp bitlocker-windows.raw 1 BOOTX64.EFI; patch bitlocker-windows.raw 3145728 '\xeb\x58\x90-FVE-FS-'
patch bitlocker-windows.raw 11534339 'NTFS    '
disk bare-fat12.raw 1440K; mkfs.vfat --invariant -F 12 -i 12345678 bare-fat12.raw > /dev/null
disk bare-fat16.raw 16M; mkfs.vfat --invariant -F 16 -i 12345678 bare-fat16.raw > /dev/null
# A loader on a bare FAT file system; a file system that boot code starts.
disk bare-efi.raw 2M; esp bare-efi.raw 0 BOOTX64.EFI
disk bare-extlinux.raw 8M; ext4 bare-extlinux.raw 0 8M; boot_code bare-extlinux.raw; patch bare-extlinux.raw 510 '\x55\xaa'
disk kernel.raw 2M; boot_code kernel.raw; patch kernel.raw 510 '\x55\xaa'; patch kernel.raw 514 'HdrS'
disk luks-partition.raw 24M; dos luks-partition.raw 'start=2048, type=83, bootable'; boot_code luks-partition.raw
disk luks.raw 20M; printf 'secret' | cryptsetup luksFormat -q --type luks1 --pbkdf-force-iterations 1000 --uuid 11111111-2222-3333-4444-555555555555 luks.raw -
truncate -s 4096 luks.raw; truncate -s 20M luks.raw # without the key material, which nothing here reads
dd if=luks.raw of=luks-partition.raw bs=1M seek=1 count=1 conv=notrunc status=none
mkdir -p iso.tmp; echo hello > iso.tmp/readme
xorriso -as mkisofs -quiet -o cd.iso iso.tmp 2> /dev/null
xorriso -as mkisofs -quiet -partition_offset 16 -o hybrid.iso iso.tmp 2> /dev/null
truncate -s 1M cd.iso hybrid.iso
# An ISO with an EFI partition behind its file system.
esp_iso() { dd if=/dev/zero of="$1" bs=1M seek=1 count=2 conv=notrunc status=none; esp "$1" 1 BOOTX64.EFI; }
cp hybrid.iso hybrid-efi.iso; truncate -s 4M hybrid-efi.iso; dos hybrid-efi.iso 'start=2048, size=4096, type=ef'; esp_iso hybrid-efi.iso
rm -r iso.tmp

# QCOW2. The disk inside is gpt-uefi.raw unless the name says otherwise.
q() { qemu-img convert -f raw -O qcow2 "${@:2}" gpt-uefi.raw "$1"; }
q v2.qcow2 -o compat=0.10
q v3.qcow2
q compressed.qcow2 -c
q zstd.qcow2 -c -o compression_type=zstd
q extended.qcow2 -o extended_l2=on
q small-clusters.qcow2 -o cluster_size=512
q big-clusters.qcow2 -c -o cluster_size=2M
q refcount.qcow2 -o refcount_bits=64
q encrypted.qcow2 --object secret,id=s,data=secret -o encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10
qemu-img create -q -f qcow2 --object secret,id=s,data=secret -o encrypt.format=aes,encrypt.key-secret=s aes.qcow2 8M
qemu-img create -q -f qcow2 -b v3.qcow2 -F qcow2 backing.qcow2
qemu-img convert -f raw -O qcow2 -o data_file=external.data,data_file_raw=on gpt-uefi.raw external.qcow2
cp v3.qcow2 snapshots.qcow2; qemu-img snapshot -c one snapshots.qcow2; qemu-img snapshot -c two snapshots.qcow2
cp v3.qcow2 dirty.qcow2; patch dirty.qcow2 79 '\x01'
cp v3.qcow2 corrupt.qcow2; patch corrupt.qcow2 79 '\x02'
cp v3.qcow2 unknown-feature.qcow2; patch unknown-feature.qcow2 72 '\x01'
cp v3.qcow2 truncated.qcow2; truncate -s -192K truncated.qcow2
cp v3.qcow2 truncated-tables.qcow2; truncate -s 100K truncated-tables.qcow2
cp v3.qcow2 byte-short.qcow2; truncate -s -1 byte-short.qcow2
qemu-img create -q -f qcow2 blank.qcow2 40G
# A disk of 40 GiB that nothing speaks against.
disk good.tmp 40G; gpt good.tmp "start=2048, size=2048, type=$BIOS
size=4096, type=$ESP
size=6144, type=$LINUX"
boot_code good.tmp; core good.tmp 1; esp good.tmp 2 BOOTX64.EFI; ext4 good.tmp 4194304 3M
qemu-img convert -f raw -O qcow2 good.tmp good.qcow2

# VHD. qemu-img writes the right size only with force_size.
v() { qemu-img convert -f raw -O vpc -o "$3" "$2" "$1"; }
v dynamic.vhd gpt-uefi.raw subformat=dynamic
v dynamic-forced.vhd gpt-uefi.raw subformat=dynamic,force_size=on
v fixed.vhd gpt-uefi.raw subformat=fixed
v fixed-forced.vhd gpt-uefi.raw subformat=fixed,force_size=on
v good.vhd good.tmp subformat=dynamic,force_size=on
cp dynamic-forced.vhd truncated.vhd; truncate -s -1M truncated.vhd
cp dynamic-forced.vhd bad-checksum.vhd; patch bad-checksum.vhd 40 '\xff'
cp fixed-forced.vhd byte-short.vhd; truncate -s -1 byte-short.vhd
rm good.tmp
# Footers that others write: checksum and size agree, the geometry says what it likes.
footer() { # FILE CREATOR GEOMETRY: writes both into the footer of a fixed VHD, with its checksum
  python3 - "$@" <<'PYTHON'
import struct, sys
name, creator, geometry = sys.argv[1:]
with open(name, "r+b") as file:
    file.seek(-512, 2)
    footer = bytearray(file.read())
    footer[28:32] = creator.encode().decode("unicode_escape").encode("latin-1")
    cylinders, heads, sectors = map(int, geometry.split("/"))
    footer[56:60] = struct.pack(">HBB", cylinders, heads, sectors)
    footer[64:68] = bytes(4)
    footer[64:68] = struct.pack(">I", ~sum(footer) & 0xFFFFFFFF)
    file.seek(-512, 2)
    file.write(footer)
PYTHON
}
# Blocks of 1 MiB, which no tool here writes.
python3 - fixed-forced.vhd small-blocks.vhd <<'PYTHON'
import struct, sys
BLOCK = 1 << 20
def sealed(data, at):
    data[at:at + 4] = bytes(4)
    data[at:at + 4] = struct.pack(">I", ~sum(data) & 0xFFFFFFFF)
    return bytes(data)
with open(sys.argv[1], "rb") as file:
    disk, footer = (lambda whole: (whole[:-512], bytearray(whole[-512:])))(file.read())
count = len(disk) // BLOCK
footer[16:24] = struct.pack(">Q", 512)
footer[60:64] = struct.pack(">I", 3)
footer = sealed(footer, 64)
header = bytearray(1024)
header[0:16] = b"cxsparse" + b"\xff" * 8
header[16:36] = struct.pack(">QIII", 1536, 0x10000, count, BLOCK)
table = b"".join(struct.pack(">I", 4 + index * (1 + BLOCK // 512)) for index in range(count))
with open(sys.argv[2], "wb") as file:
    file.write(footer + sealed(header, 36) + table.ljust(512, b"\xff"))
    for at in range(0, len(disk), BLOCK):
        file.write(b"\xff" * 512 + disk[at:at + BLOCK])
    file.write(footer)
PYTHON
cp fixed-forced.vhd largest-geometry.vhd; footer largest-geometry.vhd 'd2v\0' 65535/16/255
cp fixed-forced.vhd small-geometry.vhd; footer small-geometry.vhd 'vpc ' 200/4/17
odd=$(mktemp -p .); truncate -s 3001M "$odd"; v odd.vhd "$odd" subformat=dynamic,force_size=on; rm "$odd"

# Formats that ECS does not take.
for format in vhdx vdi qed; do qemu-img convert -f raw -O $format gpt-uefi.raw other.$format; done
# A VHDX that was not closed: its newer header names a log, in which nothing is.
cp other.vhdx dirty.vhdx
python3 - dirty.vhdx <<'PYTHON'
import struct, sys
def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF
with open(sys.argv[1], "r+b") as file:
    for at in (64 << 10, 128 << 10):
        file.seek(at)
        header = bytearray(file.read(4096))
        header[48:64] = b"a log of somebody"[:16]
        header[4:8] = bytes(4)
        header[4:8] = struct.pack("<I", crc32c(header))
        file.seek(at)
        file.write(header)
PYTHON
qemu-img convert -f raw -O qcow gpt-uefi.raw other.qcow
qemu-img convert -f raw -O parallels gpt-uefi.raw other.hdd
qemu-img convert -f raw -O vmdk gpt-uefi.raw sparse.vmdk
qemu-img convert -f raw -O vmdk -o subformat=streamOptimized gpt-uefi.raw stream.vmdk
qemu-img convert -f raw -O vmdk -o subformat=monolithicFlat gpt-uefi.raw descriptor.vmdk
qemu-img convert -f raw -O vmdk -o subformat=twoGbMaxExtentSparse gpt-uefi.raw split.vmdk
gzip -n -c v3.qcow2 > packed.qcow2.gz; gzip -n -c mbr.raw > packed.raw.gz
xz -c v3.qcow2 > packed.xz; zstd -q -c v3.qcow2 > packed.zst; bzip2 -c v3.qcow2 > packed.bz2
lz4 -q -c v3.qcow2 > packed.lz4; xz --format=lzma -c v3.qcow2 > packed.lzma
tar --mtime=@0 --owner=0 --group=0 -cf packed.tar v3.qcow2; gzip -n -c packed.tar > packed.tar.gz
rm -f packed.zip; zip -q -X packed.zip v3.qcow2
rm -f packed.7z; 7z a -bso0 -bsp0 packed.7z v3.qcow2
printf '<!DOCTYPE html>\n<html><head><title>403 Forbidden</title></head></html>\n' > error.html
: > empty.raw
printf 'x' > byte.raw

# Disks with a small Debian on them, for what is read of the guest: programs are ELF headers, kernels are names.
GUEST_ROOT=11111111-2222-3333-4444-555555555555
guest_tree() { # DIR FILESYSTEM
  local kernel=6.1.0-28-cloud-amd64
  rm -rf "$1"
  mkdir -p "$1"/{boot/{efi,grub},etc/default,usr/{bin,sbin}} "$1"/usr/lib/{systemd,modules/$kernel,modules/6.1.0-9-amd64}
  mkdir -p "$1/usr/lib/python3/dist-packages/cloudinit"
  for folder in bin lib sbin; do ln -s usr/$folder "$1/$folder"; done
  printf 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nNAME="Debian GNU/Linux"\nVERSION_ID="12"\nID=debian\n' > "$1/usr/lib/os-release"
  ln -s ../usr/lib/os-release "$1/etc/os-release"
  ln -s loop "$1/etc/loop"; ln -s ../../../../usr/lib/os-release "$1/etc/above"
  printf 'root:x:0:0:root:/root:/bin/sh\n' > "$1/etc/passwd"
  cat > "$1/etc/fstab" <<FSTAB
# what                                    where     type options      dump pass
UUID=$GUEST_ROOT /         $2 defaults          0 1
UUID=1234-5678                            /boot/efi vfat umask=0077   0 1
UUID=99999999-2222-3333-4444-555555555555 /srv\\040old ext4 nofail     0 2
tmpfs                                     /tmp      tmpfs defaults    0 0
/dev/sdb1                                 /mnt      auto noauto       0 0
FSTAB
  printf '\177ELF\2\1\1%0.s' 1 > "$1/usr/lib/systemd/systemd"
  head -c 9 /dev/zero >> "$1/usr/lib/systemd/systemd"
  printf '\3\0\76\0\1\0\0\0' >> "$1/usr/lib/systemd/systemd"
  ln -s /lib/systemd/systemd "$1/usr/sbin/init"
  cp "$1/usr/lib/systemd/systemd" "$1/usr/bin/dash"; ln -s dash "$1/usr/bin/sh"
  printf 'kernel/drivers/nvme/host/nvme.ko\nkernel/drivers/virtio/virtio_pci.ko\n' > "$1/usr/lib/modules/$kernel/modules.builtin"
  printf 'kernel/drivers/block/virtio_blk.ko:\nkernel/drivers/net/virtio_net.ko: kernel/net/core/failover.ko\n' > "$1/usr/lib/modules/$kernel/modules.dep"
  : > "$1/usr/lib/modules/6.1.0-9-amd64/modules.dep"
  printf 'MZ' > "$1/boot/vmlinuz-$kernel"
  cat > "$1/boot/grub/grub.cfg" <<GRUB
menuentry 'Debian GNU/Linux' {
	search --no-floppy --fs-uuid --set=root $GUEST_ROOT
	linux /boot/vmlinuz-$kernel root=UUID=$GUEST_ROOT ro console=ttyS0,115200
	initrd /boot/initrd.img-$kernel
}
menuentry 'an older disk' {
	linux /boot/vmlinuz-6.1.0-9-amd64 root=UUID=99999999-2222-3333-4444-555555555555 ro
}
GRUB
  printf '__VERSION__ = "22.4.2"\n_PACKAGED_VERSION = "@@PACKAGED_VERSION@@"\n' > "$1/usr/lib/python3/dist-packages/cloudinit/version.py"
  find "$1" -exec touch -h -d @$SOURCE_DATE_EPOCH {} +
}
prototype() { # DIR: the tree as mkfs.xfs takes it
  python3 - "$1" <<'PYTHON'
import os, sys
def folder(path, depth):
    for name in sorted(os.listdir(path)):
        at = os.path.join(path, name)
        if os.path.islink(at):
            print(" " * depth + name, "l--777 0 0", os.readlink(at))
        elif os.path.isdir(at):
            print(" " * depth + name, "d--755 0 0")
            folder(at, depth + 1)
        else:
            print(" " * depth + name, "---644 0 0", at)
    print(" " * depth + "$")
print("/\n0 0\nd--755 0 0")
folder(sys.argv[1], 0)
PYTHON
}
guest_disk() { # DISK FILESYSTEM MIB: with the file system in root.tmp
  disk "$1" $((6 + $3))M; gpt "$1" "start=2048, size=2048, type=$BIOS
size=4096, type=$ESP
size=$(($3 * 2048)), type=$LINUX, uuid=33333333-1111-1111-1111-111111111111, name=root"
  boot_code "$1"; core "$1" 1; esp "$1" 2 BOOTX64.EFI; place "$1" root.tmp 4; rm root.tmp
}
guest_tree guest.tmp ext4; disk root.tmp 8M; ext4 root.tmp 0 8M -L system -d guest.tmp; guest_disk guest-ext4.raw ext4 8
guest_tree guest.tmp xfs; disk root.tmp 320M; prototype guest.tmp > proto.tmp
mkfs.xfs -q -L system -m uuid=$GUEST_ROOT -p proto.tmp root.tmp; guest_disk xfs.tmp xfs 320
guest_tree guest.tmp btrfs; disk root.tmp 128M
mkfs.btrfs -q -L system -U $GUEST_ROOT --rootdir guest.tmp root.tmp; guest_disk btrfs.tmp btrfs 128
for filesystem in xfs btrfs; do qemu-img convert -f raw -O qcow2 $filesystem.tmp guest-$filesystem.qcow2; done

# Disks with a small Windows Server 2022 on them, as BIOS and as UEFI start it.
windows_volume() { # MODE [OFFSET SIGNATURE]: makes root.tmp
  disk root.tmp 8M; mkfs.ntfs -q -F -f -p 2048 -H 255 -S 63 -L system root.tmp 2> /dev/null
  python3 "$here/windows_guest.py" root.tmp "$@"
}
disk guest-windows-bios.raw 10M; dos guest-windows-bios.raw 'start=2048, size=16384, type=7, bootable'
boot_code guest-windows-bios.raw; windows_volume bios 1048576 0x12345678; place guest-windows-bios.raw root.tmp 1
disk guest-windows-uefi.raw 13M; gpt guest-windows-uefi.raw "start=2048, size=4096, type=$ESP
size=16384, type=$BASIC, uuid=33333333-1111-1111-1111-111111111111, name=\"Basic data partition\""
windows_volume uefi; place guest-windows-uefi.raw root.tmp 3
esp guest-windows-uefi.raw 1 BOOTX64.EFI; dd if=guest-windows-uefi.raw of=esp.tmp bs=1M skip=1 count=2 status=none
mmd -i esp.tmp ::/EFI/Microsoft ::/EFI/Microsoft/Boot; printf 'MZ' | mcopy -i esp.tmp - ::/EFI/Microsoft/Boot/bootmgfw.efi
python3 "$here/windows_guest.py" --bcd bcd.tmp 33333333-1111-1111-1111-111111111111 11111111-1111-1111-1111-111111111111
mcopy -i esp.tmp bcd.tmp ::/EFI/Microsoft/Boot/BCD; place guest-windows-uefi.raw esp.tmp 1; rm root.tmp esp.tmp bcd.tmp
# The same on a logical volume of two pieces, behind another one.
guest_tree guest.tmp ext4; disk root.tmp 8M; ext4 root.tmp 0 8M -L system -d guest.tmp
"$here/physical-volume" physical.tmp root.tmp; mv physical.tmp root.tmp; guest_disk guest-lvm.raw lvm 12
rm -r ./*.tmp

# The small ones for the repository: at most 48 KiB each.
if [ -n "$packed" ]; then
  mkdir -p "$packed"
  rm -f "$packed"/*.gz
  for image in *; do
    gzip -9 -n -c "$image" > "$packed/$image.gz"
    [ "$(stat -c %s "$packed/$image.gz")" -le 49152 ] || rm "$packed/$image.gz"
  done
fi
