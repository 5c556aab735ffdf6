#!/usr/bin/env python3
"""Puts the files of a small Windows on an NTFS volume that mkntfs made, by the library of ntfs-3g: no root, no mount.

    windows_guest.py VOLUME {bios|uefi} [OFFSET SIGNATURE]    the system, and for BIOS what starts it
    windows_guest.py --bcd FILE PARTITION-GUID DISK-GUID      the boot configuration for an EFI system partition

The registry has the keys that are looked at, as those of Windows Server 2022 are; programs are names. The hives are
written here, and are what hivexsh (libhivex-bin) reads.
"""

import ctypes, ctypes.util, struct, sys, uuid

NONE = 0xFFFFFFFF
SZ, EXPAND_SZ, BINARY, DWORD, MULTI_SZ = 1, 2, 3, 4, 7


class Hive:
    """A hive made of nested dictionaries: a key is a dictionary, a value is (TYPE, bytes)."""

    def __init__(self, tree, name):
        self.cells = bytearray()
        root = self.key(name, tree, NONE, 0x2C)
        size = -(-(len(self.cells) + 32) // 4096) * 4096
        rest = size - 32 - len(self.cells)
        if rest:
            self.cells += struct.pack("<i", rest) + bytes(rest - 4)
        front = bytearray(4096)
        struct.pack_into("<4sIIQIIIIIII", front, 0, b"regf", 7, 7, 0, 1, 5, 0, 1, root, size, 1)
        front[48:48 + 2 * len(name)] = name.encode("utf-16-le")
        checksum = 0
        for (word,) in struct.iter_unpack("<I", front[:508]):
            checksum ^= word
        struct.pack_into("<I", front, 508, checksum)
        bin_front = struct.pack("<4sIIQQI", b"hbin", 0, size, 0, 0, 0)
        self.bytes = bytes(front + bin_front + self.cells)

    def cell(self, content):
        at = len(self.cells) + 32
        length = -(-(len(content) + 4) // 8) * 8
        self.cells += struct.pack("<i", -length) + content.ljust(length - 4, b"\0")
        return at

    def key(self, name, tree, parent, flags=0x20):
        at = self.cell(bytes(0x4C + len(name)))
        below = sorted(((k, v) for k, v in tree.items() if isinstance(v, dict)), key=lambda item: item[0].upper())
        keys = [(k, self.key(k, v, at)) for k, v in below]
        values = [self.value(k, *v) for k, v in tree.items() if not isinstance(v, dict)]
        key_list = self.keys(keys) if keys else NONE
        value_list = self.cell(struct.pack(f"<{len(values)}I", *values)) if values else NONE
        head = struct.pack("<2sHQIIIIIIIIIIIIIIIHH", b"nk", flags, 0, 0, parent, len(keys), 0, key_list, NONE,
                           len(values), value_list, NONE, NONE, 64, 0, 64, 256, 0, len(name), 0)
        start = at - 32 + 4
        self.cells[start:start + len(head) + len(name)] = head + name.encode("latin-1")
        return at

    def keys(self, keys):
        # Longer lists are lists of lists, as in a real hive from some hundred on.
        if len(keys) > 4:
            parts = [self.keys(keys[at:at + 4]) for at in range(0, len(keys), 4)]
            return self.cell(struct.pack(f"<2sH{len(parts)}I", b"ri", len(parts), *parts))
        entries = b"".join(struct.pack("<II", at, self.hash(name)) for name, at in keys)
        return self.cell(struct.pack("<2sH", b"lh", len(keys)) + entries)

    @staticmethod
    def hash(name):
        total = 0
        for letter in name.upper():
            total = (total * 37 + ord(letter)) & NONE
        return total

    def value(self, name, kind, data):
        if len(data) <= 4:
            length, place = len(data) | 1 << 31, struct.unpack("<I", data.ljust(4, b"\0"))[0]
        elif len(data) > 16344:
            parts = [self.cell(data[at:at + 16344]) for at in range(0, len(data), 16344)]
            listed = self.cell(struct.pack(f"<{len(parts)}I", *parts))
            length, place = len(data), self.cell(struct.pack("<2sHII", b"db", len(parts), listed, 0))
        else:
            length, place = len(data), self.cell(data)
        return self.cell(struct.pack("<2sHIIIHH", b"vk", len(name), length, place, kind, 1, 0) + name.encode("latin-1"))


def sz(text, kind=SZ):
    return kind, (text + "\0").encode("utf-16-le")


def multi(*texts):
    return MULTI_SZ, ("".join(text + "\0" for text in texts) + "\0").encode("utf-16-le")


def dword(number):
    return DWORD, struct.pack("<I", number)


def driver(name, start):
    return {"Start": dword(start), "Type": dword(1), "ImagePath": sz(f"system32\\drivers\\{name}.sys", EXPAND_SZ)}


def system():
    services = {name: driver(name, start) for name, start in
                [("viostor", 0), ("vioscsi", 0), ("netkvm", 3), ("stornvme", 0), ("partmgr", 0), ("disk", 0)]}
    services["vminit"] = {"Start": dword(2), "ImagePath": sz("C:\\ProgramData\\aliyun\\vminit\\vminit.exe")}
    services["DeviceInstall"] = {"Parameters": {}}
    control = {
        "Class": {"{4d36e967-e325-11ce-bfc1-08002be10318}": {"UpperFilters": multi("partmgr")}},
        "Session Manager": {"Environment": {"PROCESSOR_ARCHITECTURE": sz("AMD64")}},
    }
    return {
        "Select": {"Current": dword(1), "Default": dword(1)},
        "ControlSet001": {"Control": control, "Services": services},
        "Setup": {"SystemSetupInProgress": dword(0), "CmdLine": sz("")},
    }


def software():
    packages = {f"Package_for_KB{number}~31bf3856ad364e35~amd64~~20348.1.1.0": {"CurrentState": dword(112)}
                for number in (5004330, 5008882, 5011497, 5025230, 5028171)}
    version = {"ProductName": sz("Windows Server 2022 Datacenter"), "CurrentBuild": sz("20348"), "UBR": dword(2700),
               "CurrentVersion": sz("6.3"), "EditionID": sz("ServerDatacenter"), "InstallationType": sz("Server"),
               "LongValue": (BINARY, bytes(range(256)) * 100)}
    windows = {"Setup": {"State": {"ImageState": sz("IMAGE_STATE_COMPLETE")}},
               "Component Based Servicing": {"Packages": packages}}
    return {"Microsoft": {"Windows NT": {"CurrentVersion": version}, "Windows": {"CurrentVersion": windows}}}


MANAGER = "{9dea862c-5cdd-4e70-acc1-f32b344d4795}"
LOADER = "{11111111-2222-3333-4444-666666666666}"


def bcd(program, device):
    def elements(**all_of):
        return {"Elements": {key[1:]: {"Element": value} for key, value in all_of.items()}}
    return {"Description": {"KeyName": sz("BCD00000000")}, "Objects": {
        MANAGER: elements(_23000003=sz(LOADER), _24000001=multi(LOADER)),
        LOADER: elements(_11000001=device, _12000002=sz(program), _21000001=device, _22000002=sz("\\Windows")),
    }}


def by_signature(offset, signature):
    return BINARY, struct.pack("<16xII IIQQ IIIII 12x", 6, 0, 72, 0, offset, 0, 0, 1, signature, 0, 0)[:88]


def by_guid(partition, disk):
    return BINARY, struct.pack("<16xII II16s II16s 16x", 6, 0, 72, 0, uuid.UUID(partition).bytes_le, 0, 0,
                               uuid.UUID(disk).bytes_le)


def program(length=300):
    return b"MZ" + bytes(length)


def files(mode, device):
    root = {}
    config, drivers = "Windows/System32/config", "Windows/System32/drivers"
    for name, tree in [("SYSTEM", system()), ("SOFTWARE", software()), ("SAM", {}), ("SECURITY", {})]:
        root[f"{config}/{name}"] = Hive(tree, name).bytes
    # So many that the directory is a tree of several blocks.
    for number in range(60):
        root[f"{drivers}/a filler with a long name {number:03}.sys"] = b""
    for name in ("viostor", "vioscsi", "netkvm", "stornvme", "partmgr", "disk"):
        root[f"{drivers}/{name}.sys"] = program()
    root["Windows/System32/winload.exe"] = program()
    root["Windows/System32/winload.efi"] = program()
    root["Windows/System32/ntoskrnl.exe"] = program()
    root["ProgramData/aliyun/vminit/vminit.exe"] = program()
    root["ProgramData/aliyun/assist/2.1.3.857/aliyun_assist_service.exe"] = program()
    if mode == "bios":
        root["bootmgr"] = program()
        root["Boot/BCD"] = Hive(bcd("\\Windows\\system32\\winload.exe", device), "BCD").bytes
    return root


class Volume:
    """What of libntfs-3g is needed."""

    def __init__(self, path):
        self.library = ctypes.CDLL(ctypes.util.find_library("ntfs-3g") or "libntfs-3g.so.89", use_errno=True)
        pointers = "ntfs_mount ntfs_pathname_to_inode ntfs_create ntfs_attr_open"
        for name in pointers.split():
            getattr(self.library, name).restype = ctypes.c_void_p
        self.library.ntfs_attr_pwrite.restype = ctypes.c_int64
        self.unnamed = ctypes.addressof(ctypes.c_uint16.in_dll(self.library, "AT_UNNAMED"))
        self.volume = self.sound(self.library.ntfs_mount(path.encode(), 0))

    def sound(self, pointer):
        if not pointer:
            raise OSError(ctypes.get_errno(), "libntfs-3g")
        return ctypes.c_void_p(pointer)

    def inode(self, path):
        return self.library.ntfs_pathname_to_inode(self.volume, None, path.encode())

    def create(self, path, kind):
        folder, _, name = path.rpartition("/")
        found = self.inode(path)
        if found:
            return ctypes.c_void_p(found)
        if folder:
            self.close(self.create(folder, 0o040000))
        parent = self.sound(self.inode(folder or "/"))
        units = name.encode("utf-16-le")
        made = self.library.ntfs_create(parent, 0, units, ctypes.c_uint8(len(units) // 2), kind)
        self.close(parent)
        return self.sound(made)

    def close(self, inode):
        self.library.ntfs_inode_close(inode)

    def write(self, path, pieces):
        """Writes (offset, bytes) one after the other."""
        inode = self.create(path, 0o100000)
        attribute = self.sound(self.library.ntfs_attr_open(inode, 0x80, ctypes.c_void_p(self.unnamed), 0))
        for offset, piece in pieces:
            if self.library.ntfs_attr_pwrite(attribute, ctypes.c_int64(offset), ctypes.c_int64(len(piece)), piece) != len(piece):
                raise OSError(ctypes.get_errno(), path)
        self.library.ntfs_attr_close(attribute)
        self.close(inode)

    def unmount(self):
        self.library.ntfs_umount(self.volume, 0)


def main():
    if sys.argv[1] == "--bcd":
        tree = bcd("\\Windows\\system32\\winload.efi", by_guid(*sys.argv[3:5]))
        with open(sys.argv[2], "wb") as file:
            file.write(Hive(tree, "BCD").bytes)
        return
    mode = sys.argv[2]
    device = by_signature(int(sys.argv[3]), int(sys.argv[4], 16)) if mode == "bios" else None
    volume = Volume(sys.argv[1])
    for path, content in files(mode, device).items():
        volume.write(path, [(0, content)] if content else [])
    # Written backwards, it lies in so many pieces that its record does not hold the list of them.
    pieces = [(number * 4096, struct.pack("<I", number) * 1024) for number in reversed(range(400))]
    volume.write("pieces/many", pieces)
    volume.write("pieces/holes", [(0, b"front"), (300 << 10, b"end")])
    volume.write("pieces/Größe", [(0, "groß".encode())])
    # The table of capitals does not pack well, and nothing here reads it.
    volume.write("$UpCase", [(0, bytes(128 << 10))])
    volume.unmount()


main()
