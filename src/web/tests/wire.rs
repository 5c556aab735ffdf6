//! Over real sockets: what the HTTP library makes of them is read right.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::http::{HttpOptions, HttpTransport};

/// Serves a file by ranges; every second answer that is longer than a probe is cut in the middle.
async fn cutting(content: Vec<u8>) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answers = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let content = Arc::new(content);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (answers, content) = (Arc::clone(&answers), Arc::clone(&content));
            tokio::spawn(async move {
                let mut head = Vec::new();
                loop {
                    while !head.ends_with(b"\r\n\r\n") {
                        let mut byte = [0];
                        if stream.read(&mut byte).await.unwrap_or(0) == 0 {
                            return;
                        }
                        head.push(byte[0]);
                    }
                    let text = String::from_utf8(std::mem::take(&mut head)).unwrap().to_ascii_lowercase();
                    let range = text.split("range: bytes=").nth(1).unwrap().split("\r\n").next().unwrap();
                    let (first, last) = range.split_once('-').unwrap();
                    let first: usize = first.parse().unwrap();
                    let end = content.len().min(last.parse::<usize>().unwrap() + 1);
                    let answer = format!(
                        "HTTP/1.1 206 Partial Content\r\nETag: \"x\"\r\nContent-Length: {}\r\n\
                         Content-Range: bytes {first}-{}/{}\r\n\r\n",
                        end - first,
                        end - 1,
                        content.len(),
                    );
                    stream.write_all(answer.as_bytes()).await.unwrap();
                    let turn = answers.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if end - first > 2000 && turn % 2 == 1 {
                        stream.write_all(&content[first..(first + end) / 2]).await.unwrap();
                        return;
                    }
                    stream.write_all(&content[first..end]).await.unwrap();
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn connections_that_are_cut_are_replaced() {
    let content: Vec<u8> = (0..300_000_u32).map(|at| (at % 251) as u8).collect();
    let address = cutting(content.clone()).await;
    let transport = Arc::new(HttpTransport::new(HttpOptions::default()).unwrap());
    let options = WebOptions::new(transport).with_dice(Arc::new(|| 0.0));
    let url = format!("http://user:password@{address}/disk.raw?token=secret");
    let object = WebObject::open(url.parse().unwrap(), options).await.unwrap();
    let whole: Vec<u8> = object.stream().try_collect::<Vec<_>>().await.unwrap().concat();
    assert_eq!(whole, content);
    let source = object.by_ranges().unwrap();
    let some: Vec<u8> =
        part(&source, ByteRange::new(7, 299_999)).try_collect::<Vec<_>>().await.unwrap().concat();
    assert_eq!(some, content[7..299_999]);
}

#[tokio::test]
async fn no_error_shows_a_secret_of_the_url() {
    // Whatever listens there is gone.
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let garbage = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let speaks = garbage.local_addr().unwrap();
    let cut = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let cuts = cut.local_addr().unwrap();
    for (listener, answer) in [
        (garbage, &b"220 mail.example ESMTP\r\n"[..]),
        (cut, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nContent-Type: text/html\r\n\r\n<ht"),
    ] {
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(answer).await;
            }
        });
    }
    for address in [closed, speaks, cuts] {
        let transport = Arc::new(HttpTransport::new(HttpOptions::default()).unwrap());
        let options = WebOptions::new(transport)
            .with_dice(Arc::new(|| 0.0))
            .with_first_contact(Duration::ZERO)
            .with_retry_timeout(Duration::ZERO);
        let url = format!("http://user:hunter2@{address}/disk.raw?token=hunter2");
        let error = WebObject::open(url.parse().unwrap(), options).await.unwrap_err();
        let shown = format!("{} {error:?}", chain(&error));
        assert!(shown.contains(&format!("http://{address}/disk.raw?[redacted]")), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
