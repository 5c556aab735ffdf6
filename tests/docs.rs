//! What the documents say exists.

use std::path::Path;

/// Appends all Rust sources below a folder.
fn sources(folder: &Path, text: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn every_promise_names_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut code = String::new();
    sources(&root.join("src"), &mut code);
    sources(&root.join("crates"), &mut code);
    sources(&root.join("tests"), &mut code);
    let document = std::fs::read_to_string(root.join("docs/reliability.md")).unwrap();
    // A test is named by a sentence; what else stands between backticks has fewer words.
    let is_sentence = |name: &&str| {
        name.split('_').count() > 3 && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    };
    let named: Vec<&str> = document.split('`').skip(1).step_by(2).filter(is_sentence).collect();
    assert!(named.len() > 50, "{}", named.len());
    let missing: Vec<_> = named.iter().filter(|name| !code.contains(&format!("fn {name}("))).collect();
    assert!(missing.is_empty(), "docs/reliability.md names tests that do not exist: {missing:?}");
}

#[test]
fn every_page_of_a_finding_is_named_after_its_rule() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/findings");
    let pages = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name());
    let mut pages: Vec<_> = pages.map(|name| name.into_string().unwrap()).collect();
    for rule in ossup::image::Rule::ALL {
        let name = format!("{}.md", rule.id().to_ascii_lowercase());
        let text =
            std::fs::read_to_string(folder.join(&name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(text.starts_with(&format!("# {rule}: ")), "{}", text.lines().next().unwrap_or_default());
        pages.retain(|page| *page != name);
    }
    // The list of all pages, and that of the vendor's names.
    pages.retain(|page| page != "README.md" && page != "vendor-items.md");
    assert!(pages.is_empty(), "of no rule: {pages:?}");
}
