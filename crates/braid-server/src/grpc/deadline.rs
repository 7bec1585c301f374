//! `grpc-timeout`: how long a client waits.

use std::time::Duration;

use axum::http::HeaderMap;
use braid_core::{Error, Result};

use crate::admission::Within;

/// How long the client waits for the answer, if it says.
///
/// # Errors
/// `InvalidRequest` where it is not what the protocol says: up to 8 digits and a unit.
pub(super) fn of(headers: &HeaderMap) -> Result<Option<Within>> {
    let Some(value) = headers.get("grpc-timeout") else {
        return Ok(None);
    };
    let parsed = value.to_str().ok().and_then(parse);
    let refused =
        || Error::invalid("grpc-timeout must be 1 to 8 digits and one of the units H M S m u n");
    parsed.map(Within).map(Some).ok_or_else(refused)
}

fn parse(text: &str) -> Option<Duration> {
    let digits = text.len().checked_sub(1)?;
    let (digits, unit) = text.split_at_checked(digits)?;
    let is_number = (1..=8).contains(&digits.len()) && digits.bytes().all(|it| it.is_ascii_digit());
    let amount: u64 = digits.parse().ok().filter(|_| is_number)?;
    match unit {
        "H" => Some(Duration::from_secs(amount * 60 * 60)),
        "M" => Some(Duration::from_secs(amount * 60)),
        "S" => Some(Duration::from_secs(amount)),
        "m" => Some(Duration::from_millis(amount)),
        "u" => Some(Duration::from_micros(amount)),
        "n" => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_as_the_protocol_says() {
        assert_eq!(parse("1H"), Some(Duration::from_secs(3600)));
        assert_eq!(parse("2M"), Some(Duration::from_secs(120)));
        assert_eq!(parse("3S"), Some(Duration::from_secs(3)));
        assert_eq!(parse("40m"), Some(Duration::from_millis(40)));
        assert_eq!(parse("5u"), Some(Duration::from_micros(5)));
        assert_eq!(parse("99999999n"), Some(Duration::from_nanos(99_999_999)));
        for bad in ["", "S", "10", "123456789S", "-1S", "+1S", "1 S", "1s", "1é"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
