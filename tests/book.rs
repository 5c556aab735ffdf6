//! The book under `docs` is whole: every page is in its table of contents, every link leads somewhere, every finding and
//! every variable is on the page that lists them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use ossup::image::{DiskRole, Rule};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the files with this extension below a folder.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path, extension));
        } else if path.extension().is_some_and(|found| found == extension) {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// Returns the targets of the links to other files in a page, without those in code.
fn links(text: &str) -> Vec<String> {
    let mut links = Vec::new();
    let mut fenced = false;
    for line in text.lines() {
        if line.starts_with("```") {
            fenced = !fenced;
        }
        if fenced || line.starts_with("    ") && !line.trim_start().starts_with("- ") {
            continue;
        }
        // Within backticks nothing is a link.
        for piece in line.split('`').step_by(2) {
            let targets = piece.split("](").skip(1).filter_map(|rest| rest.split(')').next());
            links.extend(targets.filter(|target| !target.contains("://")).map(str::to_owned));
        }
    }
    links
}

/// Returns the name by which a heading is linked to.
fn anchor(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn every_page_is_in_the_table_of_contents() {
    let docs = root().join("docs");
    let summary = fs::read_to_string(docs.join("SUMMARY.md")).unwrap();
    let all: Vec<_> = links(&summary).into_iter().map(|link| docs.join(link)).collect();
    let listed: BTreeSet<_> = all.iter().cloned().collect();
    assert_eq!(listed.len(), all.len(), "SUMMARY.md lists a page twice");
    let pages: BTreeSet<_> = files(&docs, "md").into_iter().collect();
    let missing: Vec<_> = pages.difference(&listed).filter(|page| !page.ends_with("SUMMARY.md")).collect();
    assert!(missing.is_empty(), "not in SUMMARY.md: {missing:?}");
}

#[test]
fn every_link_leads_somewhere() {
    let mut broken = Vec::new();
    let mut pages = files(&root().join("docs"), "md");
    pages.extend(["README.md", "contrib/README.md"].map(|name| root().join(name)));
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        for link in links(&text) {
            let (file, heading) = link.split_once('#').unwrap_or((&link, ""));
            let target = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            let found = target.exists()
                && (heading.is_empty()
                    || fs::read_to_string(&target)
                        .unwrap()
                        .lines()
                        .any(|line| line.starts_with('#') && anchor(line) == heading));
            if !found {
                broken.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn every_finding_is_in_the_list_and_has_a_page() {
    let folder = root().join("docs/findings");
    let index = fs::read_to_string(folder.join("README.md")).unwrap();
    for rule in Rule::ALL {
        let id = rule.id();
        let name = format!("{}.md", id.to_lowercase());
        let page = fs::read_to_string(folder.join(&name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(page.lines().count() >= 10, "{name} says next to nothing");
        for role in [DiskRole::System, DiskRole::Data] {
            if let Some((code, _)) = rule.service_code(role) {
                assert!(page.contains(&format!("`{code}`")), "{name} does not name `{code}`");
            }
        }
        let row = format!("| [{id}]({name}) |");
        let line = index.lines().find(|line| line.starts_with(&row));
        let line = line.unwrap_or_else(|| panic!("findings/README.md has no row `{row}`"));
        if let Some(item) = rule.vendor_item() {
            assert!(line.contains(&format!("`{item}`")), "{line}: {item}");
            assert!(page.contains(item), "{name} does not name {item}");
        }
    }
}

#[test]
fn every_item_of_the_vendors_check_leads_to_the_rules_that_look_at_the_same() {
    let page = fs::read_to_string(root().join("docs/findings/vendor-items.md")).unwrap();
    let rows: Vec<_> =
        page.lines().filter_map(|line| Some((line.strip_prefix("| `")?.split('`').next()?, line))).collect();
    for rule in Rule::ALL {
        let Some(item) = rule.vendor_item() else { continue };
        let link = format!("]({}.md)", rule.id().to_lowercase());
        let told = rows.iter().any(|(name, row)| *name == item && row.contains(&link));
        assert!(told, "vendor-items.md has no row of `{item}` that leads to {rule}");
    }
    // The vendor's page has these, and nothing here carries their names.
    let told_only = ["GUESTOS.OSVersion", "GUESTOS.BootMode", "GUESTOS.DesktopConfig"];
    let ours = |item: &str| Rule::ALL.iter().any(|rule| rule.vendor_item() == Some(item));
    for (item, row) in rows {
        assert!(ours(item) != told_only.contains(&item), "{row}");
    }
}

/// Every variable that the sources name, as a literal, is explained.
#[test]
fn every_variable_is_on_the_page_of_settings() {
    let page = fs::read_to_string(root().join("docs/settings.md")).unwrap();
    let prefixes = ["OSS_", "OSSUP_", "OSSUTIL_", "ALIBABA_CLOUD_", "ACTIONS_"];
    let mut variables = BTreeSet::new();
    for folder in ["src", "crates/core/src"] {
        for file in files(&root().join(folder), "rs") {
            if file.to_string_lossy().ends_with("tests.rs") {
                continue;
            }
            let text = fs::read_to_string(&file).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap();
            for literal in code.split('"').skip(1) {
                let shape =
                    literal.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
                if shape
                    && prefixes
                        .iter()
                        .any(|prefix| literal.starts_with(prefix) && literal.len() > prefix.len())
                {
                    variables.insert(literal.to_owned());
                }
            }
        }
    }
    assert!(variables.len() > 20, "{variables:?}");
    let missing: Vec<_> = variables.iter().filter(|name| !page.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "not in docs/settings.md: {missing:?}");
}
