//! A request of a service as a value, before it is signed and sent.

use std::fmt;

use bytes::Bytes;
use http::Method;

use crate::model::{BucketName, ObjectKey, ObjectRef, Region};

/// A request before it is signed.
#[derive(Debug, Clone)]
pub enum Request {
    /// To OSS.
    Oss(OssRequest),
    /// To an RPC-style service: ECS, RAM, STS.
    Rpc(RpcRequest),
}

/// A request to OSS: which resource, and what goes with it. All text is decoded.
#[derive(Debug, Clone)]
pub struct OssRequest {
    /// HTTP method.
    pub method: Method,
    /// The bucket; without one the request is to the service.
    pub bucket: Option<BucketName>,
    /// The key; without one the request is to the bucket.
    pub key: Option<ObjectKey>,
    /// Query parameters; `None` is a parameter without value.
    pub query: Vec<(String, Option<String>)>,
    /// Headers, names in lower case, without those of signing and without Content-Length.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub content: Content,
}

impl OssRequest {
    /// Begins a request about an object.
    pub fn object(method: Method, object: &ObjectRef) -> Self {
        Self { key: Some(object.key.clone()), ..Self::bucket(method, &object.bucket) }
    }

    /// Begins a request about a bucket.
    pub fn bucket(method: Method, bucket: &BucketName) -> Self {
        Self {
            method,
            bucket: Some(bucket.clone()),
            key: None,
            query: Vec::new(),
            headers: Vec::new(),
            content: Content::Empty,
        }
    }

    /// Adds a query parameter without a value.
    pub fn flag(mut self, name: &str) -> Self {
        self.query.push((name.to_owned(), None));
        self
    }

    /// Adds a query parameter.
    pub fn param(mut self, name: &str, value: impl ToString) -> Self {
        self.query.push((name.to_owned(), Some(value.to_string())));
        self
    }

    /// Adds a query parameter if there is a value.
    pub fn param_if(self, name: &str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.param(name, value),
            None => self,
        }
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    /// Adds a header if there is a value.
    pub fn header_if(self, name: &str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.header(name, value),
            None => self,
        }
    }

    /// Says whether an object of that key may be replaced.
    pub fn forbid_overwrite(self, overwrite: bool) -> Self {
        self.header_if("x-oss-forbid-overwrite", (!overwrite).then_some("true"))
    }
}

/// What follows the headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// No body: `Content-Length: 0`.
    Empty,
    /// These bytes.
    Bytes(Bytes),
    /// This many bytes, which the caller streams.
    Stream(u64),
}

/// The services that are called in RPC style.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RpcService {
    /// ECS, version 2014-05-26.
    Ecs,
    /// RAM, version 2015-05-01.
    Ram,
    /// STS, version 2015-04-01.
    Sts,
}

impl RpcService {
    /// Returns the API's version, as the `Version` parameter and the `x-acs-version` header carry it.
    pub fn version(self) -> &'static str {
        match self {
            Self::Ecs => "2014-05-26",
            Self::Ram => "2015-05-01",
            Self::Sts => "2015-04-01",
        }
    }
}

/// A call of an RPC-style service. All parameters travel in the query of a POST with an empty body.
#[derive(Clone)]
pub struct RpcRequest {
    /// Which service.
    pub service: RpcService,
    /// `Action`, such as `ImportImage`.
    pub action: &'static str,
    /// The region whose endpoint is called; RAM has none.
    pub region: Option<Region>,
    /// Business parameters, flattened (`DiskDeviceMapping.1.OSSBucket`) and decoded; `RegionId` among them.
    pub params: Vec<(String, String)>,
    /// Whether the call is signed; AssumeRoleWithOIDC is not.
    pub signed: bool,
}

impl fmt::Debug for RpcRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |(name, value): &(String, String)| match name.as_str() {
            "OIDCToken" => (name.clone(), "[redacted]".to_owned()),
            _ => (name.clone(), value.clone()),
        };
        f.debug_struct("RpcRequest")
            .field("service", &self.service)
            .field("action", &self.action)
            .field("region", &self.region)
            .field("params", &self.params.iter().map(shown).collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
