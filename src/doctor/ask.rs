//! A request as it is written here, and its answer as it came: what the checks ask is no operation of any command.

use bytes::Bytes;
use http::Method;

use crate::model::{BucketName, ObjectKey, Region};
use crate::protocol::{
    Content, DecodeError, Operation, OssRequest, Request, Response, RpcRequest, RpcService,
};

/// A request that is sent as it stands.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    name: &'static str,
    request: Request,
}

impl Ask {
    /// Asks OSS about a bucket, or a key of it. `query` names parameters, those without a value by `None`.
    pub(super) fn oss(
        name: &'static str,
        method: Method,
        (bucket, key): (&BucketName, Option<&ObjectKey>),
        query: &[(&str, Option<&str>)],
    ) -> Self {
        let query = query.iter().map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned)));
        let (key, query) = (key.cloned(), query.collect());
        let request = OssRequest { key, query, ..OssRequest::bucket(method, bucket) };
        Self { name, request: Request::Oss(request) }
    }

    /// Asks ECS in a region.
    pub(super) fn ecs(action: &'static str, region: &Region, params: &[(&str, &str)]) -> Self {
        let mut all = vec![("RegionId".to_owned(), region.to_string())];
        all.extend(params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let request = RpcRequest {
            service: RpcService::Ecs,
            action,
            region: Some(region.clone()),
            params: all,
            signed: true,
        };
        Self { name: action, request: Request::Rpc(request) }
    }

    /// Asks RAM.
    pub(super) fn ram(action: &'static str, params: &[(&str, &str)]) -> Self {
        let params = params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let request = RpcRequest { service: RpcService::Ram, action, region: None, params, signed: true };
        Self { name: action, request: Request::Rpc(request) }
    }

    /// Adds a header to a request to OSS.
    #[must_use]
    pub(super) fn with_header(mut self, name: &str, value: impl Into<String>) -> Self {
        if let Request::Oss(request) = &mut self.request {
            request.headers.push((name.to_owned(), value.into()));
        }
        self
    }

    /// Adds a body to a request to OSS.
    #[must_use]
    pub(super) fn with_body(mut self, body: impl Into<Bytes>) -> Self {
        if let Request::Oss(request) = &mut self.request {
            request.content = Content::Bytes(body.into());
        }
        self
    }
}

impl Operation for Ask {
    /// The answer as it came.
    type Output = Response;

    fn name(&self) -> &'static str {
        self.name
    }

    fn request(&self) -> Request {
        self.request.clone()
    }

    fn decode(&self, answer: &Response) -> Result<Response, DecodeError> {
        Ok(answer.clone())
    }
}
