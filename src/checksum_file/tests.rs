use proptest::prelude::*;

use super::*;

const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB";

fn found(file: &str, name: &str) -> Result<Published, ChecksumFileError> {
    published(file.as_bytes(), Some(name))
}

fn digest(file: &str, name: &str) -> String {
    found(file, name).unwrap_or_else(|error| panic!("{file}: {error}")).sha256.to_string()
}

#[test]
fn every_published_form_is_read() {
    for file in [
        format!("{A}  disk.raw\n{B}  other.raw\n"),
        format!("{A} *disk.raw\r\n{B} *other.raw\r\n"),
        format!("{A} disk.raw"),
        format!("{A}\tdisk.raw"),
        format!("{A}  ./images/disk.raw\n"),
        format!("SHA256 (disk.raw) = {A}\nSHA256 (other.raw) = {B}\n"),
        format!("SHA2-256(disk.raw)= {A}\n"),
        format!("SHA512 (disk.raw) = {A}{A}\nMD5 (disk.raw) = {}\nSHA256 (disk.raw) = {A}\n", &A[..32]),
        format!("\u{feff}{A}\n"),
        format!("{}\n", A.to_uppercase()),
        format!("# a comment\n\n{B}\n{A}  disk.raw\n"),
        format!("{A}  disk.raw\n{A}  mirror/disk.raw\n"),
    ] {
        assert_eq!(digest(&file, "some/where/disk.raw"), A, "{file}");
    }
    assert_eq!(digest(&format!("SHA256 (disk (1).raw) = {A}"), "disk (1).raw"), A);
    assert_eq!(digest(&format!("\\{A}  a\\\\b\\nc"), "a\\b\nc"), A);
    assert_eq!(published(format!("{A}  any.raw").as_bytes(), None).unwrap().sha256.to_string(), A);
}

#[test]
fn a_signed_message_counts_as_far_as_it_is_signed() {
    let file = format!(
        "{B}  disk.raw\n-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n# disk.raw: 5 bytes\n\
         SHA256 (disk.raw) = {A}\n- -----dashes\n-----BEGIN PGP SIGNATURE-----\n\niQ==\n\
         -----END PGP SIGNATURE-----\n{B}  disk.raw\n"
    );
    let read = found(&file, "disk.raw").unwrap();
    assert_eq!((read.sha256.to_string().as_str(), read.signed), (A, true));
    assert!(!found(A, "disk.raw").unwrap().signed);
    let cut = file.split("-----BEGIN PGP SIGNATURE").next().unwrap();
    assert_eq!(found(cut, "disk.raw"), Err(ChecksumFileError::Cut));
    let detached = "-----BEGIN PGP SIGNATURE-----\n\niQ==\n-----END PGP SIGNATURE-----\n";
    assert_eq!(found(detached, "disk.raw"), Err(ChecksumFileError::Signature));
}

#[test]
fn what_is_there_instead_is_said() {
    for (file, words) in [
        (
            format!("{A}  other.raw\n{B}  third.raw\n"),
            "no SHA-256 of `disk.raw`; it lists `other.raw`, `third.raw`",
        ),
        (
            format!("{A}  disk.raw\n{B}  arm64/disk.raw\n"),
            "different SHA-256 that could be of `disk.raw`: `aaaa",
        ),
        (format!("{A}\n{B}\n"), "different SHA-256"),
        (format!("{A}{A}  disk.raw\n"), "it has `SHA-512` of `disk.raw`, but no SHA-256"),
        (format!("BLAKE2b (disk.raw) = {A}\n"), "`another kind of checksum`"),
        ("<!DOCTYPE html><title>404".to_owned(), "it is a web page"),
        (format!("SHA256 (disk.raw) = {}", &A[1..]), "it has no checksum in it"),
        (String::new(), "it has no checksum in it"),
        (format!("{A}  evil\u{1b}[2J.raw"), "`evil\\u{1b}[2J.raw`"),
        ((0..30).map(|i| format!("{A}  {i}.raw\n")).collect(), "`9.raw` and 20 more"),
    ] {
        let error = found(&file, "disk.raw").unwrap_err().to_string();
        assert!(error.contains(words), "{file}: {error}");
    }
    let two = format!("{A}  a.raw\n{B}  b.raw\n");
    assert!(matches!(published(two.as_bytes(), None), Err(ChecksumFileError::Ambiguous { .. })));
    assert_eq!(published(&vec![b'a'; MAX_CHECKSUM_FILE + 1], None), Err(ChecksumFileError::TooLong));
}

/// A name as coreutils write it, and whether it had to be escaped.
fn escaped(name: &str) -> (bool, String) {
    let text = name.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r");
    (text != name, text)
}

proptest! {
    #[test]
    fn each_file_of_a_list_gets_its_own_digest(
        files in prop::collection::btree_map("[^/\0\\s][^/\0]{0,20}[^/\0\\s]", any::<[u8; 32]>(), 1..8),
        binary: bool,
        bsd: bool,
    ) {
        let mut text = String::new();
        for (name, digest) in &files {
            let (is_escaped, name) = escaped(name);
            let (slash, digest) = (if is_escaped { "\\" } else { "" }, Sha256(*digest));
            text += &match (bsd, binary) {
                (true, _) => format!("{slash}SHA256 ({name}) = {digest}\n"),
                (false, true) => format!("{slash}{digest} *{name}\n"),
                (false, false) => format!("{slash}{digest}  {name}\n"),
            };
        }
        for (name, digest) in &files {
            let read = published(text.as_bytes(), Some(name)).unwrap();
            prop_assert_eq!(read.sha256, Sha256(*digest), "{} in {}", name, text);
        }
    }

    #[test]
    fn a_digest_is_read_as_it_is_written(bytes: [u8; 32]) {
        prop_assert_eq!(Sha256(bytes).to_string().parse(), Ok(Sha256(bytes)));
    }

    #[test]
    fn nothing_but_a_digest_of_the_file_is_ever_returned(text in "([a-f0-9]{64}|[ *\\\\()=A-Z0-9\n]){0,12}", name: Option<String>) {
        if let Ok(read) = published(text.as_bytes(), name.as_deref()) {
            prop_assert!(text.to_ascii_lowercase().contains(&read.sha256.to_string()));
        }
    }
}
