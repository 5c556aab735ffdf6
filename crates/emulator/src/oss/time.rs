//! Times as OSS writes them.

use jiff::Timestamp;
use jiff::fmt::rfc2822::{DateTimeParser, DateTimePrinter};

/// Returns `Wed, 01 Jan 2025 00:04:05 GMT`.
pub(crate) fn http_date(time: Timestamp) -> String {
    DateTimePrinter::new().timestamp_to_rfc9110_string(&time).expect("years of timestamps have four digits")
}

/// Reads an HTTP date.
pub(crate) fn parse_http_date(text: &str) -> Option<Timestamp> {
    DateTimeParser::new().parse_timestamp(text).ok()
}

/// Returns `2025-01-01T00:04:05.000Z`. OSS returns whole seconds, and its first SDK reads nothing else.
pub(crate) fn iso(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_oss_does() {
        let time: Timestamp = "2025-01-01T00:04:05.678Z".parse().unwrap();
        assert_eq!(http_date(time), "Wed, 01 Jan 2025 00:04:05 GMT");
        assert_eq!(iso(time), "2025-01-01T00:04:05.000Z");
        assert_eq!(parse_http_date("Wed, 01 Jan 2025 00:04:05 GMT"), "2025-01-01T00:04:05Z".parse().ok());
        assert_eq!(parse_http_date("yesterday"), None);
    }
}
