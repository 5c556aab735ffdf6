use bytes::Bytes;
use http_body_util::BodyExt;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::emulator::{Emulator, EmulatorOptions};
use crate::http::{Body, Transport, full};

/// How many requests are answered before the folder is deleted.
const LIFE: u32 = 2000;

/// Two emulators in their own folder.
pub(super) struct Bench {
    folder: TempDir,
    emulators: [Emulator; 2],
    runtime: Runtime,
    answered: u32,
}

impl Bench {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().expect("the machine has room for a folder");
        let open = |options| Emulator::open(options).expect("the folder is new");
        let trusting = open(EmulatorOptions::local(folder.path().join("trusting")));
        let careful = open(EmulatorOptions::new(folder.path().join("careful")));
        for emulator in [&trusting, &careful] {
            let region = "cn-hangzhou".parse().expect("the region is valid");
            emulator.create_bucket(super::bucket(), region).expect("there is no bucket yet");
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.expect("a runtime of one thread needs nothing");
        Self { folder, emulators: [trusting, careful], runtime, answered: 0 }
    }

    pub(super) fn is_used_up(&self) -> bool {
        self.answered >= LIFE
    }

    /// Has a request answered by both, if HTTP allows it at all.
    pub(super) fn answer(&mut self, bytes: &[u8]) {
        for emulator in &self.emulators {
            let Some(request) = request(bytes) else { return };
            self.answered += 1;
            let exchange = async {
                let (head, body) = emulator.send(request).await.ok()?.into_parts();
                Some((head, body.collect().await.map(|body| body.to_bytes()).unwrap_or_default()))
            };
            let Some((head, body)) = self.runtime.block_on(exchange) else { continue };
            assert_ne!(head.status.as_u16(), 500, "{}", String::from_utf8_lossy(&body));
        }
        let entries = std::fs::read_dir(self.folder.path()).expect("the folder is ours");
        assert_eq!(entries.count(), self.emulators.len(), "nothing is written beside the data");
    }
}

/// Reads a request as HTTP/1.1 has it; nothing if it is none.
fn request(bytes: &[u8]) -> Option<http::Request<Body>> {
    let mut rest = bytes;
    let mut line = || {
        let end = rest.iter().position(|byte| *byte == b'\n');
        let (line, after) = rest.split_at(end.unwrap_or(rest.len()));
        rest = after.get(1..).unwrap_or_default();
        line.strip_suffix(b"\r").unwrap_or(line)
    };
    let mut words = line().splitn(3, |byte| *byte == b' ');
    let mut request = http::Request::builder().method(words.next()?).uri(words.next()?);
    loop {
        let header = line();
        if header.is_empty() {
            break;
        }
        let colon = header.iter().position(|byte| *byte == b':')?;
        request = request.header(&header[..colon], header[colon + 1..].trim_ascii());
    }
    request.body(full(Bytes::copy_from_slice(rest))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulator::testing;

    #[tokio::test]
    async fn a_request_is_read_as_it_comes() {
        let request = request(b"PUT /images/x?acl HTTP/1.1\r\nHost: a\r\nX:  b \r\n\r\nbo\r\ndy").unwrap();
        assert_eq!((request.method().as_str(), request.uri().to_string().as_str()), ("PUT", "/images/x?acl"));
        assert!(request.headers()["host"] == "a" && request.headers()["x"] == "b");
        let body = request.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, "bo\r\ndy");
    }

    #[test]
    fn one_emulator_believes_everyone_and_one_does_not() {
        let mut bench = Bench::new();
        bench.answer(b"PUT /images/x HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nbytes");
        let key = "x".parse().unwrap();
        let length =
            |emulator: usize| testing::length(&bench.emulators[emulator], &super::super::bucket(), &key);
        assert_eq!((length(0), length(1)), (Some(5), None));
    }
}
