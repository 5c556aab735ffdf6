use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;

use super::*;
use crate::EmulatorOptions;
use ossup_core::model::BucketName;

struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<io::Result<()>>,
    _dir: tempfile::TempDir,
}

async fn running() -> Running {
    running_with(MAX_CONNECTIONS).await
}

async fn running_with(max_connections: usize) -> Running {
    let dir = tempfile::tempdir().unwrap();
    let emulator = Emulator::open(EmulatorOptions::local(dir.path())).unwrap();
    let bucket: BucketName = "images".parse().unwrap();
    emulator.create_bucket(bucket, "cn-hangzhou".parse().unwrap()).unwrap();
    let mut server = Server::bind_loopback(emulator).await.unwrap();
    server.max_connections = max_connections;
    assert!(server.is_loopback());
    let address = server.address();
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(server.serve(async {
        let _ = stopped.await;
    }));
    Running { address, stop, task, _dir: dir }
}

async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut text = Vec::new();
    while !text.ends_with(end.as_bytes()) {
        let mut byte = [0];
        assert_eq!(stream.read(&mut byte).await.unwrap(), 1, "{}", String::from_utf8_lossy(&text));
        text.push(byte[0]);
    }
    String::from_utf8(text).unwrap()
}

async fn exchange(stream: &mut TcpStream, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    read_until(stream, "\r\n\r\n").await.to_lowercase()
}

#[tokio::test]
async fn one_connection_serves_request_after_request() {
    let server = running().await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let put = "PUT /images/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello";
    let head = exchange(&mut stream, put).await;
    assert!(head.starts_with("http/1.1 200") && head.contains("content-length: 0"), "{head}");
    let head = exchange(&mut stream, "HEAD /images/a HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(head.contains("content-length: 5"), "{head}");
    let head = exchange(&mut stream, "HEAD /images/none HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(head.starts_with("http/1.1 404") && head.contains("x-oss-err"), "{head}");
    let head = exchange(&mut stream, "GET /images/a HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(head.contains("content-length: 5") && !head.contains("transfer-encoding"), "{head}");
    assert_eq!(read_until(&mut stream, "hello").await, "hello");
    let chunked = "PUT /images/b HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    assert!(exchange(&mut stream, chunked).await.starts_with("http/1.1 200"));
    let none = "PUT /images/b HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert!(exchange(&mut stream, none).await.starts_with("http/1.1 411"));
}

#[tokio::test]
async fn a_client_that_asks_first_is_told_to_go_on_only_if_its_body_is_wanted() {
    let server = running().await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let ask = |path: &str| {
        format!("PUT {path} HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
    };
    assert!(exchange(&mut stream, &ask("/images/a")).await.starts_with("http/1.1 100"));
    assert!(exchange(&mut stream, "hello").await.starts_with("http/1.1 200"));
    let refused = exchange(&mut stream, &ask("/images/a?partNumber=1&uploadId=NONE")).await;
    assert!(refused.starts_with("http/1.1 404"), "{refused}");
}

#[tokio::test]
async fn a_refusal_arrives_while_the_body_is_still_being_sent() {
    let server = running().await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = "PUT /images/a?partNumber=1&uploadId=NONE HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8388608\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    for _ in 0..8 {
        stream.write_all(&vec![7; 1 << 20]).await.unwrap();
    }
    assert!(read_until(&mut stream, "\r\n\r\n").await.starts_with("HTTP/1.1 404"));
}

#[tokio::test]
async fn oversized_heads_are_refused() {
    let server = running().await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let request = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(MAX_HEAD));
    assert!(exchange(&mut stream, &request).await.starts_with("http/1.1 431"));
}

#[tokio::test(start_paused = true)]
async fn silent_clients_are_dropped() {
    let server = running().await;
    let mut mute = TcpStream::connect(server.address).await.unwrap();
    let mut half = TcpStream::connect(server.address).await.unwrap();
    let head = "PUT /images/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhe";
    half.write_all(head.as_bytes()).await.unwrap();
    let answer = read_until(&mut half, "\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(read_until(&mut half, "</Error>").await.contains("<Code>RequestTimeout</Code>"));
    assert_eq!(mute.read(&mut [0; 8]).await.unwrap(), 0);
}

#[tokio::test]
async fn shutting_down_lets_a_request_end_and_frees_the_port_and_the_data() {
    let server = running().await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head =
        "PUT /images/a HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    assert!(exchange(&mut stream, head).await.starts_with("http/1.1 100"));
    server.stop.send(()).unwrap();
    assert!(exchange(&mut stream, "hello").await.starts_with("http/1.1 200"));
    server.task.await.unwrap().unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
    Emulator::open(EmulatorOptions::local(server._dir.path())).unwrap();
}

#[tokio::test]
async fn clients_that_say_nothing_keep_nobody_out() {
    let server = running_with(4).await;
    let mut served = TcpStream::connect(server.address).await.unwrap();
    let put = "PUT /images/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n";
    served.write_all(put.as_bytes()).await.unwrap();
    // The answer to a request without body says that those before it were accepted and read.
    let ask = "HEAD /images/none HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut half = Vec::new();
    for _ in 0..12 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        assert!(exchange(&mut stream, ask).await.starts_with("http/1.1 404"));
        stream.write_all(b"GET /images/a HTTP/1.1\r\nHost:").await.unwrap();
        half.push(stream);
    }
    let mut last = TcpStream::connect(server.address).await.unwrap();
    assert!(exchange(&mut last, ask).await.starts_with("http/1.1 404"));
    assert_eq!(half[0].read(&mut [0; 8]).await.unwrap_or(0), 0, "the one that waited longest gave way");
    // A request that is being sent is not ended for them.
    assert!(exchange(&mut served, "hello").await.starts_with("http/1.1 200"));
}

#[tokio::test]
async fn a_web_page_gets_nothing() {
    let server = running().await;
    let put = "PUT /images/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello";
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    assert!(exchange(&mut stream, put).await.starts_with("http/1.1 200"));
    for headers in [
        "Host: evil.example:9000",
        "Host: localhost\r\nOrigin: https://evil.example",
        "Host: localhost\r\nSec-Fetch-Site: cross-site",
    ] {
        for request in ["GET /images/a", "DELETE /images/a", "GET /?Action=DescribeImages"] {
            let mut stream = TcpStream::connect(server.address).await.unwrap();
            let answer = exchange(&mut stream, &format!("{request} HTTP/1.1\r\n{headers}\r\n\r\n")).await;
            assert!(answer.starts_with("http/1.1 403"), "{request} {headers}: {answer}");
        }
    }
    assert!(
        exchange(&mut stream, "HEAD /images/a HTTP/1.1\r\nHost: localhost\r\n\r\n").await.contains(" 200 ")
    );
}
