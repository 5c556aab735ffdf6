//! NTFS, just enough of it to read files by their paths.
//!
//! Written here, for the crate `ntfs` panics on damaged file systems. Every structure is bounded, and what it says of
//! itself is compared with what pointed to it. Files that are compressed or encrypted are not read, nor those that a
//! filter of Windows keeps elsewhere; the log is not applied, so that on a volume that was not unmounted nothing is
//! certainly absent ([`Ntfs::was_unmounted`]).

mod data;
mod index;
mod record;
#[cfg(test)]
mod tests;

use data::Data;
pub(super) use data::File;
use index::Entry;
use record::{Record, Value};

use super::fields::Fields;
use super::pages::View;
use super::volume::{Kind, Read, Reason};

/// Numbers of the records that are always at the same place.
const MFT: u64 = 0;
const LOG: u64 = 2;
const VOLUME: u64 = 3;
const ROOT: u64 = 5;

/// Types of attributes.
const STANDARD_INFORMATION: u32 = 0x10;
const ATTRIBUTE_LIST: u32 = 0x20;
const VOLUME_INFORMATION: u32 = 0x70;
const DATA: u32 = 0x80;
const INDEX_ROOT: u32 = 0x90;
const INDEX_ALLOCATION: u32 = 0xA0;

/// Flags of a file, in its standard information and in the entry of its directory.
const READ_ONLY: u32 = 0x1;
const REPARSE_POINT: u32 = 0x400;
const DIRECTORY: u32 = 0x1000_0000;

/// Most records that one file is described by.
const MOST_RECORDS: usize = 1024;
/// Most bytes of a list of attributes, as NTFS has it (256 KiB).
const LONGEST_LIST: usize = 256 << 10;

/// A volume.
#[derive(Debug)]
pub(super) struct Ntfs {
    view: View,
    /// Bytes of a cluster.
    cluster: u64,
    /// Bytes of a record.
    record: usize,
    mft: Data,
}

impl Ntfs {
    pub(super) fn open(view: &View) -> Result<Self, Reason> {
        let boot = view.head::<512>(0).map_err(|unreadable| unreadable.to_string())?;
        let fields = Fields::new(&boot, "the boot sector of NTFS");
        let sector = u64::from(fields.u16(0x0B)?);
        let cluster = match fields.u8(0x0D)? {
            count @ 0..=0x80 => sector * u64::from(count),
            // Of large clusters it is the negative of a power of two.
            power => sector.checked_shl(256 - u32::from(power)).unwrap_or(0),
        };
        let record = match fields.u8(0x40)?.cast_signed() {
            clusters @ 0.. => cluster * u64::from(clusters.unsigned_abs()),
            power => 1_u64.checked_shl(u32::from(power.unsigned_abs())).unwrap_or(0),
        };
        let fits = fields.slice(3, 8)? == b"NTFS    "
            && (512..=4096).contains(&sector)
            && cluster.is_power_of_two()
            && (512..=2 << 20).contains(&cluster)
            && record.is_power_of_two()
            && (512..=16 << 10).contains(&record);
        let at = fields.u64(0x30)?.checked_mul(cluster).filter(|_| fits).ok_or_else(|| fields.damaged())?;
        let record = usize::try_from(record).expect("at most 16 KiB");
        let mut ntfs = Self { view: view.clone(), cluster, record, mft: Data::default() };
        let mut bytes = vec![0; record];
        view.fill(at, &mut bytes).map_err(|unreadable| unreadable.to_string())?;
        let first = Record::new(bytes, MFT)?;
        ntfs.mft = ntfs.gather(&first, DATA, b"")?.ok_or("the table of files is missing")?;
        Ok(ntfs)
    }

    /// Tells what stands at `path`, whose names are divided by slashes of either kind, and may be in any case.
    pub(super) fn kind(&self, path: &[u8]) -> Read<Kind> {
        Ok(self.find(path)?.map(|entry| match (entry.is_directory(), entry.is_elsewhere()) {
            (false, _) => Kind::File,
            (true, false) => Kind::Directory,
            (true, true) => Kind::Other,
        }))
    }

    /// Opens the file at `path`.
    pub(super) fn file(&self, path: &[u8]) -> Read<File> {
        let Some(entry) = self.find(path)?.filter(|entry| !entry.is_directory()) else { return Ok(None) };
        let record = self.record_of(entry.reference)?;
        if record.flags()? & REPARSE_POINT != 0 {
            return Err("a filter of Windows keeps the file in another form".to_owned());
        }
        let data = self.gather(&record, DATA, b"")?.ok_or("a file has no contents")?;
        Ok(Some(data.readable(&self.view)?))
    }

    /// Whether the file at `path` is marked as read-only.
    pub(super) fn is_read_only(&self, path: &[u8]) -> Read<bool> {
        let Some(entry) = self.find(path)? else { return Ok(None) };
        Ok(Some(self.record_of(entry.reference)?.flags()? & READ_ONLY != 0))
    }

    /// Returns the names in the directory at `path`, in no order, at most `most`.
    pub(super) fn list(&self, path: &[u8], most: usize) -> Read<Vec<Vec<u8>>> {
        match self.find(path)? {
            Some(entry) if entry.is_directory() => Ok(Some(self.index(&entry)?.names(most)?)),
            _ => Ok(None),
        }
    }

    /// Whether the volume is marked to be checked at the next start.
    pub(super) fn is_dirty(&self) -> Result<bool, Reason> {
        let record = self.record_of(VOLUME)?;
        for attribute in record.attributes()? {
            if let (VOLUME_INFORMATION, Value::Resident(value)) = (attribute.kind, attribute.value) {
                return Ok(Fields::new(value, "the state of NTFS").u16(0xA)? & 1 != 0);
            }
        }
        Err("the state of NTFS is missing".to_owned())
    }

    /// Whether all that its log holds was applied, as far as the log says.
    pub(super) fn was_unmounted(&self) -> Result<bool, Reason> {
        const NOBODY: u16 = 0xFFFF;
        const CLEAN: u16 = 2;
        let record = self.record_of(LOG)?;
        let log =
            self.gather(&record, DATA, b"")?.ok_or("the log of NTFS is missing")?.readable(&self.view)?;
        let mut newest = None;
        // Two copies of the same page, one of which is the newer.
        for at in [0, 4096] {
            let mut page = vec![0; 4096];
            if log.length() < at + 4096 {
                continue;
            }
            log.fill(at, &mut page)?;
            let Ok(page) = record::repaired(page, b"RSTR") else { continue };
            let fields = Fields::new(&page, "the log of NTFS");
            let area = usize::from(fields.u16(0x18)?);
            let clean = fields.u16(area + 0xC)? == NOBODY || fields.u16(area + 0xE)? & CLEAN != 0;
            newest = newest.max(Some((fields.u64(area)?, clean)));
        }
        // A log without such pages was emptied, as the tools of Linux do.
        Ok(newest.is_none_or(|(_, clean)| clean))
    }

    fn find(&self, path: &[u8]) -> Read<Entry> {
        let mut entry = Entry { reference: ROOT, flags: DIRECTORY };
        let names = path.split(|byte| matches!(byte, b'/' | b'\\')).filter(|name| !name.is_empty());
        for name in names {
            if !entry.is_directory() {
                return Ok(None);
            }
            if entry.is_elsewhere() {
                return Err("a folder is a link to another".to_owned());
            }
            match self.index(&entry)?.find(name)? {
                Some(next) => entry = next,
                None => return Ok(None),
            }
        }
        Ok(Some(entry))
    }

    /// Reads the record that a reference names: its number, and above it how often it was used anew.
    fn record_of(&self, reference: u64) -> Result<Record, Reason> {
        self.record_in(&self.mft, reference)
    }

    fn record_in(&self, mft: &Data, reference: u64) -> Result<Record, Reason> {
        let (number, used) = (reference & 0xFFFF_FFFF_FFFF, reference >> 48);
        let at = number.checked_mul(self.record as u64).ok_or("a number of a file is damaged")?;
        let mut bytes = vec![0; self.record];
        mft.fill(&self.view, at, &mut bytes)?;
        let record = Record::new(bytes, number)?;
        if used != 0 && used != u64::from(record.used()?) {
            return Err("a directory names a file that is another one now".to_owned());
        }
        Ok(record)
    }

    /// Puts the pieces of an attribute together, which may lie in several records.
    fn gather(&self, record: &Record, kind: u32, name: &[u8]) -> Read<Data> {
        let mut found = None;
        let own = record.attributes()?;
        let Some(list) = own.iter().find(|attribute| attribute.kind == ATTRIBUTE_LIST) else {
            for attribute in own.iter().filter(|attribute| attribute.is(kind, name)) {
                Data::add(&mut found, attribute, self)?;
            }
            return Ok(found);
        };
        let mut listed = None;
        Data::add(&mut listed, list, self)?;
        let listed = listed.ok_or("a list of attributes is missing")?;
        let listed = listed.readable(&self.view)?.whole(LONGEST_LIST)?;
        for (count, reference) in record::listed(&listed, kind, name)?.into_iter().enumerate() {
            if count == MOST_RECORDS {
                return Err("a file of more records than are read".to_owned());
            }
            if reference & 0xFFFF_FFFF_FFFF == record.number() {
                for attribute in own.iter().filter(|attribute| attribute.is(kind, name)) {
                    Data::add(&mut found, attribute, self)?;
                }
                continue;
            }
            // The table of files describes itself: its first pieces say where its others are.
            let mft = found.as_ref().filter(|_| record.number() == MFT).unwrap_or(&self.mft);
            let other = self.record_in(mft, reference)?;
            if other.base()? & 0xFFFF_FFFF_FFFF != record.number() {
                return Err("a record of one file belongs to another".to_owned());
            }
            for attribute in other.attributes()?.iter().filter(|attribute| attribute.is(kind, name)) {
                Data::add(&mut found, attribute, self)?;
            }
        }
        Ok(found)
    }
}
