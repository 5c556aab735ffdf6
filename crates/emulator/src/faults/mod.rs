//! What goes wrong on purpose: a plan of rules, by operation, part and attempt.
//!
//! ```json
//! {
//!   "rules": [
//!     {"operation": "UploadPart", "part": 7, "attempts": [2, 2],
//!      "fault": {"kind": "status", "status": 503, "code": "ServiceUnavailable"}},
//!     {"operation": "CompleteMultipartUpload", "times": 1,
//!      "fault": {"kind": "reset", "when": "after_commit"}}
//!   ]
//! }
//! ```

mod body;
mod plan;
mod script;

pub use plan::{Fault, FaultPlan, FaultPlanError, FaultRule, When};
pub(super) use script::{InjectedError, RequestKey, Script, Stop};
