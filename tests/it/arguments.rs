//! Help, versions and wrong arguments.

use crate::support::{World, finish};

#[test]
fn help_and_version_go_to_stdout() {
    let world = World::new();
    assert!(world.ok(&["--version"]).stdout.starts_with("ossup "));
    let help = world.ok(&["upload", "--help"]).stdout;
    assert!(help.contains("Examples:") && help.contains("--bandwidth-limit"), "{help}");
    // As the README has it.
    for command in [&["upload"][..], &["image", "wait"], &["emulator"]] {
        let help = world.ok(&[&["help"], command].concat()).stdout;
        assert!(help.contains("Example"), "{command:?}: {help}");
    }
}

#[test]
fn wrong_arguments_are_usage_errors() {
    let world = World::new();
    world.file("disk.raw", 1000, 1);
    for (args, part) in [
        (&["upload", "disk.raw"][..], "oss://BUCKET/KEY"),
        (&["upload", "disk.raw", "images/x"][..], "oss://"),
        (&["upload", "disk.raw", "oss://Images/x"][..], "lower-case"),
        (&["upload", "disk.raw", "oss://images/x"][..], "region"),
        (&["upload", "disk.raw", "oss://images/x", "--part-size=1X"][..], "16MiB"),
        (&["upload", "nothing.raw", "oss://images/x", "--region=cn-hangzhou"][..], "nothing.raw"),
        (&["upload", ".", "oss://images/x", "--region=cn-hangzhou"][..], "directory"),
        (&["url", "oss://images/x", "--sign=8d", "--region=cn-hangzhou"][..], "no credentials"),
        (&["frobnicate"][..], "frobnicate"),
        (&[][..], "Usage"),
    ] {
        let code = if part == "no credentials" { 4 } else { 2 };
        let stderr = world.fails(code, args);
        assert!(stderr.contains(part), "{args:?}: {stderr}");
    }
}

#[test]
fn failures_are_json_objects_where_json_is_wanted() {
    let world = World::new();
    for args in [&["url", "oss://images/x", "--output=json"][..], &["url", "--output", "json"][..]] {
        let finished = world.run(args);
        assert_eq!(finished.code, Some(2));
        let value: serde_json::Value = serde_json::from_str(&finished.stdout).unwrap();
        assert_eq!(value["error"]["kind"], "usage");
        assert_eq!(value["error"]["exit_code"], 2);
        assert_eq!(value["error"]["resumable"], false);
    }
}

#[test]
fn completions_name_the_commands() {
    let mut world = World::new();
    let script = world.ok(&["completions", "bash"]).stdout;
    assert!(script.contains("OSSUP_COMPLETE=\"bash\""), "{script}");
    world.env("OSSUP_COMPLETE", "bash");
    world.env("_CLAP_COMPLETE_INDEX", "1");
    assert_eq!(world.ok(&["--", "ossup", "resu"]).stdout, "resume");
}

#[test]
fn a_reader_that_goes_away_ends_no_command_badly() {
    let world = World::new();
    let mut child = world.command(&["completions", "bash"]).spawn().unwrap();
    drop(child.stdout.take());
    let finished = finish(child);
    assert_eq!(finished.code, Some(0), "{finished:?}");
}
