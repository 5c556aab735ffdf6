#!/usr/bin/env bash
# Unpacks Debian's QEMU for x86 and its firmware into a folder of its own: `.ci/get-qemu.sh DIR`, then
# `ossup boot IMAGE --qemu DIR`.
#
# Not installed, since the qemu-utils of a newer release would be removed for it. The shared libraries that it needs
# are, unless a package would be removed for them.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive
dir=${1:?usage: get-qemu.sh DIR}
readonly PROGRAM=$dir/usr/bin/qemu-system-x86_64
readonly PACKAGES="qemu-system-x86 qemu-system-common qemu-system-data seabios ovmf ipxe-qemu"
readonly LIBRARIES="libcapstone4 libfdt1 libpmem1 librdmacm1 libibverbs1 libslirp0 libvdeplug2 libpixman-1-0"

runs() { "$PROGRAM" --version > /dev/null 2>&1; }

runs && exit 0
mkdir -p "$dir"
archives=$(mktemp -d)
trap 'rm -rf "$archives"' EXIT
apt-get -qq update
(cd "$archives" && apt-get -qq download $PACKAGES 2> /dev/null)
for archive in "$archives"/*.deb; do dpkg -x "$archive" "$dir"; done
if ! runs; then
  if apt-get install -s --no-install-recommends $LIBRARIES | grep '^Remv'; then
    echo 'get-qemu.sh: the libraries of QEMU would remove these packages' >&2
    exit 1
  fi
  apt-get -qq install --no-install-recommends $LIBRARIES > /dev/null
fi
runs || { ldd "$PROGRAM" | grep 'not found' >&2; exit 1; }
