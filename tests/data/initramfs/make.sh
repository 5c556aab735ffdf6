#!/usr/bin/env bash
# Makes the small initial RAM file systems of this folder, each compressed in another way:
#
#   bash tests/data/initramfs/make.sh
#
# needs cpio, gzip, zstd, xz, bzip2 and lz4. Each has an archive as it is in front, as microcode lies there, then the
# compressed one with the modules. The files are kept in the repository, since other versions of the programs compress
# otherwise.
set -euo pipefail
cd "$(dirname "$0")"
export LC_ALL=C TZ=UTC
release=6.1.0-28-amd64
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
early=$work/early main=$work/main
mkdir -p "$early/kernel/x86/microcode" "$main"/usr/lib/modules/$release/kernel/drivers/{block,nvme/host,virtio} "$main/bin"
head -c 3000 /dev/zero | tr '\0' m > "$early/kernel/x86/microcode/GenuineIntel.bin"
for file in usr/lib/modules/$release/kernel/drivers/{block/virtio_blk.ko,nvme/host/nvme.ko.xz,virtio/virtio-pci.ko.zst} bin/sh init; do
  seq 1 400 > "$main/$file"
done
ln -s usr/lib "$main/lib"
find "$early" "$main" -exec touch -h -d @1700000000 {} +
archive() { # DIR
  (cd "$1" && find . | sort | cpio -o -H newc --quiet --reproducible -R 0:0)
}
archive "$early" > "$work/early.cpio"
archive "$main" > "$work/main.cpio"
made() { # NAME COMMAND...
  cat "$work/early.cpio" > "$1"
  "${@:2}" < "$work/main.cpio" >> "$1"
}
made plain.img cat
made gzip.img gzip -9 -n
made zstd.img zstd -q -19 -c
made xz.img xz --check=crc32 -c
made lzma.img xz --format=lzma -c
made bzip2.img bzip2 -c
made lz4.img lz4 -q -c
made lz4-legacy.img lz4 -q -l -c
