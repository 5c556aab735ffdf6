//! What the command prints as JSON is what `docs/schema/output.schema.json` says.
//!
//! Every object that a test's command prints passes [`check`], by the world that runs it. Members that the schema does not
//! list may come at any time; [`every_member_is_in_the_schema`] holds that those of this version are listed.

use std::sync::LazyLock;

use serde_json::{Map, Value};

use crate::support::{Finished, Server, World};

static DEFINITIONS: LazyLock<Map<String, Value>> = LazyLock::new(|| {
    let text = include_str!("../../docs/schema/output.schema.json");
    let schema: Value = serde_json::from_str(text).unwrap();
    schema["$defs"].as_object().unwrap().clone()
});

/// Returns the name of the definition of an object that a command printed.
fn definition(args: &[&str], object: &Value) -> String {
    if object.get("event").is_some() {
        return "event".to_owned();
    }
    if object.get("error").is_some_and(|error| error.get("exit_code").is_some()) {
        return "error".to_owned();
    }
    let words: Vec<_> = args.iter().filter(|word| !word.starts_with('-')).take(2).copied().collect();
    let of_two = words.join(" ");
    if DEFINITIONS.contains_key(&of_two) {
        of_two
    } else {
        words.first().copied().unwrap_or_default().to_owned()
    }
}

/// Returns the objects that a command printed, each with its definition. Commands without one print no object of ours.
fn printed(args: &[&str], finished: &Finished) -> Vec<(Value, String)> {
    let lines = finished.stdout.lines().chain(finished.stderr.lines()).filter(|line| line.starts_with("{\""));
    let objects = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let ours = objects.filter(|object| object.get("schema").is_some());
    ours.map(|object| (definition(args, &object), object)).map(|(name, object)| (object, name)).collect()
}

/// Panics if an object that a command printed is not what the schema says.
pub(crate) fn check(args: &[&str], finished: &Finished) {
    for (object, name) in printed(args, finished) {
        let Some(definition) = DEFINITIONS.get(&name) else { continue };
        let wrong = differences(definition, &object, &name, false);
        assert!(wrong.is_empty(), "docs/schema/output.schema.json: {wrong:#?}\n{args:?}: {object}");
    }
}

/// Returns in what a value differs from a schema, of as much of JSON Schema as ours needs; if `strict`, also members that
/// an object's schema does not list.
fn differences(schema: &Value, value: &Value, path: &str, strict: bool) -> Vec<String> {
    if let Some(target) = schema["$ref"].as_str() {
        let name = target.strip_prefix("#/$defs/").unwrap();
        return differences(&DEFINITIONS[name], value, path, strict);
    }
    if let Some(choices) = schema["anyOf"].as_array() {
        let all = choices.iter().map(|choice| differences(choice, value, path, strict));
        return all.min_by_key(Vec::len).unwrap();
    }
    let mut wrong = Vec::new();
    if schema.get("const").is_some_and(|only| only != value) {
        wrong.push(format!("{path} is {value}, not {}", schema["const"]));
    }
    if schema["enum"].as_array().is_some_and(|all| !all.contains(value)) {
        wrong.push(format!("{path} is {value}, not one of {}", schema["enum"]));
    }
    let types = match &schema["type"] {
        Value::String(one) => vec![one.as_str()],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if !types.is_empty() && !types.iter().any(|wanted| is(value, wanted)) {
        wrong.push(format!("{path} is {value}, not of {types:?}"));
    }
    match value {
        Value::Object(members) => {
            for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                if !members.contains_key(name) {
                    wrong.push(format!("{path} has no `{name}`"));
                }
            }
            // An object whose members nobody lists is open.
            let Some(listed) = schema["properties"].as_object() else { return wrong };
            for (name, member) in members {
                match listed.get(name) {
                    Some(schema) => {
                        wrong.extend(differences(schema, member, &format!("{path}.{name}"), strict))
                    }
                    None if strict && schema.get("additionalProperties").is_none() => {
                        wrong.push(format!("{path}.{name} is not listed"));
                    }
                    None => {}
                }
            }
        }
        Value::Array(items) if schema.get("items").is_some() => {
            let each =
                items.iter().map(|item| differences(&schema["items"], item, &format!("{path}[]"), strict));
            wrong.extend(each.flatten());
        }
        _ => {}
    }
    wrong
}

fn is(value: &Value, wanted: &str) -> bool {
    match wanted {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => panic!("{wanted} is no type"),
    }
}

#[test]
fn every_member_is_in_the_schema() {
    let mut world = World::new();
    world.disk("disk.raw", 64 << 20, 1);
    let _server = Server::start(&mut world, &["--quiet", "--speed=64"]);
    let publish = ["publish", "disk.raw", "oss://images/", "--name=web-1"];
    let commands: &[&[&str]] = &[
        &["bucket", "create", "images-2"],
        &["bucket", "show", "images"],
        &["doctor", "oss://images"],
        &["doctor", "oss://images", "--fidelity"],
        &["inspect", "disk.raw"],
        &["upload", "disk.raw", "oss://images/a.raw", "--dry-run"],
        &["upload", "disk.raw", "oss://images/a.raw"],
        &["url", "oss://images/a.raw"],
        &["url", "oss://images/a.raw", "--sign=1h"],
        &["import", "oss://images/a.raw", "--name=api-1", "--dry-run"],
        &["import", "oss://images/a.raw", "--name=api-1", "--wait", "--detect"],
        &[&publish[..], &["--dry-run"]].concat(),
        &[
            &publish[..],
            &["--copy-to=us-west-1", "--family=web", "--share-with=1000000042", "--delete-object"],
        ]
        .concat(),
        &["image", "list"],
        &["image", "platforms"],
        &["image", "show", "t-bp1nosuchtask000000"],
        &["image", "tag", "api-1", "team=web"],
        &["image", "untag", "api-1", "team"],
        &[
            "image",
            "boot-test",
            "api-1",
            "--instance-type=ecs.g7.large",
            "--vswitch=vsw-emulated",
            "--security-group=sg-emulated",
        ],
        &["image", "publish", "api-1"],
        &["image", "unpublish", "api-1"],
        &["image", "deprecate", "api-1", "--yes"],
        &["image", "restore", "api-1"],
        &["image", "prune", "--family=web", "--keep=1", "--dry-run"],
        &["image", "prune", "--name-prefix=api-", "--keep=1", "--yes"],
        &["image", "delete", "web-1", "--yes", "--withdraw"],
        &["list", "oss://images"],
        &["resume"],
        &["gc", "oss://images", "--older-than=1h", "--dry-run"],
        &["gc", "oss://images", "--older-than=1h", "--yes"],
        &["image", "show", "m-bp1nosuchimage00000"],
    ];
    let (mut names, mut all) = (Vec::new(), Vec::new());
    for command in commands {
        let finished = world.run(&[command, &["--output=json", "--progress=json"][..]].concat());
        let printed = printed(command, &finished);
        let fails = command.starts_with(&["image", "show"]);
        assert_eq!(finished.code == Some(0), !fails, "{command:?}: {finished:?}");
        assert!(printed.iter().any(|(object, _)| object.get("event").is_none()), "{command:?}: {finished:?}");
        for (object, name) in printed {
            let definition = DEFINITIONS.get(&name).unwrap_or_else(|| panic!("{command:?} has no schema"));
            let wrong = differences(definition, &object, &name, true);
            all.extend(wrong);
            names.push(name);
        }
    }
    assert!(
        ["event", "error", "publish", "import"].iter().all(|name| names.iter().any(|found| found == name))
    );
}

#[test]
fn what_differs_from_a_schema_is_told() {
    let schema = serde_json::json!({
        "type": "object",
        "properties": {"a": {"type": ["integer", "null"]}, "b": {"type": "array", "items": {"enum": ["x"]}}},
        "required": ["a"],
    });
    let told = |value: Value, strict| differences(&schema, &value, "o", strict).len();
    assert_eq!(told(serde_json::json!({"a": null, "b": ["x"]}), true), 0);
    assert_eq!(told(serde_json::json!({"a": 1.5}), true), 1);
    assert_eq!(told(serde_json::json!({"b": ["y", "x"]}), true), 2);
    assert_eq!(
        (told(serde_json::json!({"a": 1, "c": 1}), true), told(serde_json::json!({"a": 1, "c": 1}), false)),
        (1, 0)
    );
    assert_eq!(told(serde_json::json!([]), true), 1);
}
