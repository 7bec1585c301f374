//! Bytes of a file to text.

/// Decodes UTF-8, or UTF-16 with a byte order mark; the mark is dropped.
///
/// # Errors
/// The reason, with the offset of the first bad byte.
pub fn decode(bytes: Vec<u8>) -> Result<String, String> {
    if let Some(rest) = bytes.strip_prefix(b"\xff\xfe") {
        return decode_utf16(rest, u16::from_le_bytes);
    }
    if let Some(rest) = bytes.strip_prefix(b"\xfe\xff") {
        return decode_utf16(rest, u16::from_be_bytes);
    }
    let mut text = String::from_utf8(bytes).map_err(|error| {
        format!(
            "not valid UTF-8 at byte {}",
            error.utf8_error().valid_up_to()
        )
    })?;
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    Ok(text)
}

fn decode_utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, String> {
    let (pairs, odd) = bytes.as_chunks::<2>();
    if !odd.is_empty() {
        return Err(format!(
            "not valid UTF-16: ends within a character at byte {}",
            bytes.len() + 1
        ));
    }
    let mut at = 2;
    let mut text = String::with_capacity(bytes.len());
    for decoded in char::decode_utf16(pairs.iter().map(|pair| unit(*pair))) {
        let c = decoded.map_err(|_unpaired| format!("not valid UTF-16 at byte {at}"))?;
        at += 2 * c.len_utf16();
        text.push(c);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_are_told_apart_by_their_mark() {
        let utf16 = |text: &str, unit: fn(u16) -> [u8; 2]| {
            let units = std::iter::once(0xfeff).chain(text.encode_utf16());
            units.flat_map(unit).collect::<Vec<u8>>()
        };
        assert_eq!(decode(b"a\xc3\xa9".to_vec()).unwrap(), "aé");
        assert_eq!(decode(b"\xef\xbb\xbfa".to_vec()).unwrap(), "a");
        assert_eq!(decode(utf16("é😀", u16::to_le_bytes)).unwrap(), "é😀");
        assert_eq!(decode(utf16("é😀", u16::to_be_bytes)).unwrap(), "é😀");
    }

    #[test]
    fn bad_bytes_are_located() {
        assert_eq!(
            decode(b"ab\xe9d".to_vec()).unwrap_err(),
            "not valid UTF-8 at byte 2"
        );
        let odd = decode(b"\xff\xfea\0b".to_vec()).unwrap_err();
        assert_eq!(odd, "not valid UTF-16: ends within a character at byte 4");
        let unpaired = decode(b"\xff\xfea\0\0\xd8b\0".to_vec()).unwrap_err();
        assert_eq!(unpaired, "not valid UTF-16 at byte 4");
    }
}
