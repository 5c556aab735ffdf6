use ossup::url::{ObjectUrl, Presign};
use serde_json::json;

use crate::args::values::EndpointArg;
use crate::args::{RetryArgs, UrlArgs};
use crate::context::Context;
use crate::failure::{Failure, Kind};

/// Prints an object's URL, without a request to OSS.
pub(crate) async fn run(args: &UrlArgs, context: &Context) -> Result<(), Failure> {
    let object = &args.object;
    let bucket = Some(&object.bucket);
    let url = match args.sign {
        // Without a signature no credentials are needed.
        None => {
            let settings = context.settings(&args.connection, bucket)?;
            ObjectUrl::plain(object, &settings.endpoint())
        }
        Some(validity) => {
            let connection = context.connect(&args.connection, &RetryArgs::default(), bucket)?;
            let client = &connection.client;
            let credentials = client.options().credentials.credentials(None).await;
            let credentials = credentials.map_err(|error| Failure::from_error(Kind::Credentials, &error))?;
            let credentials = credentials
                .ok_or_else(|| Failure::new(Kind::Credentials, "cannot sign a URL without credentials"))?;
            let presign = Presign {
                version: client.options().sign_version,
                credentials: &credentials,
                region: client.region(),
                at: client.now(),
                validity: validity.0,
            };
            ObjectUrl::presigned(object, client.endpoint(), &presign)
                .map_err(|error| Failure::from_error(Kind::Usage, &error))?
        }
    };
    if let Some(EndpointArg::Local(_)) = &args.connection.endpoint {
        context.output.status("the URL works while `ossup emulator --data DIR` serves the embedded store");
    }
    if let Some(end) = url.expires() {
        // When a token expires that was given without its expiry is unknown here.
        let token = if url.token_may_end_it() {
            ", or until the STS token that signs it expires, if earlier"
        } else {
            ""
        };
        context.output.status(format!("anyone who has this URL can read the object until {end:.0}{token}"));
    }
    let json_fields = json!({
        "bucket": object.bucket,
        "key": object.key,
        "url": url.as_str(),
        "expires": url.expires().map(|end| end.to_string()),
        "expires_with_token": url.token_may_end_it(),
    });
    context.output.print(json_fields, url.as_str())
}
