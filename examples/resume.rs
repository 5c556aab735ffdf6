//! Stops an upload half-way and continues it: the finished parts are not sent again.
//!
//!     cargo run --example resume -- FILE oss://BUCKET/KEY STORE_DIR
//!
//! It uses the embedded store in `STORE_DIR`, so that it runs anywhere.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ossup::CancellationToken;
use ossup::ErrorKind;
use ossup::client::{Client, ClientOptions};
use ossup::credentials::StaticCredentials;
use ossup::event::{Event, EventSink};
use ossup::model::{Endpoint, ObjectRef};
use ossup::read::ReadAt;
use ossup::source::FileSource;
use ossup::upload::Upload;
use ossup_emulator::{Emulator, EmulatorOptions};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, object, store] = arguments.as_slice() else {
        return Err("usage: resume FILE oss://BUCKET/KEY STORE_DIR".into());
    };
    let (store, object): (&Path, ObjectRef) = (Path::new(store), object.parse()?);
    let options = EmulatorOptions::local(store.join("objects"));
    let region = options.region.clone();
    let endpoint: Endpoint = "http://localhost".parse()?;
    let anonymous = Arc::new(StaticCredentials::anonymous());
    let emulator = Arc::new(Emulator::open(options)?);
    let client = Client::new(ClientOptions::new(endpoint, region, anonymous, emulator));
    let source = Arc::new(FileSource::open(file.as_str())?);
    let half = source.length() / 2;

    // Ctrl-C would cancel this token in a real program; here half of the bytes do.
    let cancel = CancellationToken::new();
    let stopper = cancel.clone();
    let acknowledged = AtomicU64::new(0);
    let sink = EventSink::new(move |event| {
        if let Event::PartDone { range, .. } = event
            && acknowledged.fetch_add(range.len(), Ordering::Relaxed) + range.len() >= half
        {
            stopper.cancel();
        }
    });
    let upload = Upload::new(client, source, object)
        .with_state_dir(store.join("state"))
        .with_part_size(1 << 20)
        .with_parallel(2);
    match upload.clone().with_events(sink).with_cancellation(cancel).run().await {
        Err(error) if error.kind() == ErrorKind::Cancelled => println!("stopped: {error}"),
        Err(error) => return Err(error.into()),
        Ok(_) => println!("the file is too small to be stopped half-way"),
    }

    let report = upload.run().await?;
    println!("{} parts, of which {} were there already", report.parts, report.resumed_parts);
    Ok(())
}
