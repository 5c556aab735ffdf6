#!/usr/bin/env bash
# Makes a disk of 10 GiB that is mostly holes, as a fresh installation is, and what people make of one:
#
#   bash .ci/make-disk.sh DIR [MIB]
#
# needs sfdisk, mke2fs (e2fsprogs), mtools, qemu-img, xz, zstd, gzip, bzip2, tar and python3; no root and no network.
# MIB is about how much data it holds (500); the files in it are the same every time. DIR then has, in 2 GiB:
#
#   disk.raw                  a GPT with an EFI system partition and an ext4 root, sparse
#   disk.raw.xz .zst .gz      compressed; .xz in streams of several blocks, .gz in members
#   disk.tar.gz               an archive with nothing else in it
#   disk.bmap disk.map.json   where it has data: as bmaptool writes it, and as qemu-img map does
#   small.raw small.raw.bz2   the same with 128 MiB, since bzip2 is slow
#   disk.data-bytes small.data-bytes
#                             bytes of the blocks of 4 KiB in which something is
set -euo pipefail
export PATH="$PATH:/usr/sbin:/sbin" LC_ALL=C MTOOLS_SKIP_CHECK=1 SOURCE_DATE_EPOCH=1700000000 TZ=UTC
export E2FSPROGS_FAKE_TIME=$SOURCE_DATE_EPOCH
dir=${1:?a directory}
mib=${2:-500}
mkdir -p "$dir"
cd "$dir"

readonly ESP=C12A7328-F81F-11D2-BA4B-00A0C93EC93B LINUX=0FC63DAF-8483-4772-8E79-3D69D8477DE4
readonly ESP_MIB=64 ROOT_AT=$((66 * 1048576)) DISK_MIB=10240

# partition FILE LENGTH: a GPT with the two partitions; the root takes what is left.
partition() {
  rm -f "$1"
  truncate -s "$2" "$1"
  sfdisk -q "$1" << SFDISK
label: gpt
label-id: 11111111-2222-3333-4444-555555555555
start=2048, size=${ESP_MIB}MiB, type=$ESP, uuid=11111111-2222-3333-4444-666666666666
start=$((ROOT_AT / 512)), type=$LINUX, uuid=11111111-2222-3333-4444-777777777777
SFDISK
}

# loader FILE: a FAT file system with a loader of no use in the first partition. Its table is zeroed sparsely by being
# made in a file of its own.
loader() {
  local esp=$1.esp
  rm -f "$esp"
  truncate -s ${ESP_MIB}M "$esp"
  mformat -i "$esp" -N 12345678 ::
  printf 'MZ dummy loader' > BOOTX64.EFI
  touch -d @$SOURCE_DATE_EPOCH BOOTX64.EFI
  mmd -i "$esp" ::/EFI ::/EFI/BOOT
  mcopy -m -i "$esp" BOOTX64.EFI ::/EFI/BOOT/
  dd if="$esp" of="$1" bs=1M seek=1 conv=notrunc,sparse status=none
  rm "$esp" BOOTX64.EFI
}

# A root's worth of files: three fifths noise, as packages and pictures are, the rest text.
tree() { # MIB
  rm -rf root
  mkdir root
  python3 - "$1" << 'PYTHON'
import os, random, sys
mib = int(sys.argv[1])
noise = random.Random(1)
words = [bytes(noise.choices(b"abcdefghijklmnopqrstuvwxyz", k=noise.randint(2, 9))) for _ in range(4000)]
def write(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)
for index in range(mib * 3 // 5):
    write(f"root/usr/lib/{index % 16}/{index}.so", noise.randbytes(1 << 20))
for index in range(mib * 2 // 5):
    text = b" ".join(noise.choices(words, k=40_000))
    write(f"root/usr/share/{index % 16}/{index}.txt", (text * 6)[:1 << 20])
for index in range(500):
    write(f"root/etc/{index}.conf", b" ".join(noise.choices(words, k=noise.randint(1, 400))))
for base, folders, files in os.walk("root", topdown=False):
    for name in files + folders:
        os.utime(os.path.join(base, name), (1_700_000_000, 1_700_000_000))
os.utime("root", (1_700_000_000, 1_700_000_000))
PYTHON
}

# root FILE MIB: an ext4 of this size in the second partition.
root() {
  mke2fs -q -F -t ext4 -d root -E offset=$ROOT_AT,root_owner=0:0,hash_seed=11111111-2222-3333-4444-888888888888 \
    -U 11111111-2222-3333-4444-999999999999 "$1" "$2"M
}

# zeros FILE OFFSET: 32 MiB of zeros that are written and no hole, as deleted files and swap leave them.
zeros() { dd if=/dev/zero of="$1" bs=1M seek="$(($2 / 1048576))" count=32 conv=notrunc status=none; }

tree "$mib"
partition disk.raw ${DISK_MIB}M
loader disk.raw
root disk.raw $((DISK_MIB - 67))
zeros disk.raw $((5 << 30))
rm -rf root

tree 8
partition small.raw 128M
loader small.raw
root small.raw 61
zeros small.raw $((90 << 20))
rm -rf root

# pack FILE COMMAND ...: compresses it to stdout in pieces of 256 MiB, which together are what one would be. Pieces of
# nothing but hole are compressed once.
pack() {
  python3 - "$@" << 'PYTHON'
import os, subprocess, sys
PIECE = 256 << 20
name, *command = sys.argv[1:]
hole = None
def has_data(fd, start, end):
    try:
        return os.lseek(fd, start, os.SEEK_DATA) < end
    except OSError:
        return False
with open(name, "rb") as file:
    length = os.path.getsize(name)
    for start in range(0, length, PIECE):
        end = min(length, start + PIECE)
        if hole is None or end - start < PIECE or has_data(file.fileno(), start, end):
            piece = os.pread(file.fileno(), end - start, start)
            packed = subprocess.run(command, input=piece, stdout=subprocess.PIPE, check=True).stdout
            if hole is None and not any(piece):
                hole = packed
        else:
            packed = hole
        sys.stdout.buffer.write(packed)
PYTHON
}

pack disk.raw xz -T2 -0 --block-size=32MiB > disk.raw.xz &
pack disk.raw gzip -1 -n > disk.raw.gz
wait
zstd -q -T2 -1 -k -f disk.raw
# The archive has the same members between its header and the zeros at its end.
header() { { tar --format=gnu --owner=0 --group=0 --mtime=@$SOURCE_DATE_EPOCH -cf - disk.raw || true; } 2> /dev/null | head -c 512; }
{ header | gzip -n; cat disk.raw.gz; head -c 10240 /dev/zero | gzip -n; } > disk.tar.gz
bzip2 -k -f small.raw
qemu-img map --output=json -f raw disk.raw > disk.map.json

python3 - << 'PYTHON'
import hashlib, os
BLOCK = 4096
def extents(fd, length):
    at = 0
    while at < length:
        try:
            start = os.lseek(fd, at, os.SEEK_DATA)
        except OSError:
            return
        at = os.lseek(fd, start, os.SEEK_HOLE)
        yield start, at
def data_bytes(name):
    """Bytes of the blocks in which something is."""
    count, zeros = 0, bytes(BLOCK)
    with open(name, "rb") as file:
        for start, end in extents(file.fileno(), os.path.getsize(name)):
            file.seek(start)
            for at in range(start, end, BLOCK):
                count += BLOCK * (file.read(BLOCK) != zeros)
    return count
def bmap(name):
    length = os.path.getsize(name)
    ranges, mapped = [], 0
    with open(name, "rb") as file:
        for start, end in extents(file.fileno(), length):
            first, last = start // BLOCK, (end - 1) // BLOCK
            file.seek(first * BLOCK)
            digest = hashlib.sha256()
            for at in range(first, last + 1, 256):
                digest.update(file.read(min(256, last + 1 - at) * BLOCK))
            mapped += last + 1 - first
            span = f"{first}-{last}" if last > first else f"{first}"
            ranges.append(f'        <Range chksum="{digest.hexdigest()}"> {span} </Range>')
    def text(checksum):
        return "\n".join([
            '<?xml version="1.0" ?>', '<bmap version="2.0">', f"    <ImageSize> {length} </ImageSize>",
            f"    <BlockSize> {BLOCK} </BlockSize>", f"    <BlocksCount> {-(-length // BLOCK)} </BlocksCount>",
            f"    <MappedBlocksCount> {mapped} </MappedBlocksCount>", "    <ChecksumType> sha256 </ChecksumType>",
            f"    <BmapFileChecksum> {checksum} </BmapFileChecksum>", "    <BlockMap>", *ranges, "    </BlockMap>",
            "</bmap>", ""])
    # The checksum is that of the file with zeros in its place.
    return text(hashlib.sha256(text("0" * 64).encode()).hexdigest())
with open("disk.bmap", "w") as file:
    file.write(bmap("disk.raw"))
for name in ("disk", "small"):
    with open(f"{name}.data-bytes", "w") as file:
        print(data_bytes(f"{name}.raw"), file=file)
PYTHON
