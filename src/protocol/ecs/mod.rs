//! ECS OpenAPI 2014-05-26: the actions that make, follow, copy, share and delete custom images.
