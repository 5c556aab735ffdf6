//! What bash gets at a key press, by the script that it is given.

use std::process::Command;

use crate::support::{Server, World};

/// Presses the key behind these words, the last of which may be begun, and returns what bash would insert.
fn completed(world: &World, words: &[&str]) -> String {
    let script = world.ok(&["completions", "bash"]).stdout;
    // Bash hands over the last word without an opening quote.
    let last = words.last().unwrap();
    let press = format!(
        "COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); COMP_TYPE=9\n\
         _ossup_words ossup '{}' \"${{COMP_WORDS[COMP_CWORD - 1]}}\" 2> /dev/null\n\
         printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        last.trim_start_matches('"')
    );
    let command = world.command(&[]);
    let mut bash = Command::new("bash");
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => bash.env(name, value),
            None => bash.env_remove(name),
        };
    }
    let folder = std::path::Path::new(command.get_program()).parent().unwrap();
    let path = format!("{}:/usr/bin:/bin", folder.display());
    let output = bash
        .env("PATH", path)
        .current_dir(world.path(""))
        .args(["--norc", "-c", &format!("{script}\n{press}"), "bash"])
        .args(words)
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_platform_is_inserted_as_one_word_whatever_was_typed_of_it() {
    let world = World::new();
    for (typed, inserted) in [
        ("Ubu", "Ubuntu\n"),
        ("Roc", "Rocky\\ Linux\n"),
        ("Rocky\\ L", "Rocky\\ Linux\n"),
        ("\"Rocky L", "Rocky Linux\n"),
    ] {
        assert_eq!(completed(&world, &["ossup", "publish", "--platform", typed]), inserted, "{typed}");
    }
}

#[test]
fn a_bucket_that_was_uploaded_to_completes() {
    let mut world = World::new();
    let _server = Server::start(&mut world, &[]);
    assert_eq!(completed(&world, &["ossup", "list", "oss://im"]).trim(), "");
    world.file("disk.raw", 200_000, 1);
    world.ok(&["upload", "disk.raw", "oss://images/", "--no-inspect"]);
    assert_eq!(completed(&world, &["ossup", "list", "oss://im"]), "oss://images/\n");
}
