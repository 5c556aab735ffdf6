//! Uploads a file, shows its progress, stops at Ctrl-C, and prints the object's URL.
//!
//!     cargo run --example upload -- FILE oss://BUCKET/KEY STORE_DIR
//!
//! It uses the embedded store in `STORE_DIR`, so that it runs anywhere. For the real service, give the client an
//! `HttpTransport`, your region's endpoint and your credentials instead, as README.md shows.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example shows what it does")]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use ossup::CancellationToken;
use ossup::client::{Client, ClientOptions};
use ossup::credentials::StaticCredentials;
use ossup::event::{Event, EventSink};
use ossup::model::{Endpoint, ObjectRef};
use ossup::source::FileSource;
use ossup::upload::{Upload, UploadReport};
use ossup_emulator::{Emulator, EmulatorOptions};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, object, store] = arguments.as_slice() else {
        return Err("usage: upload FILE oss://BUCKET/KEY STORE_DIR".into());
    };
    let object: ObjectRef = object.parse()?;
    let client = local_client(Path::new(store))?;
    let report = upload(&client, Path::new(file), object.clone(), Path::new(store)).await?;
    println!("{} bytes in {} parts", report.stored.size, report.parts);
    println!("{}", ossup::url::ObjectUrl::plain(&object, client.endpoint()));
    Ok(())
}

/// Returns a client of the embedded store, in process: no port, no account.
fn local_client(store: &Path) -> Result<Client, Box<dyn Error>> {
    let options = EmulatorOptions::local(store.join("objects"));
    let region = options.region.clone();
    let emulator = Emulator::open(options)?;
    let endpoint: Endpoint = "http://localhost".parse()?;
    let anonymous = Arc::new(StaticCredentials::anonymous());
    Ok(Client::new(ClientOptions::new(endpoint, region, anonymous, Arc::new(emulator))))
}

async fn upload(
    client: &Client,
    file: &Path,
    object: ObjectRef,
    store: &Path,
) -> Result<UploadReport, Box<dyn Error>> {
    let source = Arc::new(FileSource::open(file)?);
    let progress = EventSink::new(|event| match event {
        Event::Opened { present, .. } => eprintln!("{present} bytes are there already"),
        Event::PartDone { number, range, .. } => eprintln!("part {number} is in: {} bytes", range.len()),
        Event::Notice { text } => eprintln!("{text}"),
        _ => {}
    });
    // What is in when somebody presses Ctrl-C is kept, and the next run goes on from there.
    let cancel = CancellationToken::new();
    let stop = cancel.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            stop.cancel();
        }
    });
    let upload = Upload::new(client.clone(), source, object)
        .with_state_dir(store.join("state"))
        .with_events(progress)
        .with_cancellation(cancel);
    Ok(upload.run().await?)
}
