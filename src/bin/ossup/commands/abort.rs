use ossup::client::Client;
use ossup::model::{ObjectRef, UploadId};
use ossup::protocol::oss;
use ossup::session;
use ossup::state::{StateDir, StateError};
use serde_json::json;

use crate::args::AbortArgs;
use crate::context::{Connection, Context};
use crate::failure::{Failure, Kind};
use crate::ui::{Output, confirm};

/// Aborts an open upload and removes its state.
pub(crate) async fn run(args: &AbortArgs, context: &Context) -> Result<(), Failure> {
    let object = &args.object;
    let connection = context.connect(&args.connection, &args.retry, Some(&object.bucket))?;
    let ids = match &args.upload_id {
        Some(id) => vec![existing(&connection, object, id, context.output).await?],
        None => known(&connection, object, context.output).await?,
    };
    let id = match ids.as_slice() {
        [id] => id,
        [] => return Err(Failure::new(Kind::Other, format!("no open upload of `{object}`"))),
        several => {
            let list = several.iter().map(UploadId::as_str).collect::<Vec<_>>().join(", ");
            let text = format!("{} uploads of `{object}` are open: {list}", several.len());
            return Err(Failure::new(Kind::Usage, text).hint("pass --upload-id ID to choose one"));
        }
    };
    confirm(&format!("delete all parts of upload {id} of `{object}`?"), args.yes).await?;
    forget(&connection, object, id).await?;
    context.output.status(format!("aborted upload {id} of `{object}` and deleted its parts"));
    context
        .output
        .print(json!({"bucket": object.bucket, "key": object.key, "upload_id": id, "aborted": true}), "")
}

/// Aborts one upload and removes its local state.
///
/// # Errors
///
/// Also when another process runs an upload of this object: the lock keeps it from continuing with what is being
/// deleted.
pub(crate) async fn forget(
    connection: &Connection,
    object: &ObjectRef,
    id: &UploadId,
) -> Result<(), Failure> {
    let dirs = match connection.settings.state_dir() {
        Ok(root) => {
            let (region, now) = (connection.client.region(), connection.client.now());
            let state = StateDir::new(root);
            let dir = match state.lock(&connection.client.service(), region, object, now) {
                Ok(dir) => dir,
                // That process runs another upload of the object.
                Err(StateError::Locked { .. }) if is_another(&state, connection, object, id)? => {
                    return Ok(session::abort(&connection.client, object, id).await?);
                }
                Err(error) => return Err(error.into()),
            };
            // It may have been started through another name of the service.
            let others = state.elsewhere(&dir, region, object)?;
            let other = others.into_iter().find(|other| other.checkpoint.upload_id == *id);
            let other = other.map(|other| state.lock_other(&other, now)).transpose()?;
            Some([Some(dir), other])
        }
        Err(_) => None,
    };
    session::abort(&connection.client, object, id).await?;
    for dir in dirs.into_iter().flatten().flatten() {
        let ours = dir.checkpoint().ok().flatten().is_none_or(|checkpoint| checkpoint.upload_id == *id);
        if ours {
            dir.forget()?;
        }
    }
    Ok(())
}

/// Whether the state has an upload of this object, other than `id`.
fn is_another(
    state: &StateDir,
    connection: &Connection,
    object: &ObjectRef,
    id: &UploadId,
) -> Result<bool, Failure> {
    let (region, service) = (connection.client.region(), connection.client.service());
    let known: Vec<_> = state.uploads()?.readable.into_iter().map(|upload| upload.checkpoint).collect();
    let mut of_object = known.iter().filter(|known| known.object == *object && known.region == *region);
    let driven = of_object.clone().any(|known| known.service() == service);
    Ok(driven && of_object.all(|known| known.upload_id != *id))
}

/// Returns an id that was typed, if there is such an upload. The service reports success for an abort of an unknown
/// id, so a mistyped one would pass, and the real upload would stay and cost money.
async fn existing(
    connection: &Connection,
    object: &ObjectRef,
    id: &UploadId,
    output: Output,
) -> Result<UploadId, Failure> {
    match session::list_parts(&connection.client, object, id).await {
        Err(error)
            if error.is(oss::code::NO_SUCH_UPLOAD) && !recorded(connection, object, output)?.contains(id) =>
        {
            let failure = Failure::from_error(Kind::Other, &error);
            let failure = failure.context(format!("there is no open upload {id} of `{object}`"));
            Err(failure.hint(format!("`ossup list oss://{}` shows the ids", object.bucket)))
        }
        Err(error) if !error.is(oss::code::NO_SUCH_UPLOAD) => Err(error.into()),
        _ => Ok(id.clone()),
    }
}

/// Returns the open uploads of exactly this key: on the bucket, else those in the local state.
async fn known(
    connection: &Connection,
    object: &ObjectRef,
    output: Output,
) -> Result<Vec<UploadId>, Failure> {
    let ids = on_bucket(&connection.client, object).await?;
    if ids.is_empty() { recorded(connection, object, output) } else { Ok(ids) }
}

/// Returns the uploads of this key in the local state, though the service may no longer have them.
fn recorded(connection: &Connection, object: &ObjectRef, output: Output) -> Result<Vec<UploadId>, Failure> {
    let Ok(root) = connection.settings.state_dir() else { return Ok(Vec::new()) };
    let stored = StateDir::new(root).uploads()?;
    stored.unreadable.iter().for_each(|error| output.warning(error.to_string()));
    let checkpoints = stored.readable.into_iter().map(|upload| upload.checkpoint);
    let (service, region) = (connection.client.service(), connection.client.region());
    let of_object = checkpoints
        .filter(|known| known.object == *object && known.region == *region && known.service() == service);
    Ok(of_object.map(|known| known.upload_id).collect())
}

async fn on_bucket(client: &Client, object: &ObjectRef) -> Result<Vec<UploadId>, Failure> {
    let listed = session::list_uploads(client, &object.bucket, object.key.as_str()).await?;
    let exactly = listed.into_iter().filter(|upload| upload.key == object.key.as_str());
    Ok(exactly.map(|upload| upload.upload_id).collect())
}
