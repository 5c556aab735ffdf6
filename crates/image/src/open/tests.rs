use super::*;
use crate::testing::*;

fn open(file: Vec<u8>) -> Result<Vec<u8>, OpenDiskError> {
    let disk = open_disk(Arc::new(file))?;
    let mut bytes = vec![0xEE; disk.length() as usize];
    disk.read_at(0, &mut bytes)?;
    Ok(bytes)
}

/// Returns the error with its causes.
fn error(file: Vec<u8>) -> String {
    let error = open(file).unwrap_err();
    let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
    format!("{error}{cause}")
}

#[test]
fn the_disk_is_the_same_in_every_format() {
    let disk = mbr_disk();
    for file in [disk.clone(), qcow2(&disk), fixed_vhd(&disk), dynamic_vhd(&disk)] {
        assert!(open(file).unwrap() == disk);
    }
}

#[test]
fn what_is_only_no_file_for_the_service_is_a_disk_all_the_same() {
    // The block table has an entry more than the disk needs.
    let disk = mbr_disk();
    let mut file = dynamic_vhd(&disk);
    put(&mut file, 512 + 28, &5u32.to_be_bytes());
    seal_vhd(&mut file[512..1536], 36);
    assert!(open(file).unwrap() == disk);
}

#[test]
fn a_file_that_does_not_hold_the_whole_disk_is_refused_with_the_way_out() {
    let disk = mbr_disk();
    let file = qcow2(&disk);
    let with = |patches: &[(usize, &[u8])]| {
        let mut file = file.clone();
        patches.iter().for_each(|(at, bytes)| put(&mut file, *at, bytes));
        error(file)
    };
    let backing = with(&[(8, &600u64.to_be_bytes()), (16, &4u32.to_be_bytes()), (600, b"base")]);
    assert!(backing.contains("backing file `base`") && backing.contains("qemu-img convert"), "{backing}");
    assert!(with(&[(32, &1u32.to_be_bytes())]).contains("encrypted"));
    assert!(with(&[(72, &2u64.to_be_bytes())]).contains("qemu-img"), "marked as corrupt");
    assert!(error(file[..file.len() - CLUSTER].to_vec()).contains("beyond the end of the file"));
    assert!(error(file[..file.len() - 1].to_vec()).contains("truncated"));
    let mut damaged = fixed_vhd(&disk);
    let at = damaged.len() - 500;
    damaged[at] ^= 1;
    assert!(error(damaged).contains("damaged"));
    let mut qed = vec![0; 1 << 20];
    put(&mut qed, 0, b"QED\0");
    assert!(error(qed).contains("qemu-img convert"));
    for (other, word) in [(vec![], "empty"), (b"<html>not found</html>".to_vec(), "text")] {
        assert!(error(other).contains(word), "{word}");
    }
}

#[test]
fn two_parts_of_a_disk_in_the_same_place_are_an_error() {
    let disk = mbr_disk();
    // Two entries of the L1 table, of a disk of 1 GiB.
    let mut file = qcow2(&disk);
    put(&mut file, 24, &(1u64 << 30).to_be_bytes());
    put(&mut file, 36, &2u32.to_be_bytes());
    let l2: [u8; 8] = file[3 * CLUSTER..3 * CLUSTER + 8].try_into().unwrap();
    put(&mut file, 3 * CLUSTER + 8, &l2);
    let shared = error(file);
    assert!(shared.contains("byte 536870912 of the disk") && shared.contains("another part"), "{shared}");
    let mut file = dynamic_vhd(&disk);
    let block: [u8; 4] = file[1536..1540].try_into().unwrap();
    put(&mut file, 1536 + 8, &block);
    let shared = error(file);
    assert!(shared.contains("byte 4194304 of the disk") && shared.contains("another part"), "{shared}");
}
