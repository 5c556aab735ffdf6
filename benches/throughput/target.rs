use std::path::PathBuf;
use std::sync::Arc;

use ossup::client::{Client, ClientOptions};
use ossup::clock::{Clock, SystemClock};
use ossup::credentials::{Credentials, StaticCredentials};
use ossup::http::{HttpOptions, HttpTransport};
use ossup::model::{Endpoint, ObjectRef, PartNumber, Region, UploadId};
use ossup::protocol::oss::{AbortMultipartUpload, InitiateMultipartUpload, UploadPart};
use ossup::protocol::sign::{SignVersion, presign_oss};
use ossup::protocol::{Operation, Request, uri};

use crate::Fallible;
use crate::options::Options;
use crate::server::{self, Server};

/// How long the floor's URLs are good, in seconds.
const VALIDITY: u64 = 6 * 3600;

/// The endpoint and the credentials of all contenders.
pub(crate) struct Target {
    pub(crate) endpoint: Endpoint,
    pub(crate) region: Region,
    pub(crate) bucket: String,
    pub(crate) ca_file: Option<PathBuf>,
    keys: (String, String),
}

impl Target {
    /// Describes a server that this program started, or else the endpoint that was given.
    pub(crate) fn new(options: &Options, server: Option<&Server>) -> Fallible<Self> {
        let (endpoint, ca_file, keys) = match server {
            Some(server) => {
                let keys = (server::ACCESS_KEY_ID.to_owned(), server::ACCESS_KEY_SECRET.to_owned());
                (server.endpoint.as_str(), server.ca_file.clone(), keys)
            }
            None => {
                let keys = (std::env::var("OSS_ACCESS_KEY_ID")?, std::env::var("OSS_ACCESS_KEY_SECRET")?);
                (options.endpoint.as_deref().unwrap_or_default(), options.ca_file.clone(), keys)
            }
        };
        let (endpoint, region) = (endpoint.parse()?, options.region.parse()?);
        Ok(Self { endpoint, region, bucket: options.bucket.clone(), ca_file, keys })
    }

    /// Returns the variables that give a contender the keys and the certificate.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        let (id, secret) = &self.keys;
        let mut all = vec![
            ("OSS_ACCESS_KEY_ID", id.clone()),
            ("OSS_ACCESS_KEY_SECRET", secret.clone()),
            ("AWS_ACCESS_KEY_ID", id.clone()),
            ("AWS_SECRET_ACCESS_KEY", secret.clone()),
            ("AWS_REGION", self.region.to_string()),
        ];
        if let Some(file) = &self.ca_file {
            let file = file.display().to_string();
            all.extend(["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"].map(|name| (name, file.clone())));
        }
        all
    }

    fn credentials(&self) -> Credentials {
        Credentials::new(&self.keys.0, &self.keys.1)
    }

    fn client(&self) -> Fallible<Client> {
        let mut http = HttpOptions::default();
        if let Some(file) = &self.ca_file {
            http = http.with_ca_certificates(std::fs::read(file)?);
        }
        let credentials = Arc::new(StaticCredentials::new(self.credentials()));
        let transport = Arc::new(HttpTransport::new(http)?);
        Ok(Client::new(ClientOptions::new(
            self.endpoint.clone(),
            self.region.clone(),
            credentials,
            transport,
        )))
    }

    /// Opens an upload of `size` bytes for the floor, hands over the presigned URL of each part, a line each, and
    /// deletes the parts.
    pub(crate) fn with_parts<T>(
        &self,
        size: u64,
        part_size: u64,
        run: impl FnOnce(&str) -> Fallible<T>,
    ) -> Fallible<T> {
        let object: ObjectRef = format!("oss://{}/ossup-bench-floor", self.bucket).parse()?;
        let client = self.client()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut initiate = InitiateMultipartUpload::new(object.clone());
        initiate.overwrite = true;
        let upload_id = runtime.block_on(client.call(&initiate))?;
        let outcome = self.urls(&object, &upload_id, size.div_ceil(part_size)).and_then(|urls| run(&urls));
        runtime.block_on(client.call(&AbortMultipartUpload { object, upload_id }))?;
        outcome
    }

    fn urls(&self, object: &ObjectRef, upload_id: &UploadId, parts: u64) -> Fallible<String> {
        let (credentials, now) = (self.credentials(), SystemClock.now());
        let mut urls = String::new();
        for number in 1..=u16::try_from(parts)? {
            let number = PartNumber::new(number).ok_or("the image has more parts than an object can have")?;
            let part = UploadPart::new(object.clone(), upload_id.clone(), number, 0);
            let Request::Oss(request) = part.request() else { return Err("a part is sent to OSS".into()) };
            let query = presign_oss(SignVersion::V4, &request, &credentials, &self.region, now, VALIDITY);
            urls += &uri::oss(&self.endpoint, &request, &query);
            urls.push('\n');
        }
        Ok(urls)
    }
}
