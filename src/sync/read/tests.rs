use super::*;

const FULL: &str = include_str!("../../../docs/examples/images.toml");

fn parse(text: &str) -> Result<SyncFile, FileError> {
    SyncFile::parse(text, |region| (region.as_str() == "cn-hangzou").then_some("cn-hangzhou"))
}

fn with(rest: &str) -> String {
    format!("fleet = \"web\"\nbucket = \"oss://images\"\n{rest}")
}

#[test]
fn the_example_of_the_documentation_says_what_it_says_there() {
    let file = parse(FULL).unwrap();
    let page = include_str!("../../../docs/sync.md");
    assert!(page.contains(&format!("```toml\n{FULL}```")), "the page has another example");
    assert_eq!(
        (file.fleet.as_str(), file.bucket.as_str(), file.folder.as_str()),
        ("web", "images", "nightly/")
    );
    let keys: Vec<&str> = file.entries.iter().map(|entry| entry.key.as_str()).collect();
    assert_eq!(keys, ["base", "front", "worker"]);
    let [base, front, worker] = file.entries.as_slice() else { panic!("{keys:?}") };
    assert!(matches!(&base.source, Source::Object(object) if object.key.as_str() == "golden/base.qcow2"));
    assert!(matches!(&front.source, Source::File(path) if path.as_os_str() == "build/front.qcow2"));
    assert!(matches!(&worker.source, Source::Web(_)) && worker.sha256.is_some());
    // What an image does not say is taken from the defaults, and what it says is its own.
    assert_eq!(front.import.platform.as_deref(), Some("Rocky Linux"));
    assert_eq!(worker.import.platform.as_deref(), Some("Debian"));
    assert!(matches!(&base.regions, Regions::AllBut(but) if but.len() == 1));
    assert!(base.public && !front.public);
    assert_eq!((front.name.handed_over(), worker.name.handed_over()), (Some("front"), None));
    assert_eq!(
        front.retention.as_ref().map(|rules| (rules.keep, rules.older_than)),
        Some((3, Some(Duration::from_secs(30 * 86400))))
    );
}

#[test]
fn a_name_tells_what_the_image_is_made_of_while_it_is_made() {
    let content = "0123456789abcdef";
    assert_eq!(Name::new("web").of_content(content), "web-01234567");
    assert_eq!(Name::new("web-{content}-x").of_content(content), "web-01234567-x");
    assert_eq!(Name::new("w".repeat(128)).of_content(content).len(), 128);
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let mut wrong = Vec::new();
    for (rest, expected) in [
        ("regoin = \"cn-hangzhou\"", "line 3, column 1: unknown key `regoin`; did you mean `region`?"),
        (
            "region = \"cn-hangzou\"",
            "line 3, column 10: unknown region `cn-hangzou`; did you mean `cn-hangzhou`?",
        ),
        ("removed = \"delet\"", "line 3, column 11: unknown value `delet`; did you mean `delete`?"),
        (
            "[image.aa]\nsource = \"a\"\nregions = [\"us-west-1\", \"cn-hangzou\"]",
            "line 5, column 25: unknown region `cn-hangzou`; did you mean `cn-hangzhou`?",
        ),
        (
            "[image.aa]\nsource = \"a\"\nregions = \"everywhere\"",
            "line 5, column 11: expected \"all\" or a list of regions such as [\"us-west-1\"]",
        ),
        (
            "[image.aa]\nsource = \"a\"\nplatform = \"Rocky Linx\"",
            "line 5, column 12: unknown platform `Rocky Linx`; did you mean `Rocky Linux`?",
        ),
        (
            "[image.aa]\nsource = \"a\"\nfamly = \"web\"",
            "line 5, column 1: unknown key `famly`; did you mean `family`?",
        ),
        (
            "[image.aa]\nname = \"web\"",
            "line 3, column 8: image `aa` has no source: a file, a URL, or oss://BUCKET/KEY",
        ),
        (
            "[image.aa]\nsource = \"oss://images\"",
            "line 4, column 10: `oss://images` names no object: write oss://BUCKET/KEY",
        ),
        (
            "[image.aa]\nsource = \"a\"\nname = \"7\"",
            "line 5, column 8: image name `7` has 1 characters; 2 to 128 are allowed",
        ),
        (
            "[image.aa]\nsource = \"a\"\n[image.bb]\nsource = \"b\"\nname = \"aa\"",
            "line 7, column 8: the name `aa` is that of `aa` already",
        ),
        (
            "[image.aa]\nsource = \"a\"\nkeep = 0",
            "line 5, column 8: the image in use always stays: `keep` is at least 1",
        ),
        (
            "[image.aa]\nsource = \"a\"\nolder-than = \"30d\"",
            "line 5, column 14: `older-than` needs `keep`: how many stay at least",
        ),
        (
            "[image.aa]\nsource = \"a\"\nkeep = 2\nolder-than = \"30\"",
            "line 6, column 14: expected an age such as \"30d\" or \"12h\"",
        ),
        (
            "[image.aa]\nsource = \"a\"\ntags = { \"ossup:entry\" = \"x\" }",
            "line 5, column 8: the tag `ossup:entry` is one that images are recognised by",
        ),
        (
            "[image.aa]\nsource = \"a\"\ntags = { \"ossup:delete-with\" = \"x\" }",
            "line 5, column 8: the tag `ossup:delete-with` is one that images are recognised by",
        ),
        (
            "[image.aa]\nsource = \"a\"\nkeep = 2\nkeep-tags = [\"a\", \"=x\"]",
            "line 6, column 19: expected a tag as \"KEY\" or \"KEY=VALUE\": without a key it keeps nothing",
        ),
        (
            "[image.aa]\nsource = \"a\"\nfamily = \"\"",
            "line 5, column 10: a family has a name; without one, leave it out",
        ),
        (
            "[image.aa]\nsource = \"a\"\nshare-with = [\"me\"]",
            "line 5, column 15: expected an account id (UID), a number such as \"1234567890123456\"",
        ),
        (
            "[image.aa]\nsource = \"a\"\ndisk-size = \"x\"",
            "line 5, column 13: invalid type: string \"x\", expected u32",
        ),
        (
            "[defaults]\nsource = \"x\"",
            "line 4, column 10: `source` is an image's own: it cannot be a default",
        ),
        (
            "[image.aa]\nsource = \"a\"\nas = \"vmdk\"",
            "line 5, column 6: unknown value `vmdk`; it is one of raw, qcow2, as-is, auto",
        ),
        (
            "[image.aa]\nsource = \"a\"\nboot-test = { vswitch = \"b\" }",
            "line 5, column 13: missing field `instance-type`",
        ),
        (
            "[image.aa]\nsource = \"a\"\nos-type = \"windows\"\nboot-test = { instance-type = \"a\", vswitch = \"b\", security-group = \"c\" }",
            "line 6, column 13: ECS shows no console of Windows instances, and `boot-test` is one of the console",
        ),
        (
            "[image.aa]\nsource = \"a\"\nboot-test = { instance-type = \"a\", vswitch = \"b\", security-group = \"c\", timeout = \"9h\" }",
            "line 5, column 13: expected a `timeout` of at most 6 h",
        ),
        ("[image.aa", "line 3, column 10: unclosed table, expected `]`"),
    ] {
        let told = parse(&with(rest)).map_or_else(|error| error.to_string(), |file| format!("{file:?}"));
        if told != expected {
            wrong.push(format!("{rest}\n  {told}\n  {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(parse("").unwrap_err().to_string().contains("missing field `fleet`"));
}

#[test]
fn a_password_of_a_url_is_not_repeated() {
    let file =
        parse(&with("[image.aa]\nsource = \"https://user:secret@example.com/a.qcow2?X-Signature=secret\""))
            .unwrap();
    assert!(!format!("{file:?} {}", file.entries[0].source).contains("secret"), "{file:?}");
}

#[cfg(feature = "cli")]
#[test]
fn the_schema_that_is_handed_out_is_that_of_the_file() {
    let schema = format!("{:#}\n", crate::sync::schema());
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/sync.schema.json");
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(written == schema, "`ossup sync --schema > docs/sync.schema.json` renews it");
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in ".{0,200}") {
        let _ = parse(&text);
        let _ = parse(&with(&text));
        let _ = parse(&with(&format!("[image.aa]\nsource = \"a\"\n{text}")));
    }
}
