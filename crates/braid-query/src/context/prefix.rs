//! Cutting a text so that it fits.

use unicode_segmentation::UnicodeSegmentation;

/// The longest prefix of `text` that `count` puts at `limit` tokens or fewer: whole sentences, or
/// whole words where not even one sentence fits. Trailing whitespace is left out.
pub(super) fn longest_prefix(
    text: &str,
    limit: usize,
    count: impl Fn(&str) -> usize,
) -> Option<&str> {
    let fitting = |ends: Vec<usize>| {
        // A longer prefix never has fewer tokens, so the ends that fit come first.
        let fit = ends.partition_point(|end| count(text[..*end].trim_end()) <= limit);
        let longest = ends[..fit].last().map(|end| text[..*end].trim_end());
        longest.filter(|prefix| !prefix.trim().is_empty())
    };
    fitting(ends(text.split_sentence_bound_indices()))
        .or_else(|| fitting(ends(text.split_word_bound_indices())))
}

fn ends<'a>(parts: impl Iterator<Item = (usize, &'a str)>) -> Vec<usize> {
    parts.map(|(start, part)| start + part.len()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_at_a_sentence_else_at_a_word() {
        let text = "One two three. Four five. Six";
        let cut = |limit| longest_prefix(text, limit, |text| text.split_whitespace().count());
        assert_eq!(cut(9), Some(text));
        assert_eq!(cut(5), Some("One two three. Four five."));
        assert_eq!(cut(4), Some("One two three."));
        assert_eq!(cut(2), Some("One two"));
        assert_eq!(cut(0), None);
    }
}
