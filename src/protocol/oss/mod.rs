//! OSS: one file per operation, each named after its page in the API reference.
