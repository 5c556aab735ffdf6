//! The rate of an upload by each kind of endpoint.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::check::{Area, Check, Verdict};
use super::{Doctor, PREFIX};
use crate::client::{Client, ClientOptions};
use crate::model::{Endpoint, ObjectRef};
use crate::source::Made;
use crate::transfer::Limits;
use crate::upload::{ProbedRate, Upload, UploadError};

impl Doctor {
    /// Uploads for about `span` by each of the endpoints that answered, one after the other, with the parts in flight
    /// that an upload would have. No object is made, and the open upload is aborted.
    pub async fn speed(&self, span: Duration, answered: &[Check]) -> Vec<Check> {
        let Some(bucket) = &self.bucket else { return Vec::new() };
        let mut checks = Vec::new();
        for (kind, endpoint) in self.endpoints() {
            let id = format!("endpoint.{kind}");
            let answers = answered.iter().any(|check| check.id == id && check.verdict == Verdict::Ok);
            if !answers || self.stop.is_cancelled() {
                continue;
            }
            let key = format!("{PREFIX}{}/speed", uuid::Uuid::new_v4().simple());
            let object = ObjectRef::new(bucket.clone(), key.parse().expect("it is a key"));
            let result = self.upload(endpoint, object.clone()).probe(span).await;
            checks.push(judge(kind, &object, result));
        }
        checks
    }

    fn upload(&self, endpoint: Endpoint, object: ObjectRef) -> Upload {
        let client = Client::new(ClientOptions { endpoint, ..self.client.options().clone() });
        // Nothing is read of it: the probe makes its own bytes.
        let source = Arc::new(Made::new(1, |_, rest| rest.len()));
        Upload::new(client, source, object)
            .with_limits(Limits::for_host(&crate::blocks::HostLimits::detect(), None, None))
            .with_cancellation(self.stop.clone())
    }
}

fn judge(kind: &str, object: &ObjectRef, result: Result<ProbedRate, UploadError>) -> Check {
    let check = |verdict, text| Check::new(Area::Speed, format!("speed.{kind}"), verdict, text);
    match result {
        Ok(rate) if rate.bytes > 0 => {
            let mib = rate.bytes_per_second() as f64 / f64::from(1 << 20);
            let facts = json!({
                "bytes_per_second": rate.bytes_per_second(), "bytes": rate.bytes, "parts_in_flight": rate.parallel,
                "seconds": rate.took.as_secs_f64(),
            });
            check(Verdict::Ok, format!("{kind}: {mib:.1} MiB/s with {} parts in flight", rate.parallel))
                .with_facts(facts)
        }
        Ok(_) => check(Verdict::Unknown, format!("{kind}: no part got through in the time")),
        Err(error) => {
            let mut text = format!("{kind}: {error}");
            let mut next = std::error::Error::source(&error);
            while let Some(cause) = next {
                text = format!("{text}: {cause}");
                next = cause.source();
            }
            check(Verdict::Unknown, text).with_way_out(format!(
                "`ossup list oss://{}/{PREFIX}` shows what may have stayed open",
                object.bucket
            ))
        }
    }
}
