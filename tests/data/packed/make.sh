#!/bin/bash
# Makes the files beside it, with the programs themselves: gzip, xz, zstd, bzip2, lz4, GNU tar.
# `src/unpack/tests.rs` knows what is in them.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# Byte i is i² / 61, with a period of 200.
python3 -c 'import sys; sys.stdout.buffer.write(bytes((i % 200) ** 2 // 61 & 255 for i in range(200_000)))' > content
head -c 3000 content > one
tail -c +3001 content | head -c 3000 > two
skippable() { printf '\x53\x2a\x4d\x18\x05\x00\x00\x00skip!'; }

{ gzip -nc one; gzip -nc two; } > "$here/members.gz"
{ head -c 60000 content | xz -T2 --block-size=25000 -c; printf '\0\0\0\0'; xz -c --check=sha256 one; } > "$here/blocks.xz"
{ zstd -qc one; skippable; zstd -qc --long=27 < two; } > "$here/frames.zst"
cat one | zstd -qc --ultra --long=31 > "$here/long.zst"
{ bzip2 -c one; bzip2 -c two; } > "$here/streams.bz2"
{ lz4 -qc -B4 -BD -BX --content-size content; skippable; lz4 -qc -B5 -BI two; } > "$here/frames.lz4"
lz4 -qcl one > "$here/legacy.lz4"

# Six ranges of data in 1 MiB: more than an old header has room for.
truncate -s 1M disk.raw
for n in 0 1 2 3 4 5; do
    dd if=one of=disk.raw bs=4096 seek=$((n * 40)) count=1 conv=notrunc status=none
done
printf 'not the disk\n' > notes.txt
pack() { tar -b1 --owner=0 --group=0 --mtime=@0 --sort=name "$@" | xz -c; }
pack --format=oldgnu -S -c notes.txt disk.raw > "$here/sparse-gnu.tar.xz"
for version in 0.0 0.1 1.0; do
    pack --format=pax --pax-option=delete=atime,delete=ctime --sparse-version=$version -S -c disk.raw notes.txt \
        > "$here/sparse-pax-$version.tar.xz"
done
name=$(printf 'd%.0s' {1..120})/$(printf 'f%.0s' {1..60}).raw
mkdir "$(dirname "$name")"
cp --sparse=never disk.raw "$name"
pack --format=gnu -c "$name" > "$here/long-gnu.tar.xz"
pack --format=pax -c "./$name" > "$here/long-pax.tar.xz"
