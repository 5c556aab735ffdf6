use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use super::*;
use crate::protocol::{Operation, Request, Response};

/// Returns a good answer of this body.
pub(super) fn answer(body: &str) -> Response {
    let body = Bytes::copy_from_slice(body.as_bytes());
    Response { status: StatusCode::OK, headers: HeaderMap::new(), body }
}

/// Returns an operation's parameters as `name=value`, checking that it names itself and its region alike.
pub(super) fn params(operation: &impl Operation) -> Vec<String> {
    let Request::Rpc(request) = operation.request() else {
        panic!("{} is not an RPC call", operation.name())
    };
    assert_eq!(request.action, operation.name());
    assert!(request.signed);
    if let Some(region) = &request.region {
        assert!(request.params.contains(&("RegionId".to_owned(), region.to_string())));
    }
    request.params.iter().map(|(name, value)| format!("{name}={value}")).collect()
}

#[test]
fn short_actions_send_what_their_pages_name() {
    let region: crate::model::Region = "cn-beijing".parse().unwrap();
    let image: crate::model::ImageId = "m-1".parse().unwrap();
    let task: crate::model::TaskId = "t-1".parse().unwrap();
    let of_image = ["RegionId=cn-beijing", "ImageId=m-1"];
    assert_eq!(params(&CancelTask::new(region.clone(), task)), ["RegionId=cn-beijing", "TaskId=t-1"]);
    assert_eq!(params(&CancelCopyImage::new(region.clone(), image.clone())), of_image);
    assert_eq!(params(&DeleteImage::new(region.clone(), image.clone())), of_image);
    let snapshot = "s-1".parse().unwrap();
    assert_eq!(
        params(&DeleteSnapshot::new(region.clone(), snapshot)),
        ["RegionId=cn-beijing", "SnapshotId=s-1"]
    );
    let forced = DeleteInstance::forced(region, "i-1".parse().unwrap());
    assert_eq!(params(&forced), ["RegionId=cn-beijing", "InstanceId=i-1", "Force=true"]);
}
