//! The numbers of OSS ("Limits", "UploadPart" and "CompleteMultipartUpload" pages). Sizes are in bytes.

/// Largest part number; also the largest count of parts of one upload.
pub const MAX_PARTS: u16 = 10_000;
/// Smallest size of a part that is not the last one (100 KiB; checked by the service at Complete).
pub const MIN_PART_SIZE: u64 = 100 * 1024;
/// Largest size of a part (5 GiB).
pub const MAX_PART_SIZE: u64 = 5 << 30;
/// Largest object that multipart upload can make (48.8 TiB).
pub const MAX_OBJECT_SIZE: u64 = MAX_PARTS as u64 * MAX_PART_SIZE;
/// Largest body of PutObject, and the largest appendable object (5 GiB).
pub const MAX_PUT_SIZE: u64 = 5 << 30;
/// Largest source of CopyObject (1 GiB).
pub const MAX_COPY_SIZE: u64 = 1 << 30;
/// Longest object key in bytes of UTF-8.
pub const MAX_KEY_BYTES: usize = 1023;
/// Largest page of every listing.
pub const MAX_LIST_PAGE: u16 = 1000;
/// How far a request's time may be from the server's, in seconds, either way.
pub const MAX_CLOCK_SKEW_SECONDS: i64 = 15 * 60;
/// Longest validity of a V4 presigned URL in seconds (7 days).
pub const MAX_PRESIGN_SECONDS: u64 = 604_800;
