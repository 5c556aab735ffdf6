use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use super::*;
use crate::source::map::testing::{FILE, image};

/// Changes the file, and gives it a checksum again.
fn edited(from: &str, to: &str) -> Result<DataMap, MapError> {
    assert!(FILE.contains(from), "{from}");
    sealed(&FILE.replace(from, to))
}

fn sealed(file: &str) -> Result<DataMap, MapError> {
    let (_, rest) = FILE.split_once("<BmapFileChecksum> ").unwrap();
    let old = &rest[..64];
    let blank = file.replace(old, &"0".repeat(64));
    let digest: String = Sha256::digest(blank.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    parse(file.replace(old, &digest).as_bytes())
}

#[test]
fn a_file_of_bmaptool_maps_its_image() {
    let map = parse(FILE.as_bytes()).unwrap();
    let of = |start, end| ByteRange::new(start, end);
    assert_eq!(map.length, 1_049_600);
    assert_eq!(map.data, [of(0, 8192), of(299_008, 303_104), of(1_048_576, 1_049_600)]);

    let mut image = image();
    let verify = |image: &[u8]| {
        let mut verifier = map.verifier().unwrap();
        for (at, bytes) in (0..).step_by(65_536).zip(image.chunks(65_536)) {
            verifier.data(at, bytes)?;
        }
        verifier.finish(image.len() as u64)
    };
    assert_eq!(verify(&image), Ok(()));
    *image.last_mut().unwrap() = b'D';
    assert_eq!(verify(&image).unwrap_err().0, of(1_048_576, 1_049_600));
}

#[test]
fn version_1_4_is_read_and_older_and_newer_ones_are_not() {
    assert!(edited(r#"version="2.0""#, r#"version="1.4""#).is_ok());
    for version in ["1.3", "1.0", "3.0", "2", "x.y", ""] {
        let error = edited(r#"version="2.0""#, &format!("version='{version}'")).unwrap_err();
        assert_eq!(error, MapError::Version(version.to_owned()));
    }
}

#[test]
fn checksums_may_be_sha1_or_left_out() {
    let plain =
        edited(r#" chksum="fd0438d5afd86852fa431b25260d746b50b5995f0fcbbeecad7c9f3675321c7f""#, "").unwrap();
    assert_eq!((plain.data.len(), plain.checksums.len()), (3, 2));

    let zeros = "0".repeat(40);
    let empty = Sha1::digest(vec![0; 4096]).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let file = format!(
        "<bmap version='2.0'><ImageSize>8192</ImageSize><BlockSize>4096</BlockSize><BlocksCount>2</BlocksCount>\
         <MappedBlocksCount>1</MappedBlocksCount><ChecksumType>sha1</ChecksumType>\
         <BmapFileChecksum>{zeros}</BmapFileChecksum><BlockMap><Range chksum='{empty}'>1</Range></BlockMap></bmap>"
    );
    let digest = Sha1::digest(file.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let map = parse(file.replacen(&zeros, &digest, 1).as_bytes()).unwrap();
    assert_eq!(map.verifier().unwrap().finish(8192), Ok(()));
}

#[test]
fn any_byte_that_changed_is_noticed() {
    for at in 0..FILE.len() {
        let mut file = FILE.as_bytes().to_vec();
        file[at] ^= 1;
        assert!(parse(&file).is_err(), "{at}: {}", &FILE[at..=at]);
    }
    assert!(parse(&FILE.as_bytes()[..FILE.len() / 2]).is_err());
}

#[test]
fn contradictions_are_refused() {
    for (from, to) in [
        ("<MappedBlocksCount> 4", "<MappedBlocksCount> 5"),
        ("<BlocksCount> 257", "<BlocksCount> 256"),
        ("<BlockSize> 4096", "<BlockSize> 0"),
        ("<BlockSize> 4096", "<BlockSize> 18446744073709551615"),
        ("> 73 <", "> 1 <"),
        ("> 73 <", "> 257 <"),
        ("> 256 <", "> 18446744073709551615 <"),
        ("> 0-1 <", "> 1-0 <"),
        ("> 0-1 <", "> 0-200 <"),
        ("<BlockSize> 4096 </BlockSize>", "<BlockSize>4096</BlockSize><BlockSize>4096</BlockSize>"),
    ] {
        let error = edited(from, to).unwrap_err();
        assert!(matches!(error, MapError::Contradiction(_)), "{to}: {error}");
    }
}

#[test]
fn what_is_no_bmap_file_is_refused() {
    let deep = FILE.replace("> 73 <", "><a>73</a><");
    let long = FILE.replace("> 73 <", &format!(">{}73<", " ".repeat(MAX_TEXT)));
    for (from, to) in [
        ("sha256 <", "md5 <"),
        ("sha256 <", "sha1 <"),
        ("chksum=\"fd", "chksum=\""),
        ("> 0-1 <", "> 0-1-2 <"),
        ("> 0-1 <", "> -1 <"),
        ("> 0-1 <", ">&#48;<"),
        ("<ImageSize> 1049600 </ImageSize>", ""),
        (" version=\"2.0\"", ""),
        ("<bmap", "<!DOCTYPE bmap [<!ENTITY a \"x\">]><bmap"),
        ("</bmap>", ""),
        ("bmap", "blocks"),
    ] {
        let error = edited(from, to).unwrap_err();
        assert!(matches!(error, MapError::Malformed(_)), "{to}: {error}");
    }
    for file in ["", "text", "<bmap/>", "<html></html>", &deep, &long] {
        let error = sealed(file).unwrap_err();
        assert!(matches!(error, MapError::Malformed(_)), "{file}: {error}");
        assert!(!error.to_string().chars().any(char::is_control));
    }
    assert!(matches!(parse(b"\xFF"), Err(MapError::Malformed(_))));
}
