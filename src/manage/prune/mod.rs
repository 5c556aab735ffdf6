//! Old images go, in many regions at once: first what goes and what stays is decided and can be shown, then it is done.

mod plan;
mod run;

pub use plan::{Going, Judged, PruneRules, PruneScope, Staying, Verdict, judge};
pub use run::{PrunePlan, Pruned, PrunedImage};
