//! The list of all options in `docs/settings.md`, which is made from the definition.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use clap::{Arg, Command, CommandFactory};

use super::Cli;

const MARK: &str = "cargo test --bin ossup -- options_read_so -->\n";

/// An option, and the commands that have it in this form.
struct Entry {
    heading: String,
    help: String,
    commands: Vec<String>,
}

fn collect(command: &Command, path: &str, entries: &mut BTreeMap<(String, String), Entry>, all: &mut usize) {
    if !command.has_subcommands() {
        *all += 1;
    }
    for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
        let Some(long) = argument.get_long().filter(|long| !["help", "version"].contains(long)) else {
            continue;
        };
        let help = about(argument);
        let entry = entries.entry((long.to_owned(), help.clone())).or_insert_with(|| Entry {
            heading: argument.get_help_heading().unwrap_or_default().to_owned(),
            help,
            commands: Vec::new(),
        });
        if !command.has_subcommands() {
            entry.commands.push(path.to_owned());
        }
    }
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help") {
        collect(sub, format!("{path} {}", sub.get_name()).trim_start(), entries, all);
    }
}

/// Returns what an option is about, its values and its default, as a cell of a table.
fn about(argument: &Arg) -> String {
    let mut text = argument.get_help().map(ToString::to_string).unwrap_or_default();
    let takes = argument.get_action().takes_values();
    let values: Vec<_> =
        argument.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
    // A long list is what `ossup image platforms` and the like print.
    if takes && !values.is_empty() && values.len() <= 10 && !argument.is_hide_possible_values_set() {
        let _ = write!(text, "; {}", values.join(", "));
    }
    let defaults: Vec<_> =
        argument.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    if takes && !defaults.is_empty() {
        let _ = write!(text, " [default: {}]", defaults.join(", "));
    }
    text.replace('|', "\\|").replace('<', "&lt;")
}

fn table() -> String {
    let mut command = Cli::command();
    command.build();
    let (mut entries, mut all) = (BTreeMap::new(), 0);
    collect(&command, "", &mut entries, &mut all);
    let mut headings: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for (key, entry) in &entries {
        headings.entry(&entry.heading).or_default().push((key, entry));
    }
    let mut text = String::new();
    for (heading, entries) in headings {
        let heading = if heading.is_empty() { "Of single commands" } else { heading };
        let _ = write!(text, "\n### {heading}\n\n| Option | Commands | What it does |\n|---|---|---|\n");
        for ((long, _), entry) in entries {
            let commands =
                if entry.commands.len() == all { "all".to_owned() } else { entry.commands.join(", ") };
            let _ = writeln!(text, "| `--{long}` | {commands} | {} |", entry.help);
        }
    }
    text
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the same variable lets insta write its snapshots")]
fn the_options_read_so() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/settings.md");
    let page = fs::read_to_string(&path).unwrap();
    let (head, listed) = page.split_once(MARK).expect("the mark is on the page");
    let made = table();
    if listed != made && std::env::var("INSTA_UPDATE").is_ok_and(|value| value == "always") {
        fs::write(&path, format!("{head}{MARK}{made}")).unwrap();
        return;
    }
    assert!(listed == made, "docs/settings.md is not of this command line: {MARK}");
}

/// Each has a definition in the schema of what is printed as JSON.
#[test]
fn every_command_has_a_schema() {
    fn leaves(command: &Command, path: &str, all: &mut Vec<String>) {
        for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help") {
            let path = format!("{path} {}", sub.get_name());
            match sub.has_subcommands() {
                true => leaves(sub, &path, all),
                false => all.push(path.trim().to_owned()),
            }
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema/output.schema.json");
    let schema: serde_json::Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let mut all = Vec::new();
    leaves(&Cli::command(), "", &mut all);
    // What they print is not a result: lines for a shell, a script.
    all.retain(|name| !["emulator", "completions"].contains(&name.as_str()));
    let missing: Vec<_> = all.iter().filter(|name| schema["$defs"].get(name.as_str()).is_none()).collect();
    assert!(missing.is_empty(), "docs/schema/output.schema.json has no $defs for {missing:?}");
}
