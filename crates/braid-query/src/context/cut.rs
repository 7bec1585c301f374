//! Cutting a text so that it fits.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use super::wanted::WantedTerms;

/// Texts of more sentences are cut at their beginning: looking at every run would take too long.
const MOST_SENTENCES: usize = 64;

/// Sentences that are kept around those with the query's terms: an answer may stand beside the words that
/// the question shares with it. On 3,000 questions of squad outside its sample, 0, 1 and 2 did alike.
const AROUND: usize = 1;

/// A part of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part<'t> {
    /// How many of the wanted terms are in it; none where it is no whole sentence.
    pub(super) terms: u32,
    /// The byte it starts at.
    pub(super) start: usize,
    pub(super) text: &'t str,
}

impl<'t> Part<'t> {
    /// What `text` begins with, where not even a sentence of it fits.
    fn of_words(text: &'t str) -> Self {
        Self {
            terms: 0,
            start: 0,
            text,
        }
    }
}

/// A part of `text` that `count` puts at `limit` tokens or fewer: of all runs of whole sentences that fit, one that has most of the
/// `wanted` terms, without the sentences at its ends that it has them without, but for [`AROUND`] more; the
/// shortest of those, and the first of equal ones. Where no sentence has any, those that it begins with, and
/// where not even one fits, the whole words. Trailing whitespace is left out.
pub(super) fn best_part<'t>(
    text: &'t str,
    limit: usize,
    wanted: &WantedTerms,
    count: impl Fn(&str) -> usize,
) -> Option<Part<'t>> {
    let sentences: Vec<(usize, &str)> = text.split_sentence_bound_indices().collect();
    if sentences.len() > MOST_SENTENCES {
        return longest_prefix(text, limit, count).map(|text| Part {
            terms: wanted.found_in(text).count_ones(),
            start: 0,
            text,
        });
    }
    let found: Vec<u64> = sentences
        .iter()
        .map(|(_, sentence)| wanted.found_in(sentence))
        .collect();
    let mut best: Option<Part<'_>> = None;
    let mut end = 0;
    for (first, (start, _)) in sentences.iter().enumerate() {
        let fits = |last: usize| {
            let (at, sentence) = sentences[last];
            count(text[*start..at + sentence.len()].trim_end()) <= limit
        };
        end = end.max(first);
        while end < sentences.len() && fits(end) {
            end += 1;
        }
        if end == first {
            continue;
        }
        let terms = union(&found[first..end]).count_ones();
        let needed = needed(&found[first..end]);
        let (start, _) = sentences[first + needed.start];
        let (at, sentence) = sentences[first + needed.end - 1];
        let run = text[start..at + sentence.len()].trim_end();
        let is_better = best.is_none_or(|best| {
            let is_shorter = terms > 0 && terms == best.terms && run.len() < best.text.len();
            terms > best.terms || is_shorter
        });
        if is_better && !run.trim().is_empty() {
            best = Some(Part {
                terms,
                start,
                text: run,
            });
        }
        if end == sentences.len() {
            break;
        }
    }
    best.or_else(|| longest_words(text, limit, count).map(Part::of_words))
}

/// The sentences of a run that its terms are in, and [`AROUND`] more to either side; all where it has none.
fn needed(found: &[u64]) -> Range<usize> {
    let all = union(found);
    if all == 0 {
        return 0..found.len();
    }
    let (mut start, mut end) = (0, found.len());
    while union(&found[start..end - 1]) == all {
        end -= 1;
    }
    while union(&found[start + 1..end]) == all {
        start += 1;
    }
    start.saturating_sub(AROUND)..(end + AROUND).min(found.len())
}

fn union(found: &[u64]) -> u64 {
    found.iter().fold(0, |all, one| all | one)
}

/// The longest prefix that fits: whole sentences, or whole words where not even one sentence fits.
fn longest_prefix(text: &str, limit: usize, count: impl Fn(&str) -> usize) -> Option<&str> {
    fitting(
        text,
        limit,
        ends(text.split_sentence_bound_indices()),
        &count,
    )
    .or_else(|| longest_words(text, limit, count))
}

fn longest_words(text: &str, limit: usize, count: impl Fn(&str) -> usize) -> Option<&str> {
    fitting(text, limit, ends(text.split_word_bound_indices()), &count)
}

fn fitting<'t>(
    text: &'t str,
    limit: usize,
    ends: Vec<usize>,
    count: &impl Fn(&str) -> usize,
) -> Option<&'t str> {
    // A longer prefix never has fewer tokens, so the ends that fit come first.
    let fit = ends.partition_point(|end| count(text[..*end].trim_end()) <= limit);
    let longest = ends[..fit].last().map(|end| text[..*end].trim_end());
    longest.filter(|prefix| !prefix.trim().is_empty())
}

fn ends<'a>(parts: impl Iterator<Item = (usize, &'a str)>) -> Vec<usize> {
    parts.map(|(start, part)| start + part.len()).collect()
}

#[cfg(test)]
mod tests {
    use braid_core::Language;

    use super::*;

    fn words(text: &str) -> usize {
        text.split_whitespace().count()
    }

    #[test]
    fn cuts_at_a_sentence_else_at_a_word() {
        let text = "One two three. Four five. Six";
        let nothing = WantedTerms::none();
        let cut = |limit| best_part(text, limit, &nothing, words).map(|part| part.text);
        assert_eq!(cut(9), Some(text));
        assert_eq!(cut(5), Some("One two three. Four five."));
        assert_eq!(cut(4), Some("One two three."));
        assert_eq!(
            cut(2),
            Some("Four five."),
            "a whole sentence rather than a part of one"
        );
        assert_eq!(cut(1), Some("Six"));
        assert_eq!(
            best_part("One two three.", 2, &nothing, words),
            Some(Part::of_words("One two"))
        );
        assert_eq!(cut(0), None);
    }

    #[test]
    fn the_sentences_with_the_terms_of_the_query_are_kept() {
        let text = "Cats sleep. Foxes hunt mice. Owls hunt at night. Dogs bark.";
        let wanted = WantedTerms::new("When does an owl hunt?", Language::English);
        let cut = |limit| {
            let part = best_part(text, limit, &wanted, words)?;
            Some((part.terms, part.start, part.text))
        };
        let around = "Foxes hunt mice. Owls hunt at night. Dogs bark.";
        assert_eq!(
            cut(99),
            Some((2, 12, around)),
            "and one sentence to either side"
        );
        assert_eq!(cut(4), Some((2, 29, "Owls hunt at night.")));
        assert_eq!(cut(6), Some((2, 29, "Owls hunt at night. Dogs bark.")));
        assert_eq!(
            cut(7),
            Some((2, 29, "Owls hunt at night. Dogs bark.")),
            "the shortest of those with most"
        );
        assert_eq!(cut(1), Some((0, 0, "Cats")));
    }

    #[test]
    fn very_many_sentences_are_cut_at_the_beginning() {
        let text = "Ox. ".repeat(100) + "Owls hunt.";
        let wanted = WantedTerms::new("owls", Language::English);
        let part = best_part(&text, 2, &wanted, words);
        assert_eq!(part, Some(Part::of_words("Ox. Ox.")));
    }
}
