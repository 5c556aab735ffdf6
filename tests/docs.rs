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
fn the_page_of_a_finding_is_named_after_its_rule_and_says_so() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/findings");
    let pages: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(pages.len() > 1, "{pages:?}");
    for page in pages {
        let name = page.file_stem().unwrap().to_str().unwrap();
        let rule = ossup::image::Rule::ALL.iter().find(|rule| rule.id().eq_ignore_ascii_case(name));
        let id = rule.unwrap_or_else(|| panic!("no rule has the page {name}")).id();
        let text = std::fs::read_to_string(&page).unwrap();
        assert!(
            text.starts_with(&format!("# {id}: ")),
            "{name}: {}",
            text.lines().next().unwrap_or_default()
        );
        assert_eq!(name, id.to_ascii_lowercase());
    }
}
