use std::ffi::OsStr;

use super::*;

fn file() -> FileIdentity {
    FileIdentity {
        path: "/images/disk.raw".into(),
        length: 1_234_567,
        modified_ns: 1_795_713_389_623_256_773,
        changed_ns: 1_795_713_389_623_256_774,
        device: 65024,
        inode: 10_010_744,
    }
}

fn device() -> DeviceIdentity {
    DeviceIdentity { path: "/dev/sdb".into(), length: 10 << 30, device: 2064, written: Some(81_920) }
}

fn web(etag: Option<&str>, last_modified: Option<&str>) -> SourceIdentity {
    let own = |text: Option<&str>| text.map(str::to_owned);
    SourceIdentity::Web(WebIdentity::new("https://x.example/a.raw", 7, own(etag), own(last_modified)))
}

fn stream(length: Option<u64>) -> SourceIdentity {
    SourceIdentity::Stream(StreamIdentity::new(STANDARD_INPUT, length))
}

fn read(text: &str) -> Result<SourceIdentity, serde_json::Error> {
    serde_json::from_str(text)
}

#[test]
fn a_file_is_written_as_0_1_0_wrote_it() {
    let text = r#"{"name":"/images/disk.raw","length":1234567,"modified_ns":1795713389623256773,"changed_ns":1795713389623256774,"device":65024,"inode":10010744}"#;
    assert_eq!(serde_json::to_string(&SourceIdentity::File(file())).unwrap(), text);
    assert_eq!(read(text).unwrap(), SourceIdentity::File(file()));
}

#[test]
fn a_device_of_0_1_0_is_read_as_one() {
    let text = r#"{"name":"/dev/sdb","length":10737418240,"modified_ns":0,"changed_ns":81920,"device":2064,"inode":0}"#;
    assert_eq!(read(text).unwrap(), SourceIdentity::Device(device()));
    let uncounted = text.replace("81920", "0");
    let expected = DeviceIdentity { written: None, ..device() };
    assert_eq!(read(&uncounted).unwrap(), SourceIdentity::Device(expected));
}

#[test]
fn every_kind_is_read_as_it_was_written() {
    let kinds = [
        SourceIdentity::File(file()),
        SourceIdentity::Device(device()),
        SourceIdentity::Device(DeviceIdentity { written: None, ..device() }),
        web(Some("\"5f-1\""), None),
        web(None, Some("Mon, 01 Jan 2026 00:00:00 GMT")),
        stream(None),
        stream(Some(7)),
    ];
    for identity in kinds {
        let text = serde_json::to_string(&identity).unwrap();
        assert_eq!(text.contains("\"kind\""), !matches!(identity, SourceIdentity::File(_)));
        assert_eq!(read(&text).unwrap(), identity, "{text}");
    }
}

#[test]
fn an_identity_that_lacks_something_is_damaged() {
    let text = serde_json::to_value(SourceIdentity::File(file())).unwrap();
    for member in ["length", "modified_ns", "changed_ns", "device", "inode"] {
        let mut lacking = text.clone();
        lacking.as_object_mut().unwrap().remove(member);
        assert!(read(&lacking.to_string()).is_err(), "without {member}");
    }
    assert!(read(r#"{"kind":"tape","name":"x","length":1}"#).is_err());
}

#[test]
fn a_path_that_is_no_text_is_kept_whole() {
    for bytes in [&b"/images/d\xffsk.raw"[..], b"/images/disk.raw", "/\u{fffd}".as_bytes()] {
        let path = Path::new(OsStr::from_bytes(bytes));
        let identity = SourceIdentity::File(FileIdentity { path: path.to_owned(), ..file() });
        let text = serde_json::to_string(&identity).unwrap();
        assert_eq!(read(&text).unwrap().path(), Some(path));
    }
}

#[test]
fn what_may_be_secret_in_a_url_is_not_kept() {
    let url = "https://user:pa:ss@images.example:8443/a/b.raw?Signature=s3cret&x=y#z";
    let kept = "https://images.example:8443/a/b.raw";
    assert_eq!(WebIdentity::new(url, 1, None, None).url, kept);
    assert_eq!(StreamIdentity::new(url, None).name, kept);
    assert_eq!(StreamIdentity::new("HTTP://a:b@h?q=/@x", None).name, "HTTP://h");
    assert_eq!(StreamIdentity::new("/run/a?b#c@d", None).name, "/run/a?b#c@d");
}

#[test]
fn a_device_is_the_same_by_its_number_and_what_was_written() {
    let now = SourceIdentity::Device(device());
    let differs = |then: DeviceIdentity| now.difference(&SourceIdentity::Device(then));
    assert_eq!(differs(device()), None);
    assert_eq!(differs(DeviceIdentity { path: "/dev/disk/by-id/x".into(), ..device() }), None);
    assert_eq!(differs(DeviceIdentity { written: Some(1), ..device() }), Some(Change::Status));
    assert_eq!(differs(DeviceIdentity { written: None, ..device() }), Some(Change::Status));
    assert_eq!(differs(DeviceIdentity { device: 1, ..device() }), Some(Change::Replaced));
    assert_eq!(differs(DeviceIdentity { length: 1, ..device() }), Some(Change::Size));
}

#[test]
fn a_web_file_is_the_same_where_the_server_says_so() {
    let (monday, tuesday) = (Some("Mon, 01 Jan 2026 00:00:00 GMT"), Some("Tue, 02 Jan 2026 00:00:00 GMT"));
    let cases = [
        ((Some("\"a\""), monday), (Some("\"a\""), tuesday), None),
        ((Some("\"a\""), monday), (Some("\"b\""), monday), Some(Change::Version)),
        ((Some("W/\"a\""), monday), (Some("\"a\""), monday), None),
        ((Some("W/\"a\""), None), (Some("W/\"a\""), None), Some(Change::Unknown)),
        ((None, monday), (None, monday), None),
        ((None, monday), (None, tuesday), Some(Change::Version)),
        ((None, monday), (Some("\"a\""), None), Some(Change::Unknown)),
        ((None, None), (None, None), Some(Change::Unknown)),
    ];
    for (now, then, expected) in cases {
        let found = web(now.0, now.1).difference(&web(then.0, then.1));
        assert_eq!(found, expected, "{now:?} after {then:?}");
    }
}

#[test]
fn a_stream_never_shows_that_it_is_the_same() {
    assert_eq!(stream(None).difference(&stream(None)), Some(Change::Unknown));
    assert_eq!(stream(Some(7)).difference(&stream(Some(7))), Some(Change::Unknown));
    assert_eq!(stream(Some(7)).difference(&stream(Some(8))), Some(Change::Size));
    assert_eq!((stream(None).mismatch(&stream(Some(7))), stream(None).path()), (None, None));
}

#[test]
fn what_another_run_read_is_told_by_kind() {
    let now = SourceIdentity::File(file());
    let file = |then: FileIdentity| now.mismatch(&SourceIdentity::File(then));
    assert_eq!(file(FileIdentity { device: 1, inode: 1, changed_ns: 1, ..self::file() }), None);
    let length = file(FileIdentity { length: 1, ..self::file() });
    assert_eq!(length, Some("its size differs"));
    let modified = file(FileIdentity { modified_ns: 1, ..self::file() });
    assert_eq!(modified, Some("its modification time differs"));
    assert_eq!(now.mismatch(&stream(None)), Some("it is another kind of source"));
    let another = web(Some("\"a\""), None).mismatch(&web(Some("\"b\""), None));
    assert_eq!(another, Some("the server has another version of it"));
    assert_eq!(web(None, None).mismatch(&web(None, None)), None, "its parts are compared");
    let moved = DeviceIdentity { device: 1, written: None, ..device() };
    assert_eq!(SourceIdentity::Device(device()).mismatch(&SourceIdentity::Device(moved)), None);
}

#[test]
fn messages_name_the_kind_where_the_name_does_not() {
    let shown =
        [SourceIdentity::File(file()), SourceIdentity::Device(device()), web(None, None), stream(None)];
    assert_eq!(
        shown.map(|identity| identity.to_string()),
        ["`/images/disk.raw`", "the device `/dev/sdb`", "`https://x.example/a.raw`", "standard input"]
    );
}
