//! What starts Windows: the boot manager, and what its configuration names.

use super::hive::{Hive, Source};
use crate::inside::facts::{Answer, GuestVolume, WindowsBoot, WindowsEntry};
use crate::inside::fields::Fields;
use crate::inside::pages::View;
use crate::inside::text::shown;
use crate::inside::volume::{Read, Volume};
use crate::report::Report;
use crate::table::{Partition, PartitionKind, TableKind};
use ossup_core::model::BootMode;

/// The object of the boot manager itself.
const MANAGER: &str = "Objects\\{9dea862c-5cdd-4e70-acc1-f32b344d4795}\\Elements";
/// Most bytes of the boot configuration that are read; it has some 30 KiB.
const LONGEST: usize = 1 << 20;

/// Looks at the partitions from which firmware starts: the active one, and those for EFI.
pub(super) fn paths(places: &[(View, GuestVolume)], report: &Report) -> Vec<WindowsBoot> {
    let mut found = Vec::new();
    for partition in &report.partitions {
        let firmware = match report.partition_table {
            _ if partition.kind == PartitionKind::Esp => BootMode::Uefi,
            TableKind::Mbr if partition.active => BootMode::Bios,
            _ => continue,
        };
        let place = format!("partition {}", partition.number);
        let Some((view, volume)) = places.iter().find(|(_, volume)| volume.place == place) else { continue };
        let (manager, configuration): (&[&str], _) = match firmware {
            BootMode::Bios => (&["/bootmgr", "/ntldr"], "/Boot/BCD"),
            _ => (
                &["/EFI/Microsoft/Boot/bootmgfw.efi", "/EFI/Boot/bootx64.efi", "/EFI/Boot/bootaa64.efi"],
                "/EFI/Microsoft/Boot/BCD",
            ),
        };
        let (manager, entry) = match opened(view, volume) {
            Ok(mut opened) => {
                (first(&mut opened, manager), entry(&mut opened, configuration, places, report))
            }
            Err(reason) => (Err(reason.clone()), Err(reason)),
        };
        found.push(WindowsBoot { place, firmware, manager: manager.into(), entry: entry.into() });
    }
    found
}

fn opened(view: &View, volume: &GuestVolume) -> Result<Volume, String> {
    if let Some(reason) = &volume.unread {
        return Err(reason.clone());
    }
    Volume::open(view, volume.filesystem, None)?.ok_or_else(|| format!("{} is not read", volume.filesystem))
}

fn first(volume: &mut Volume, paths: &[&str]) -> Read<String> {
    for path in paths {
        if volume.kind(path.as_bytes())?.is_some() {
            return Ok(Some((*path).to_owned()));
        }
    }
    Ok(None)
}

/// Reads the default entry. A file that is no hive at all is no configuration.
fn entry(
    volume: &mut Volume,
    path: &str,
    places: &[(View, GuestVolume)],
    report: &Report,
) -> Read<WindowsEntry> {
    if volume.kind(path.as_bytes())?.is_none() {
        return Ok(None);
    }
    let Some(bytes) = volume.read(path.as_bytes(), LONGEST)? else { return Ok(None) };
    if !bytes.starts_with(b"regf") {
        return Ok(None);
    }
    let hive = Hive::open(Source::Bytes(bytes))?;
    let default = match hive.value_at(&format!("{MANAGER}\\23000003"), "Element")? {
        Some(default) => Some(default),
        None => hive.value_at(&format!("{MANAGER}\\24000001"), "Element")?,
    };
    let Some(default) = default else { return Ok(Some(WindowsEntry { loader: None, device: None })) };
    let elements = format!("Objects\\{}\\Elements", default.text());
    let loader = hive.value_at(&format!("{elements}\\12000002"), "Element")?;
    let device = hive.value_at(&format!("{elements}\\11000001"), "Element")?;
    let device = device.and_then(|device| identity(device.bytes()));
    Ok(Some(WindowsEntry {
        loader: loader.map(|loader| shown(loader.text().as_bytes())),
        device: device.map(|device| place(&device, places, report)),
    }))
}

/// A partition, as the boot configuration names it.
#[derive(Debug, PartialEq, Eq)]
enum Identity {
    /// By the signature of its disk and its first byte.
    Mbr(u32, u64),
    /// By its GUID.
    Gpt(String),
}

/// Reads the device of an entry; none if it is the one that was booted from, or is looked for.
fn identity(device: &[u8]) -> Option<Identity> {
    const PARTITION: u32 = 6;
    let fields = Fields::new(device, "a device of the boot configuration");
    if fields.u32(0x10).ok()? != PARTITION {
        return None;
    }
    match fields.u32(0x34).ok()? {
        0 => {
            let guid: [u8; 16] = fields.slice(0x20, 16).ok()?.try_into().ok()?;
            Some(Identity::Gpt(uuid::Uuid::from_bytes_le(guid).to_string()))
        }
        1 => Some(Identity::Mbr(fields.u32(0x38).ok()?, fields.u64(0x20).ok()?)),
        _ => None,
    }
}

/// Finds the partition that an entry names. One whose identity is not known may be it.
fn place(device: &Identity, places: &[(View, GuestVolume)], report: &Report) -> Answer<String> {
    let unread = || Answer::Unread("not every partition could be identified".to_owned());
    let at = |number: u32| {
        let place = format!("partition {number}");
        places.iter().map(|(_, volume)| volume).find(|volume| volume.place == place)
    };
    let uuid = match device {
        Identity::Gpt(uuid) => uuid.clone(),
        Identity::Mbr(signature, start) => {
            let partition = report.partitions.iter().find(|partition| partition.start == *start);
            let Some(partition) = partition else { return Answer::Absent };
            if at(partition.number).is_none_or(|volume| volume.partition_uuid.is_none()) {
                return unread();
            }
            format!("{signature:08x}-{:02x}", partition.number)
        }
    };
    let is = |volume: &GuestVolume| {
        volume.partition_uuid.as_deref().is_some_and(|its| its.eq_ignore_ascii_case(&uuid))
    };
    let known =
        |partition: &Partition| at(partition.number).is_some_and(|volume| volume.partition_uuid.is_some());
    let candidates = report.partitions.iter().filter(|partition| partition.kind != PartitionKind::Reserved);
    match places.iter().find(|(_, volume)| is(volume)) {
        Some((_, volume)) => Answer::Found(volume.place.clone()),
        None if candidates.into_iter().all(known) => Answer::Absent,
        None => unread(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_named_by_the_disk_and_its_place_or_by_its_guid() {
        let mut device = [0; 88];
        device[0x10] = 6;
        device[0x18] = 72;
        device[0x20..0x28].copy_from_slice(&0x15F0_0000_u64.to_le_bytes());
        device[0x34] = 1;
        device[0x38..0x3C].copy_from_slice(&[0xF1, 0xA8, 0xEB, 0xB3]);
        assert_eq!(identity(&device), Some(Identity::Mbr(0xB3EB_A8F1, 0x15F0_0000)));
        device[0x34] = 0;
        device[0x20..0x30]
            .copy_from_slice(&[0x33, 0x22, 0x11, 0, 0x55, 0x44, 0x77, 0x66, 1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(identity(&device), Some(Identity::Gpt("00112233-4455-6677-0102-030405060708".to_owned())));
        device[0x10] = 5;
        assert_eq!(identity(&device), None, "what was booted from");
        assert_eq!(identity(&device[..20]), None);
    }
}
