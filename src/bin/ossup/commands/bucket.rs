use ossup::client::Client;
use ossup::model::BucketName;
use ossup::protocol::oss::{self, GetBucketInfo, PutBucket};
use ossup::protocol::sts::GetCallerIdentity;
use serde_json::json;

use crate::args::values::BucketUrl;
use crate::args::{BucketArgs, BucketCommand};
use crate::context::Context;
use crate::failure::{Failure, Kind};

/// Creates or shows a bucket.
pub(crate) async fn run(command: &BucketCommand, context: &Context) -> Result<(), Failure> {
    match command {
        BucketCommand::Create(args) => create(args, context).await,
        BucketCommand::Show(args) => show(args, context).await,
    }
}

async fn create(args: &BucketArgs, context: &Context) -> Result<(), Failure> {
    let bucket = bare(&args.bucket)?;
    let connection = context.connect(&args.connection, &args.retry, Some(bucket))?;
    let region = connection.client.region();
    let created = match connection.client.call(&PutBucket::new(bucket.clone())).await {
        Ok(_) => true,
        Err(error)
            if error.is(oss::code::BUCKET_ALREADY_EXISTS) && is_own(&connection.client, bucket).await =>
        {
            false
        }
        Err(error) => return Err(error.into()),
    };
    let done = if created { "created" } else { "already exists and is yours" };
    context.output.status(format!("bucket `{bucket}` {done}, in {region}"));
    context.output.print(json!({"bucket": bucket, "region": region, "created": created}), "")
}

/// Whether a bucket is known to be in the client's region and account.
async fn is_own(client: &Client, bucket: &BucketName) -> bool {
    let Ok(info) = client.call(&GetBucketInfo { bucket: bucket.clone() }).await else { return false };
    let Ok(caller) = client.call(&GetCallerIdentity::new()).await else { return false };
    info.region == *client.region() && info.owner_id.is_some_and(|owner| owner == caller.account_id)
}

async fn show(args: &BucketArgs, context: &Context) -> Result<(), Failure> {
    let bucket = bare(&args.bucket)?;
    let connection = context.connect(&args.connection, &args.retry, Some(bucket))?;
    let info = connection.client.call(&GetBucketInfo { bucket: bucket.clone() }).await?;
    let encryption = info.encryption.as_ref().map(|encryption| encryption.algorithm.clone());
    let object = json!({
        "bucket": info.name,
        "region": info.region,
        "public_endpoint": info.public_endpoint,
        "internal_endpoint": info.internal_endpoint,
        "owner": info.owner_id,
        "storage_class": info.storage_class,
        "acl": info.acl,
        "versioning": info.versioning,
        "encryption": encryption,
        "created": info.created.map(|created| created.to_string()),
    });
    let unknown = || "unknown".to_owned();
    let rows = [
        ("bucket", info.name.to_string()),
        ("region", info.region.to_string()),
        ("public endpoint", info.public_endpoint.unwrap_or_else(unknown)),
        ("internal endpoint", info.internal_endpoint.unwrap_or_else(unknown)),
        ("storage class", info.storage_class.unwrap_or_else(unknown)),
        ("access", info.acl.unwrap_or_else(unknown)),
        ("versioning", info.versioning.unwrap_or_else(|| "never enabled".to_owned())),
        ("encryption", encryption.unwrap_or_else(|| "none".to_owned())),
    ];
    let lines: Vec<_> =
        rows.iter().map(|(label, value)| format!("{label:<18}{}", crate::ui::printable(value))).collect();
    context.output.print(object, &lines.join("\n"))
}

/// Returns the bucket of a URL that names nothing else.
fn bare(url: &BucketUrl) -> Result<&BucketName, Failure> {
    if url.rest.is_empty() {
        return Ok(&url.bucket);
    }
    Err(Failure::new(Kind::Usage, format!("`{url}` names more than a bucket: use oss://{}", url.bucket)))
}
