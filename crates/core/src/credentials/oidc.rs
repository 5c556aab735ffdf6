use std::path::PathBuf;

use crate::model::Secret;

/// The audience of tokens that are asked for at an endpoint, if no other is set: that of the vendor's own action for
/// GitHub (`aliyun/configure-aliyun-credentials-action`), so that a provider in RAM that was set up for it serves.
pub const DEFAULT_AUDIENCE: &str = "github-actions";

/// Where the token of an identity provider comes from, by which a role is assumed without any key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OidcToken {
    /// A file, to be read again for each request since the token in it rotates.
    File(PathBuf),
    /// A token that was given and that nobody renews, such as one of GitLab's `id_tokens`.
    Given {
        /// The token.
        token: Secret,
        /// Where it was found, for people: "the variable `OSS_ID_TOKEN`".
        origin: String,
    },
    /// An endpoint that gives a new token whenever it is asked: GitHub Actions.
    Endpoint {
        /// Its URL, query included.
        url: Secret,
        /// What it wants to see, as a bearer token.
        request_token: Secret,
        /// The audience of the token.
        audience: String,
    },
}

impl OidcToken {
    /// Returns where the token comes from, for people.
    pub fn describe(&self) -> String {
        match self {
            Self::File(path) => format!("the OIDC token file `{}`", path.display()),
            Self::Given { origin, .. } => format!("the OIDC token in {origin}, which cannot be renewed"),
            Self::Endpoint { audience, .. } => {
                format!("the OIDC endpoint of GitHub Actions, for the audience `{}`", audience.escape_debug())
            }
        }
    }
}
