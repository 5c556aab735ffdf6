//! RAM OpenAPI 2015-05-01: the role that lets ECS read the bucket.
