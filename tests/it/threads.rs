//! A system that refuses threads.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use crate::support::{Finished, World, finish};

/// A user that has no processes.
const NOBODY: &str = "61234";

#[expect(clippy::disallowed_methods, reason = "the commands that set the limit are looked for")]
/// Runs a command under a limit of processes, which shells spell as they like. It does not bind root, who becomes somebody else.
fn limited(world: &World, limit: u32, args: &[&str]) -> Finished {
    let command = world.command(args);
    let is_root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    let program = command.get_program().to_str().unwrap();
    let (shell, prefix) = match is_root {
        true => ("setpriv", vec!["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "sh"]),
        false => ("sh", vec![]),
    };
    let mut limited = std::process::Command::new(shell);
    limited
        .args(prefix)
        .args([
            "-c",
            &format!("{{ ulimit -p {limit} 2>/dev/null || ulimit -u {limit}; }} && exec \"$0\" \"$@\""),
            program,
        ])
        .args(args);
    limited.env_clear().current_dir(world.path("."));
    limited.env("PATH", std::env::var_os("PATH").unwrap());
    limited.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let piped = std::process::Stdio::piped;
    finish(limited.stdin(std::process::Stdio::null()).stdout(piped()).stderr(piped()).spawn().unwrap())
}

#[test]
fn without_threads_it_ends_and_says_so() {
    let world = World::new();
    std::fs::set_permissions(world.path("."), PermissionsExt::from_mode(0o777)).unwrap();
    let finished = limited(&world, 1, &["list", "--output=json", "--state-dir=state"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stderr.contains("cannot start the threads"), "{finished:?}");
    assert!(finished.stderr.contains("ulimit -u"), "{finished:?}");
    let value: serde_json::Value = serde_json::from_str(&finished.stdout).unwrap();
    assert_eq!(value["error"]["exit_code"], 1);
}

#[test]
fn with_few_threads_it_uploads_all_the_same() {
    let world = World::new();
    std::fs::set_permissions(world.path("."), PermissionsExt::from_mode(0o777)).unwrap();
    let disk = world.file("disk.raw", 5 << 20, 1);
    std::fs::set_permissions(disk, PermissionsExt::from_mode(0o644)).unwrap();
    let is_root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    // Others of one's own user count too: only who becomes somebody else knows how many there are.
    let limit = if is_root { 6 } else { 100_000 };
    let args = ["upload", "disk.raw", "oss://images/x", "--no-inspect", "--part-size=1MiB", &world.local()];
    let finished = limited(&world, limit, &args);
    assert_eq!(finished.code, Some(0), "{finished:?}");
}
