use ossup::client::Client;
use ossup::model::{ObjectRef, UploadId};
use ossup::session;
use ossup::state::StateDir;
use serde_json::json;

use super::open_uploads;
use crate::args::AbortArgs;
use crate::context::{Connection, Context};
use crate::failure::{Failure, Kind};
use crate::ui::confirm;

/// Aborts an open upload and forgets it.
pub(crate) async fn run(args: &AbortArgs, context: &Context) -> Result<(), Failure> {
    let object = &args.object;
    let connection = context.connect(&args.connection, &args.retry, Some(&object.bucket))?;
    let ids = match &args.upload_id {
        Some(id) => vec![id.clone()],
        None => known(&connection, object).await?,
    };
    let id = match ids.as_slice() {
        [id] => id,
        [] => return Err(Failure::new(Kind::Other, format!("no open upload of `{object}`"))),
        several => {
            let list = several.iter().map(UploadId::as_str).collect::<Vec<_>>().join(", ");
            let text = format!("{} uploads of `{object}` are open: {list}", several.len());
            return Err(Failure::new(Kind::Usage, text).hint("say which: --upload-id ID"));
        }
    };
    confirm(&format!("delete all parts of upload {id} of `{object}`?"), args.yes).await?;
    // The lock keeps another process from going on with what is being deleted.
    let state = connection.settings.state_dir().ok().map(StateDir::new);
    let dir = match &state {
        Some(state) => Some(
            state
                .lock(connection.client.region(), object, connection.client.now())
                .map_err(|error| Failure::from_error(error.kind().into(), &error))?,
        ),
        None => None,
    };
    session::abort(&connection.client, object, id).await?;
    if let Some(dir) = dir {
        let ours = dir.checkpoint().ok().flatten().is_none_or(|checkpoint| checkpoint.upload_id == *id);
        if ours {
            dir.forget().map_err(|error| Failure::from_error(error.kind().into(), &error))?;
        }
    }
    context.output.remark(format!("upload {id} of `{object}` is aborted, its parts are gone"));
    context
        .output
        .result(json!({"bucket": object.bucket, "key": object.key, "upload_id": id, "aborted": true}), "")
}

/// Returns the open uploads of exactly this key: on the bucket, or known here alone.
async fn known(connection: &Connection, object: &ObjectRef) -> Result<Vec<UploadId>, Failure> {
    let mut ids = on_bucket(&connection.client, object).await?;
    if ids.is_empty()
        && let Ok(root) = connection.settings.state_dir()
    {
        let stored = StateDir::new(root).uploads();
        let stored = stored.map_err(|error| Failure::from_error(error.kind().into(), &error))?;
        ids.extend(
            stored
                .into_iter()
                .filter(|upload| {
                    upload.checkpoint.object == *object
                        && upload.checkpoint.region == *connection.client.region()
                })
                .map(|upload| upload.checkpoint.upload_id),
        );
    }
    Ok(ids)
}

async fn on_bucket(client: &Client, object: &ObjectRef) -> Result<Vec<UploadId>, Failure> {
    let listed = open_uploads::list(client, &object.bucket, object.key.as_str()).await?;
    let exactly = listed.into_iter().filter(|upload| upload.key == object.key.as_str());
    Ok(exactly.map(|upload| upload.upload_id).collect())
}
