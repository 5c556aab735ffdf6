//! A fleet of images as a file, by the command: its plan, its run, and what it refuses.

use serde_json::Value;

use crate::support::{Server, World};

const MIB: u64 = 1 << 20;

const FLEET: &str = r#"
fleet = "web"
bucket = "oss://images/nightly"

[image.front]
source = "disk.raw"
regions = ["us-west-1"]
family = "front"
tags = { team = "a" }
keep = 1
"#;

fn world() -> (World, Server) {
    let mut world = World::new();
    world.disk("disk.raw", 64 * MIB, 1);
    std::fs::write(world.path("images.toml"), FLEET).unwrap();
    let server = Server::start(&mut world, &["--speed=1000"]);
    (world, server)
}

/// Returns the rows of a table, without the digits that follow from the content.
fn rows(text: &str) -> Vec<String> {
    let row = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let word = |word: &&str| match word.split_once("front-") {
            Some(("", digits)) if digits.len() == 8 => "front-[CONTENT]".to_owned(),
            _ => (*word).to_owned(),
        };
        words.iter().map(word).collect::<Vec<_>>().join(" ")
    };
    text.lines().map(row).collect()
}

#[test]
fn a_fleet_is_planned_made_and_then_left_alone() {
    let (world, _server) = world();
    let planned = world.ok(&["sync", "images.toml", "--plan"]);
    assert_eq!(
        rows(&planned.stdout),
        [
            "IMAGE REGION CHANGE WHAT",
            "front cn-hangzhou create front-[CONTENT]",
            "front us-west-1 copy front-[CONTENT]",
            "front cn-hangzhou tag team=a, ossup:tags=d1abc06",
            "front us-west-1 tag team=a, ossup:tags=d1abc06",
            "front cn-hangzhou name front",
            "front us-west-1 name front",
            "front cn-hangzhou family front",
            "front us-west-1 family front",
        ]
    );
    assert_eq!(world.json(&["image", "list"])["images"], Value::Array(Vec::new()));
    let done = world.json(&["sync", "images.toml"]);
    assert_eq!(
        (&done["changes"][0]["action"], &done["failures"]),
        (&"create".into(), &Value::Array(Vec::new()))
    );
    assert_eq!(world.json(&["sync", "images.toml", "--plan"])["changes"], Value::Array(Vec::new()));

    // The next build: the old image goes only if that is confirmed.
    world.disk("disk.raw", 64 * MIB, 2);
    let asked = world.fails(2, &["sync", "images.toml"]);
    assert!(asked.contains("pass --yes") && asked.contains("which is older than those kept"), "{asked}");
    let replaced = world.ok(&["sync", "images.toml", "--yes"]).stdout;
    let replacement =
        rows(&replaced).into_iter().find(|row| row.starts_with("front us-west-1 replace front, which m-"));
    assert!(replacement.is_some_and(|row| row.ends_with("has and leaves as front-[CONTENT]")), "{replaced}");
    for region in ["--region=cn-hangzhou", "--region=us-west-1"] {
        let images = world.json(&["image", "list", region]);
        assert_eq!(images["images"].as_array().unwrap().len(), 1, "{images}");
        assert_eq!(images["images"][0]["name"], "front");
    }
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_changed() {
    let (world, _server) = world();
    let written = |text: &str| std::fs::write(world.path("images.toml"), text).unwrap();
    let fails = |code: i32, text: &str, expected: &str| {
        written(text);
        let told = world.fails(code, &["sync", "images.toml"]);
        assert!(told.contains(expected), "{told}");
    };
    fails(
        2,
        &FLEET.replace("family", "famly"),
        "line 8, column 1: unknown key `famly`; did you mean `family`?",
    );
    fails(2, &FLEET.replace("us-west-1", "us-wst-1"), "unknown region `us-wst-1`; did you mean `us-west-1`?");
    fails(
        2,
        &FLEET.replace("us-west-1", "xx-new-7"),
        "there is no region `xx-new-7`, which `front` asks for",
    );
    fails(1, &FLEET.replace("disk.raw", "none.raw"), "none.raw");
    written(FLEET);
    world.ok(&["publish", "disk.raw", "oss://images/", "--name=front"]);
    let told = world.fails(9, &["sync", "images.toml"]);
    assert!(
        told.contains("needs the name `front` in cn-hangzhou") && told.contains("nothing was changed"),
        "{told}"
    );
    assert_eq!(world.json(&["image", "list"])["images"].as_array().unwrap().len(), 1);
}

#[test]
fn the_schema_is_the_one_of_the_documentation() {
    let printed = World::new().ok(&["sync", "--schema"]).stdout;
    assert_eq!(printed, include_str!("../../docs/sync.schema.json"));
}
