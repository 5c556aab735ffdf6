use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use ossup::credentials::Credentials;
use ossup::emulator::{Emulator, EmulatorOptions, FaultPlan, Server};
use serde_json::json;

use crate::args::EmulatorArgs;
use crate::context::Context;
use crate::failure::{Failure, Kind};
use crate::ui::word;

/// Serves an emulator until a signal stops it.
pub(crate) async fn run(args: EmulatorArgs, context: &Context) -> Result<(), Failure> {
    let cannot = |error: std::io::Error| Failure::from_error(Kind::Other, &error);
    // Kept until the end: dropping it removes the folder.
    let temporary = match &args.data {
        Some(_) => None,
        None => Some(tempfile::Builder::new().prefix("ossup-emulator-").tempdir().map_err(cannot)?),
    };
    let data = match (&args.data, &temporary) {
        (Some(data), _) => data.clone(),
        (None, Some(folder)) => folder.path().to_owned(),
        (None, None) => unreachable!("one of the two is there"),
    };
    let emulator = open(&args, data)?;
    let keys = emulator.credentials();
    let server = Server::bind(emulator.clone(), args.listen).await.map_err(|error| {
        Failure::from_error(Kind::Other, &error).context(format!("cannot listen on {}", args.listen))
    })?;
    let address = server.address();
    if !server.is_loopback() {
        context.output.warning("anyone who can reach this machine can use the emulator, over plain HTTP");
    }
    if args.discard {
        context
            .output
            .warning("--discard: object data is not kept, and ETags are computed from CRC-64, not from MD5");
    }
    context.output.status(format!("emulating OSS, ECS, RAM and STS; data in {}", emulator.data().display()));
    let exports = exports(&args, keys, address);
    let object = json!({
        "endpoint": endpoint(address),
        "region": args.region,
        "access_key_id": keys.access_key_id,
        "access_key_secret": keys.access_key_secret.expose(),
        "sts_token": args.sts_token,
    });
    context.output.print(object, &exports)?;
    let stop = context.stop.token();
    server.serve(stop.cancelled_owned()).await.map_err(cannot)?;
    Err(context.stop.failure("the emulator stopped"))
}

fn open(args: &EmulatorArgs, data: PathBuf) -> Result<Emulator, Failure> {
    let mut options = EmulatorOptions::new(data)
        .with_region(args.region.clone())
        .with_credentials(keys(args).into_iter().collect())
        .with_hosts(args.host.iter().cloned())
        .with_discard(args.discard)
        .with_speed(args.speed)
        .with_faults(faults(args.faults.as_deref())?);
    options.block_public_access = !args.allow_public_access;
    options.kms_keys = args.kms_key.iter().cloned().collect();
    for setting in &args.oss {
        setting.apply(&mut options.oss).map_err(|error| Failure::from_error(Kind::Usage, &error))?;
    }
    for setting in &args.ecs {
        setting.apply(&mut options.ecs).map_err(|error| Failure::from_error(Kind::Usage, &error))?;
    }
    let emulator = Emulator::open(options)?;
    if let Some(token) = &args.sts_token {
        emulator.add_credentials(emulator.credentials().clone().with_token(token));
    }
    for bucket in &args.bucket {
        // A bucket of an earlier run is the same bucket.
        if emulator.bucket(&bucket.name).is_none() {
            let region = bucket.region.clone().unwrap_or_else(|| args.region.clone());
            emulator.create_bucket(bucket.name.clone(), region)?;
            emulator.update_bucket(&bucket.name, |record| bucket.settle(record))?;
        }
    }
    Ok(emulator)
}

fn faults(file: Option<&Path>) -> Result<FaultPlan, Failure> {
    let Some(file) = file else { return Ok(FaultPlan::default()) };
    let unreadable = || format!("cannot read the fault plan `{}`", file.display());
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::from_error(Kind::Usage, &error).context(unreadable()))?;
    FaultPlan::from_json(&text)
        .map_err(|error| Failure::from_error(Kind::Usage, &error).context(unreadable()))
}

/// Returns the key pair that was passed; without one the folder's own is valid.
fn keys(args: &EmulatorArgs) -> Option<Credentials> {
    Some(Credentials::new(args.access_key_id.as_ref()?, args.access_key_secret.as_ref()?))
}

fn endpoint(address: SocketAddr) -> String {
    format!("http://{address}")
}

/// Returns lines for a shell. The endpoint comes last, so that a reader knows when they are complete.
fn exports(args: &EmulatorArgs, keys: &Credentials, address: SocketAddr) -> String {
    let mut lines = String::new();
    let mut export = |name: &str, value: &str| {
        let _ = writeln!(lines, "export {name}={}", word(value));
    };
    export("OSS_ACCESS_KEY_ID", &keys.access_key_id);
    export("OSS_ACCESS_KEY_SECRET", keys.access_key_secret.expose());
    if let Some(token) = &args.sts_token {
        export("OSS_SESSION_TOKEN", token);
    }
    export("OSS_REGION", args.region.as_str());
    export("OSS_ENDPOINT", &endpoint(address));
    lines.truncate(lines.trim_end().len());
    lines
}
