//! Numbers on the wire: `f64`, without silent loss.

use serde::{Serializer, de};

/// Integers up to this are exact in an `f64`.
const EXACT: u64 = 1 << 53;

/// Writes a whole number without a fraction, as it was handed in.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes fields by reference"
)]
pub(super) fn serialize<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if number.fract() == 0.0 && number.abs() <= EXACT as f64 {
        serializer.serialize_i64(*number as i64)
    } else {
        serializer.serialize_f64(*number)
    }
}

/// The number an unsigned integer stands for.
pub(super) fn from_unsigned<E: de::Error>(number: u64) -> Result<f64, E> {
    if number > EXACT {
        return Err(E::custom(
            "an integer beyond 2^53 would lose digits; send it as a string",
        ));
    }
    Ok(number as f64)
}

/// The number a signed integer stands for.
pub(super) fn from_signed<E: de::Error>(number: i64) -> Result<f64, E> {
    let size = from_unsigned(number.unsigned_abs())?;
    Ok(if number < 0 { -size } else { size })
}
