//! Uploads an image, imports it, and waits until the custom image is available.
//!
//!     cargo run --example import -- FILE oss://BUCKET/KEY IMAGE_NAME STORE_DIR
//!
//! It uses the embedded store in `STORE_DIR`, where an import takes seconds and not hours.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example shows what it does")]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use ossup::client::{Client, ClientOptions};
use ossup::credentials::StaticCredentials;
use ossup::event::{Event, EventSink};
use ossup::import::{ImportDisk, ImportRequest, Importer};
use ossup::model::{DiskFormat, Endpoint, ObjectRef};
use ossup::publish::Publish;
use ossup::source::FileSource;
use ossup::upload::Upload;
use ossup_emulator::{Emulator, EmulatorOptions};

/// Seconds of the emulated ECS that pass in one real second.
const SPEED: f64 = 10_000.0;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, object, name, store] = arguments.as_slice() else {
        return Err("usage: import FILE oss://BUCKET/KEY IMAGE_NAME STORE_DIR".into());
    };
    let (store, object): (&Path, ObjectRef) = (Path::new(store), object.parse()?);
    let options = EmulatorOptions::local(store.join("objects")).with_speed(SPEED);
    let region = options.region.clone();
    let endpoint: Endpoint = "http://localhost".parse()?;
    let anonymous = Arc::new(StaticCredentials::anonymous());
    let emulator = Arc::new(Emulator::open(options)?);
    let options = ClientOptions::new(endpoint.clone(), region.clone(), anonymous, emulator);
    // The real services have separate endpoints, which follow from the region.
    let client = Client::new(options.with_rpc_endpoint(endpoint));

    let source = Arc::new(FileSource::open(file.as_str())?);
    let upload = Upload::new(client.clone(), source, object.clone()).with_state_dir(store.join("state"));
    let disk = ImportDisk::new(object).with_format(DiskFormat::Raw);
    let request = ImportRequest::new(region, name.as_str(), disk).with_platform("Others Linux");
    let progress = EventSink::new(|event| {
        if let Event::Importing(look) = event {
            eprintln!("{} is at {} %", look.image_id, look.percent.unwrap_or_default());
        }
    });
    // Importer alone imports an object that was uploaded last week; Publish puts both in order, and keeps
    // what is done, so that the same call again continues after any interruption.
    let importer = Importer::new(client).with_events(progress);
    let report = Publish::new(importer, request, store.join("state")).with_upload(upload).run().await?;
    println!("{} is available in {}", report.import.task.image_id, report.import.task.region);
    Ok(())
}
