//! A world for one test: a folder, an environment without surprises, the binary, and an emulator.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::schema;

pub(crate) struct World {
    dir: TempDir,
    env: Vec<(String, String)>,
}

/// What a finished command left.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl World {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), env: Vec::new() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Sets an environment variable for all commands from now on.
    pub(crate) fn env(&mut self, name: &str, value: &str) {
        self.env.push((name.to_owned(), value.to_owned()));
    }

    /// The option that names the embedded store of this world.
    pub(crate) fn local(&self) -> String {
        format!("--endpoint=local:{}", self.path("store").display())
    }

    /// The binary, without any variable of the real environment.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ossup"));
        command.args(args).env_clear().env("HOME", self.dir.path()).current_dir(self.dir.path());
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs a command. What it prints as JSON has to be what the schema says.
    pub(crate) fn run(&self, args: &[&str]) -> Finished {
        let finished = finish(self.command(args).spawn().unwrap());
        schema::check(args, &finished);
        finished
    }

    /// Runs a command that must succeed.
    pub(crate) fn ok(&self, args: &[&str]) -> Finished {
        let finished = self.run(args);
        assert_eq!(finished.code, Some(0), "{args:?}: {finished:?}");
        finished
    }

    /// Runs a command that must succeed and returns its JSON.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let finished = self.ok(&[args, &["--output=json"]].concat());
        let value: Value = serde_json::from_str(&finished.stdout).unwrap();
        assert_eq!(value["schema"], 1);
        value
    }

    /// Runs a command that must fail with this exit code, and returns what it printed to stderr.
    pub(crate) fn fails(&self, code: i32, args: &[&str]) -> String {
        let finished = self.run(args);
        assert_eq!(finished.code, Some(code), "{args:?}: {finished:?}");
        assert!(!finished.stderr.contains("panicked"), "{finished:?}");
        finished.stderr
    }

    /// Makes a file of `length` bytes that differ from block to block and from seed to seed.
    pub(crate) fn file(&self, name: &str, length: usize, seed: u64) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, noise(length, seed)).unwrap();
        path
    }

    /// Makes a sparse RAW disk that ECS would take: boot code, an active partition, ext4.
    pub(crate) fn disk(&self, name: &str, length: u64, seed: u64) -> PathBuf {
        const START: u64 = 2048 * 512;
        let path = self.path(name);
        let file = File::create(&path).unwrap();
        file.set_len(length).unwrap();
        let mut sector = [0u8; 512];
        sector[..440].copy_from_slice(&noise(440, seed));
        let sectors = u32::try_from((length - START) / 512).unwrap();
        sector[446..454].copy_from_slice(&[0x80, 0, 0, 0, 0x83, 0, 0, 0]);
        sector[454..458].copy_from_slice(&2048u32.to_le_bytes());
        sector[458..462].copy_from_slice(&sectors.to_le_bytes());
        sector[510..].copy_from_slice(&[0x55, 0xaa]);
        file.write_all_at(&sector, 0).unwrap();
        file.write_all_at(&ext4_superblock(length - START), START + 1024).unwrap();
        file.write_all_at(&noise(300_000, seed), START + 65_536).unwrap();
        path
    }
}

fn ext4_superblock(length: u64) -> [u8; 1024] {
    let mut block = [0u8; 1024];
    block[4..8].copy_from_slice(&u32::try_from(length / 4096).unwrap().to_le_bytes());
    block[24..28].copy_from_slice(&2u32.to_le_bytes());
    block[56..58].copy_from_slice(&[0x53, 0xef]);
    // Feature flags of ext4: journal, extents, 64 bit.
    block[92..96].copy_from_slice(&4u32.to_le_bytes());
    block[96..100].copy_from_slice(&0xc2u32.to_le_bytes());
    block
}

/// Bytes without pattern (xorshift).
pub(crate) fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// Waits for a child's end and takes what it printed.
pub(crate) fn finish(child: Child) -> Finished {
    let output = child.wait_with_output().unwrap();
    Finished {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// An emulator over HTTP, ended when it is dropped.
pub(crate) struct Server {
    child: Child,
    _stdout: BufReader<ChildStdout>,
    pub(crate) endpoint: String,
    pub(crate) access_key_id: String,
    pub(crate) access_key_secret: String,
}

impl Server {
    /// Starts an emulator with the bucket `images` and lets the world's commands use it.
    pub(crate) fn start(world: &mut World, args: &[&str]) -> Self {
        let data = world.path("data");
        let all = [
            &["emulator", "--listen=127.0.0.1:0", "--bucket=images", "--data", data.to_str().unwrap()],
            args,
        ];
        let mut child = world.command(&all.concat()).stderr(Stdio::inherit()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let (mut endpoint, mut access_key_id, mut access_key_secret) = <(String, String, String)>::default();
        while endpoint.is_empty() {
            let mut line = String::new();
            assert!(stdout.read_line(&mut line).unwrap() > 0, "the emulator stopped");
            let (name, value) =
                line.trim().strip_prefix("export ").and_then(|rest| rest.split_once('=')).unwrap();
            let value = value.trim_matches('\'');
            world.env(name, value);
            let known = match name {
                "OSS_ACCESS_KEY_ID" => &mut access_key_id,
                "OSS_ACCESS_KEY_SECRET" => &mut access_key_secret,
                // The last line.
                "OSS_ENDPOINT" => &mut endpoint,
                _ => continue,
            };
            value.clone_into(known);
        }
        Self { child, _stdout: stdout, endpoint, access_key_id, access_key_secret }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal to a process by the shell's own `kill`.
pub(crate) fn signal(child: &Child, name: &str) {
    let line = format!("kill -{name} {}", child.id());
    assert!(Command::new("sh").args(["-c", &line]).status().unwrap().success());
}

/// Adds bytes to the end of a file.
pub(crate) fn append(path: &Path, bytes: &[u8]) {
    let mut file = File::options().append(true).open(path).unwrap();
    file.write_all(bytes).unwrap();
}
