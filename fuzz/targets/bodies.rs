//! Drives one body of `ossup::fuzz` with a fuzzer:
//!
//!     OSSUP_FUZZ_BODY=journal cargo fuzz run bodies -- -max_total_time=20
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

static BODY: LazyLock<ossup::fuzz::Body> = LazyLock::new(|| {
    let name = std::env::var("OSSUP_FUZZ_BODY").expect("OSSUP_FUZZ_BODY names a body of ossup::fuzz::BODIES");
    let body = ossup::fuzz::BODIES.iter().find(|(known, _)| *known == name);
    body.unwrap_or_else(|| panic!("there is no body `{name}`")).1
});

fuzz_target!(|bytes: &[u8]| BODY(bytes));
