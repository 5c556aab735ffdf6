//! Modules import downwards only: each row of [`MODULES`] says what a module may name of the others.
//!
//! The test reads the source, so that a wrong import fails here with its file and line and not, months
//! later, as a cycle that cannot be untied. Code under `#[cfg(test)]` is exempt: a unit test may stand on
//! the emulator or on any stage. The binary is a crate of its own, so the compiler holds it to public names.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// What a module may import from the crate, beside itself.
struct Module {
    name: &'static str,
    /// Paths below the crate root; each also allows all below it.
    may: &'static [&'static str],
}

const WORDS: &[&str] = &["model", "event", "clock", "cancel"];
const PURE: &[&str] = &[
    "read",
    "checksum",
    "checksum_file",
    "credentials",
    "plan",
    "image",
    "unpack",
    "retry",
    "request",
    "uri",
    "sign",
    "protocol",
];
const EDGES: &[&str] = &["source", "blocks", "supply", "state", "http"];
const MEETING: &[&str] = &["client", "provider", "web"];

/// The modules, lowest tier first. A tier may import those before it, as far as the row says so.
const MODULES: &[Module] = &[
    // 0: words. Nothing of ours but each other.
    Module { name: "model", may: &[] },
    Module { name: "event", may: &["model", "clock"] },
    Module { name: "clock", may: &[] },
    Module { name: "cancel", may: &[] },
    // 1: pure.
    Module { name: "read", may: WORDS },
    Module { name: "checksum", may: WORDS },
    Module { name: "checksum_file", may: WORDS },
    Module { name: "credentials", may: WORDS },
    Module { name: "plan", may: WORDS },
    // The checks look through whatever can be read at any position.
    Module { name: "image", may: &["model", "clock", "read"] },
    // What stops a start is explained by the checks of the image.
    Module { name: "boot", may: &["model", "image"] },
    // The policy decides on what an error means, and `protocol` tells that.
    Module { name: "retry", may: &["model", "event", "clock", "protocol"] },
    Module { name: "request", may: &["model"] },
    Module { name: "uri", may: &["model", "request", "sign::encode"] },
    // Signing takes the key pair.
    Module { name: "sign", may: &["model", "credentials", "request", "uri"] },
    Module { name: "protocol", may: &["model", "event", "clock", "credentials", "request", "uri", "sign"] },
    // What is worth unpacking is told by what an image is; the codecs are where images need them.
    Module { name: "unpack", may: &["model", "event", "clock", "image"] },
    // 2: edges.
    // A source is read at any position; it may be the disk inside an image.
    Module {
        name: "source",
        may: &[
            "model",
            "event",
            "clock",
            "read",
            "checksum_file::Sha256",
            "image::open_disk",
            "image::OpenDiskError",
        ],
    },
    // What is read passes as a checksum too.
    Module { name: "blocks", may: &["model", "event", "clock", "checksum", "source"] },
    // How the object is cut follows from what it is made of.
    Module {
        name: "supply",
        may: &["tier 0", "read", "checksum", "checksum_file", "plan", "image", "source", "blocks"],
    },
    // The checkpoint holds the cut rule and the source's identity; each journal record its own checksum.
    Module { name: "state", may: &["model", "event", "clock", "plan", "checksum", "source"] },
    // The boxed future of its trait is the one that credentials' trait uses.
    Module { name: "http", may: &["model", "event", "clock", "credentials::BoxFuture"] },
    // 3: where protocol, http and retry meet.
    Module { name: "client", may: &["tier 0", "tier 1", "http"] },
    Module { name: "provider", may: &["tier 0", "tier 1", "http", "client"] },
    // Beside the client: it sends nothing signed, and must not have what signs.
    Module {
        name: "web",
        may: &["model", "event", "clock", "read", "retry", "protocol::RetryClass", "source", "http"],
    },
    // 4: stages. From another stage only what it hands over.
    Module { name: "session", may: &["tier 0", "tier 1", "tier 2", "tier 3"] },
    Module { name: "transfer", may: &["tier 0", "tier 1", "tier 2", "tier 3", "session"] },
    // Whether the journal can still be written is known to the stage before.
    Module {
        name: "complete",
        may: &[
            "tier 0",
            "tier 1",
            "tier 2",
            "tier 3",
            "session",
            "transfer::PartList",
            "transfer::JournalWriter",
        ],
    },
    Module { name: "url", may: &["tier 0", "tier 1", "tier 2", "tier 3"] },
    Module { name: "import", may: &["tier 0", "tier 1", "tier 2", "tier 3"] },
    // It goes on with what an import has made, and looks at it in the same way.
    Module { name: "manage", may: &["tier 0", "tier 1", "tier 2", "tier 3", "import"] },
    // What the console shows is judged as that of a machine here is.
    Module { name: "boot_test", may: &["tier 0", "tier 1", "tier 2", "tier 3", "boot"] },
    // 5: front.
    Module { name: "upload", may: &["tier 0", "tier 1", "tier 2", "tier 3", "tier 4"] },
    // What a refusal means is judged in one place, also for the steps that may be refused.
    Module {
        name: "publish",
        may: &["tier 0", "tier 1", "tier 2", "tier 3", "tier 4", "upload", "ErrorKind"],
    },
    // 6: over the front. It asks what all of them depend on.
    Module { name: "doctor", may: &["tier 0", "tier 1", "tier 2", "tier 3", "tier 4", "upload"] },
    Module {
        name: "error",
        may: &["tier 0", "tier 1", "tier 2", "tier 3", "tier 4", "upload", "publish", "sync"],
    },
    // 6: many images at once.
    Module { name: "sync", may: &["tier 0", "tier 1", "tier 2", "tier 3", "tier 4", "upload", "publish"] },
    // Beside: it must not share the client's view of the wire, or both could be wrong alike.
    Module {
        name: "emulator",
        may: &["model", "clock", "checksum", "credentials", "read", "image", "http", "sign"],
    },
    // Beside: bodies for a fuzzer, one for each parser wherever it is.
    Module { name: "fuzz", may: &["tier 0", "tier 1", "tier 2", "tier 3", "tier 4", "emulator"] },
];

const STAGES: &[&str] = &["session", "transfer", "complete", "url", "import", "manage", "boot_test"];

/// Crates that only these files may name, since their types must not reach the public interface.
const CONFINED: &[(&str, &[&str])] = &[
    (
        "reqwest",
        &[
            "crates/core/src/http/classify.rs",
            "crates/core/src/http/proxy.rs",
            "crates/core/src/http/transport.rs",
        ],
    ),
    ("clap", &[]),
    ("toml", &["src/sync/place.rs", "src/sync/read.rs", "src/sync/text.rs"]),
    ("schemars", &["src/sync/text.rs"]),
];

fn tier(name: &str) -> &'static [&'static str] {
    match name {
        "tier 0" => WORDS,
        "tier 1" => PURE,
        "tier 2" => EDGES,
        "tier 3" => MEETING,
        "tier 4" => STAGES,
        _ => &[],
    }
}

#[test]
fn modules_import_downwards_only() {
    let mut wrong = String::new();
    for (file, imports) in library_imports() {
        let own = &file.module[0];
        let Some(module) = MODULES.iter().find(|module| module.name == own) else {
            let _ = writeln!(wrong, "{}: module `{own}` has no row in MODULES", file.shown);
            continue;
        };
        for import in imports {
            if import.path[0] != *own && !module.allows(&import.path) {
                let path = import.path.join("::");
                let _ = writeln!(wrong, "{}:{}: `{own}` may not import `{path}`", file.shown, import.line);
            }
        }
    }
    assert!(wrong.is_empty(), "imports that the tiers forbid:\n{wrong}");
}

#[test]
fn libraries_that_must_not_show_stay_where_they_are() {
    let mut wrong = String::new();
    for file in library_files() {
        let code = without_tests(&without_comments(&fs::read_to_string(&file.path).unwrap()));
        for (library, allowed) in CONFINED {
            let name = format!("{library}::");
            for (at, line) in code.lines().enumerate() {
                if line.contains(&name) && !allowed.contains(&file.shown.as_str()) {
                    let _ = writeln!(wrong, "{}:{}: names `{library}`", file.shown, at + 1);
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// The tables of the codes that services answer with.
const CODES: [&str; 4] = [
    "src/protocol/oss/code.rs",
    "src/protocol/rpc/code.rs",
    "src/protocol/ecs/code.rs",
    "src/protocol/ram/code.rs",
];
/// May spell codes: the emulator, which shares nothing of the wire with the client, and the rules that both apply.
const OWN_CODES: [&str; 2] = ["crates/emulator/", "crates/image/src/rule.rs"];

#[test]
fn codes_of_services_stand_in_their_tables_alone() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut codes = BTreeSet::new();
    for table in CODES {
        let text = fs::read_to_string(root.join(table)).unwrap();
        let lines = text.lines().filter_map(|line| line.split_once("&str = \""));
        codes.extend(lines.map(|(_, code)| code.trim_end_matches("\";").to_owned()));
    }
    assert!(codes.len() > 60 && codes.contains("NoSuchUpload"), "{codes:?}");
    let mut files = library_files();
    let test_only = test_only_modules(&files);
    files.retain(|file| !test_only.iter().any(|module| file.module.starts_with(module)));
    files.extend(rust_files("src/bin", &[]));
    let mut wrong = String::new();
    for file in files {
        if OWN_CODES.iter().chain(&CODES).any(|own| file.shown.starts_with(own)) {
            continue;
        }
        let text = fs::read_to_string(&file.path).unwrap();
        // Lines of tests and comments are blank here, and their numbers are the same.
        let code = without_tests(&without_comments(&text));
        for (at, (line, left)) in text.lines().zip(code.lines()).enumerate() {
            let spelt = line.split('"').skip(1).step_by(2).any(|literal| codes.contains(literal));
            if !left.trim().is_empty() && (spelt || line.contains(".is(\"")) {
                let _ = writeln!(wrong, "{}:{}: {}", file.shown, at + 1, line.trim());
            }
        }
    }
    assert!(wrong.is_empty(), "use the constants of `protocol::SERVICE::code`:\n{wrong}");
}

impl Module {
    fn allows(&self, path: &[String]) -> bool {
        self.may.iter().any(|&allowed| {
            if allowed.starts_with("tier ") {
                return tier(allowed).contains(&path[0].as_str());
            }
            let allowed = allowed.split("::").collect::<Vec<_>>();
            path.len() >= allowed.len() && path.iter().zip(&allowed).all(|(have, want)| have == want)
        })
    }
}

/// A source file of the library.
struct SourceFile {
    path: PathBuf,
    /// Below the repository's root, for messages.
    shown: String,
    /// Names from the root of `ossup` down to this file's module.
    module: Vec<String>,
    /// How many of those names lead to the root of its own crate.
    crate_root: usize,
}

struct Import {
    line: usize,
    /// Names below the root of `ossup`.
    path: Vec<String>,
}

fn library_imports() -> Vec<(SourceFile, Vec<Import>)> {
    let files = library_files();
    let test_only = test_only_modules(&files);
    let mut found = Vec::new();
    for file in files {
        if test_only.iter().any(|module| file.module.starts_with(module)) {
            continue;
        }
        let code = without_tests(&without_comments(&fs::read_to_string(&file.path).unwrap()));
        let imports = imports(&code, &file.module, file.crate_root);
        found.push((file, imports));
    }
    assert!(found.len() > 20, "found {} source files only", found.len());
    found
}

/// The crates of the library: where their sources are, what their names begin with as `ossup` re-exports them, and what
/// its other crates call them.
const CRATES: [(&str, &[&str], &str); 4] = [
    ("src", &[], "ossup"),
    ("crates/core/src", &[], "ossup_core"),
    ("crates/image/src", &["image"], "ossup_image"),
    ("crates/emulator/src", &["emulator"], "ossup_emulator"),
];

/// Returns all source files of the library's crates but those `lib.rs` that only re-export, and the binary.
fn library_files() -> Vec<SourceFile> {
    let mut files =
        CRATES.iter().flat_map(|(sources, root, _)| rust_files(sources, root)).collect::<Vec<_>>();
    files.retain(|file| !file.module.is_empty() && !file.shown.starts_with("src/bin/"));
    files
}

/// Returns the source files of a folder, which holds the modules of `crate_root`.
fn rust_files(folder: &str, crate_root: &[&str]) -> Vec<SourceFile> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = repository.join(folder);
    let mut files = Vec::new();
    let mut folders = vec![sources.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let below = path.strip_prefix(&sources).unwrap().to_str().unwrap();
            if let Some(stem) = below.strip_suffix(".rs") {
                let stem = stem.strip_suffix("/mod").unwrap_or(stem);
                let names = stem.split('/').filter(|&name| name != "lib");
                let module = crate_root.iter().copied().chain(names).map(str::to_owned).collect();
                let shown = path.strip_prefix(repository).unwrap().to_str().unwrap().to_owned();
                files.push(SourceFile { crate_root: crate_root.len(), module, shown, path });
            }
        }
    }
    files
}

/// Returns the modules declared as `#[cfg(test)] mod name;`.
fn test_only_modules(files: &[SourceFile]) -> BTreeSet<Vec<String>> {
    let mut modules = BTreeSet::new();
    for file in files {
        let code = without_comments(&fs::read_to_string(&file.path).unwrap());
        for (at, _) in code.match_indices(CFG_TEST) {
            let item = code[at + CFG_TEST.len()..].trim_start();
            let item = item.strip_prefix("pub(crate) ").or(item.strip_prefix("pub(super) ")).unwrap_or(item);
            if let Some((name, _)) =
                item.strip_prefix("mod ").and_then(|rest| rest.split_once([';', ' ', '{']))
            {
                let mut module = file.module.clone();
                module.push(name.to_owned());
                modules.insert(module);
            }
        }
    }
    modules
}

const CFG_TEST: &str = "#[cfg(test)]";

/// Spells `#[cfg(all(test, …))]` as plain `#[cfg(test)]`: what needs a feature besides is test code as well.
fn plain_cfg_test(code: &str) -> String {
    let mut out = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = rest.find("#[cfg(all(test,") {
        let end = rest[at..].find(']').map_or(rest.len(), |end| at + end + 1);
        out.push_str(&rest[..at]);
        out.push_str(CFG_TEST);
        rest = &rest[end..];
    }
    out + rest
}

/// Blanks out comments and the contents of string literals; line numbers stay.
fn without_comments(code: &str) -> String {
    let mut out = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(first) = rest.chars().next() {
        let (taken, keep) = if rest.starts_with("//") {
            (rest.find('\n').unwrap_or(rest.len()), false)
        } else if rest.starts_with("/*") {
            (rest.find("*/").map_or(rest.len(), |end| end + 2), false)
        } else if let Some(length) = raw_string(rest) {
            (length, false)
        } else if first == '"' {
            (string(rest), false)
        } else if let Some(length) = char_literal(rest) {
            (length, false)
        } else {
            let name = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
            (name.max(first.len_utf8()), true)
        };
        if keep {
            out.push_str(&rest[..taken]);
        } else {
            out.extend(rest[..taken].chars().filter(|&c| c == '\n'));
            out.push(' ');
        }
        rest = &rest[taken..];
    }
    plain_cfg_test(&out)
}

fn string(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let mut at = 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

fn raw_string(rest: &str) -> Option<usize> {
    let after = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'))?;
    let hashes = after.bytes().take_while(|&b| b == b'#').count();
    after[hashes..].starts_with('"').then(|| {
        let close = format!("\"{}", "#".repeat(hashes));
        let open = rest.len() - after.len() + hashes + 1;
        rest[open..].find(&close).map_or(rest.len(), |end| open + end + close.len())
    })
}

/// Returns the length of a character literal, and `None` for a lifetime.
fn char_literal(rest: &str) -> Option<usize> {
    let after = rest.strip_prefix('\'')?;
    if after.starts_with('\\') {
        return after[2..].find('\'').map(|end| end + 4);
    }
    let length = after.chars().next()?.len_utf8();
    after[length..].starts_with('\'').then_some(length + 2)
}

/// Cuts out the items behind `#[cfg(test)]`; line numbers stay.
fn without_tests(code: &str) -> String {
    let mut out = String::new();
    let mut rest = code;
    while let Some(at) = rest.find(CFG_TEST) {
        out.push_str(&rest[..at]);
        let item = &rest[at..];
        let end = end_of_item(item);
        out.extend(item[..end].chars().filter(|&c| c == '\n'));
        rest = &item[end..];
    }
    out + rest
}

/// Returns where the item ends: behind its `;`, or behind the brace that closes its body; a variant or an arm of a match,
/// which begins with a capital, ends behind its comma, or before the brace that closes what it stands in.
fn end_of_item(item: &str) -> usize {
    let named = item.trim_start_matches(CFG_TEST).trim_start();
    let listed = named.starts_with(char::is_uppercase);
    let mut depth = 0_u32;
    for (at, c) in item.char_indices() {
        match c {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' if depth == 0 => return at,
            '}' | ')' | ']' => depth -= 1,
            _ => {}
        }
        if depth == 0 && (c == ';' || if listed { c == ',' } else { c == '}' }) {
            return at + 1;
        }
    }
    item.len()
}

/// Finds every path into the library's crates, in `use` lines and in code, spelled with `crate`, `super` or the name of
/// another crate.
fn imports(code: &str, module: &[String], crate_root: usize) -> Vec<Import> {
    let mut roots =
        vec![("crate::".to_owned(), module[..crate_root].to_vec()), ("super::".to_owned(), Vec::new())];
    for (_, root, name) in &CRATES[1..] {
        roots.push((format!("{name}::"), root.iter().map(|&name| name.to_owned()).collect()));
    }
    let mut found = Vec::new();
    for (begin, root) in roots {
        for (at, _) in code.match_indices(&begin) {
            let before = code[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '$')
                || code[..at].ends_with("super::")
            {
                continue;
            }
            let mut rest = &code[at..];
            let mut base = root.clone();
            if begin == "super::" {
                base = module.to_vec();
                while let Some(up) = rest.strip_prefix("super::") {
                    base.pop();
                    rest = up;
                }
            } else {
                rest = &rest[begin.len()..];
            }
            let line = code[..at].matches('\n').count() + 1;
            let mut paths = Vec::new();
            use_tree(rest, &base, &mut paths);
            found.extend(paths.into_iter().filter(|path| !path.is_empty()).map(|path| Import { line, path }));
        }
    }
    found.sort_by_key(|import| import.line);
    found
}

/// Reads a path or a `use` tree, adds its leaves to `paths` and returns what follows it.
fn use_tree<'a>(mut rest: &'a str, base: &[String], paths: &mut Vec<Vec<String>>) -> &'a str {
    let mut path = base.to_vec();
    loop {
        rest = rest.trim_start();
        if let Some(group) = rest.strip_prefix('{') {
            rest = group;
            loop {
                rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
                if let Some(after) = rest.strip_prefix('}') {
                    return after;
                }
                let length = rest.len();
                rest = use_tree(rest, &path, paths);
                assert!(rest.len() < length, "a use tree that this test cannot read: {rest:.40}");
            }
        }
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let name = &rest[..end];
        if !name.is_empty() && name != "self" {
            path.push(name.to_owned());
        }
        rest = &rest[end..];
        match rest.strip_prefix("::") {
            Some(below) => rest = below,
            None => break,
        }
    }
    paths.push(path);
    let renamed = rest.trim_start().strip_prefix("as ");
    let rest = renamed.map_or(rest, |new| new.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_'));
    rest.strip_prefix('*').unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(code: &str) -> Vec<String> {
        let code = without_tests(&without_comments(code));
        let module = ["transfer".to_owned(), "worker".to_owned()];
        imports(&code, &module, 0)
            .iter()
            .map(|import| format!("{}:{}", import.line, import.path.join("::")))
            .collect()
    }

    #[test]
    fn reads_every_way_to_name_a_module() {
        assert_eq!(found("use crate::model::Region;"), ["1:model::Region"]);
        assert_eq!(
            found("use crate::{\n    model::{self, limits::*, Part as P},\n    plan,\n};"),
            ["1:model", "1:model::limits", "1:model::Part", "1:plan"]
        );
        assert_eq!(
            found("let a = 'x'; let b: &'a str = \"\\\"crate::url\"; crate::plan::f();"),
            ["1:plan::f"]
        );
        assert_eq!(
            found("use super::part;\nuse super::super::client::Client;"),
            ["1:transfer::part", "2:client::Client"]
        );
        assert_eq!(
            found("pub(in crate::transfer) fn f(x: &dyn crate::http::Transport) {}"),
            ["1:transfer", "1:http::Transport"]
        );
    }

    #[test]
    fn reads_what_other_crates_are_called() {
        assert_eq!(found("use ossup_core::model::Region;"), ["1:model::Region"]);
        assert_eq!(found("use ossup_image::{Format, codec};"), ["1:image::Format", "1:image::codec"]);
        let module = ["image".to_owned(), "inside".to_owned()];
        let of_image = imports("use crate::codec::gzip;\nuse super::disk;", &module, 1);
        let paths = of_image.iter().map(|import| import.path.join("::")).collect::<Vec<_>>();
        assert_eq!(paths, ["image::codec::gzip", "image::disk"]);
    }

    #[test]
    fn passes_over_comments_strings_and_tests() {
        assert!(found("//! [x](crate::url)\n/* crate::url */ let s = r#\"crate::url\"#;").is_empty());
        assert_eq!(
            found("#[cfg(test)]\nmod tests {\n    use crate::url;\n    fn f() {}\n}\nuse crate::plan;"),
            ["6:plan"]
        );
        assert_eq!(found("#[cfg(test)]\nuse crate::url;\nuse crate::plan;"), ["3:plan"]);
        let gated = "#[cfg(all(test, feature = \"emulator\"))]\nuse crate::emulator;\nuse crate::plan;";
        assert_eq!(found(gated), ["3:plan"]);
        assert!(found("my_crate::x(); $crate::y()").is_empty());
    }

    #[test]
    fn tells_allowed_from_forbidden() {
        let allows = |module: &str, path: &str| {
            let module = MODULES.iter().find(|row| row.name == module).unwrap();
            module.allows(&path.split("::").map(str::to_owned).collect::<Vec<_>>())
        };
        assert!(allows("emulator", "sign::oss_v4"));
        assert!(!allows("emulator", "protocol::oss"));
        assert!(!allows("emulator", "protocol"));
        assert!(!allows("plan", "client"));
        assert!(!allows("model", "checksum"));
        assert!(allows("upload", "transfer::Transfer"));
        assert!(!allows("transfer", "complete"));
    }
}
