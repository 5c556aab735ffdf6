//! Disks and files that take no more, and files that are none.

use std::process::Command;

use crate::support::{Finished, Server, World, finish};

/// Runs a command under a limit of the shell.
fn under(world: &World, limit: &str, args: &[&str]) -> Finished {
    let direct = world.command(args);
    let mut shell = Command::new("bash");
    shell.args(["-c", &format!("ulimit {limit} && exec \"$0\" \"$@\"")]).arg(direct.get_program()).args(args);
    shell.env_clear().current_dir(direct.get_current_dir().unwrap());
    shell.envs(direct.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.stdin(std::process::Stdio::null());
    shell.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    finish(shell.spawn().unwrap())
}

#[test]
fn a_journal_that_reaches_the_file_size_limit_does_not_end_the_upload() {
    let mut world = World::new();
    let _server = Server::start(&mut world, &["--discard"]);
    let file = world.path("disk.raw");
    std::fs::File::create(&file).unwrap().set_len(60 << 20).unwrap();
    let file = file.to_str().unwrap();
    let args = ["upload", file, "oss://images/disk.raw", "--no-inspect", "--part-size=1MiB"];
    let ended = under(&world, "-f 4", &args);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.stderr.matches("can no longer be resumed from here alone").count(), 1, "{ended:?}");
}

#[test]
fn a_store_that_is_full_ends_the_upload_at_once_and_says_why() {
    let world = World::new();
    let file = world.file("disk.raw", 3 << 20, 1);
    let local = world.local();
    let args = ["upload", file.to_str().unwrap(), "oss://images/disk.raw", "--no-inspect", &local];
    let began = std::time::Instant::now();
    let ended = under(&world, "-f 512", &[&args[..], &["--part-size=2MiB"]].concat());
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("507 `InsufficientStorage`"), "{ended:?}");
    assert!(ended.stderr.contains("hint: the store's disk is full"), "{ended:?}");
    assert!(began.elapsed() < std::time::Duration::from_secs(60), "{:?}", began.elapsed());
    world.ok(&[&args[..], &["--part-size=2MiB"]].concat());
}

#[test]
fn a_pipe_that_nobody_writes_to_is_no_configuration_and_one_of_the_shell_is() {
    let world = World::new();
    let pipe = world.path("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let args = ["bucket", "show", "oss://images", "--region=cn-hangzhou", "--config-file"];
    let stderr = world.fails(2, &[&args[..], &[pipe.to_str().unwrap()]].concat());
    assert!(stderr.contains("not a regular file"), "{stderr}");

    let direct = world.command(&args);
    let line = "exec \"$0\" \"$@\" <(printf '[default]\nmode = nonsense\n')";
    let mut shell = Command::new("bash");
    shell.args(["-c", line]).arg(direct.get_program()).args(args).env_clear();
    shell.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::piped());
    let ended = finish(shell.stderr(std::process::Stdio::piped()).spawn().unwrap());
    assert!(ended.stderr.contains("nonsense"), "{ended:?}");
}
