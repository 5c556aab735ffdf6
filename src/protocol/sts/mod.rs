//! STS OpenAPI 2015-04-01: temporary credentials of a role.
