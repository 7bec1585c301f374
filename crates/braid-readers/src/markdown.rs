//! Markdown: front matter and title.

use braid_core::{ExtractedText, Markup};
use braid_text::markdown::headings;

/// The text without its front matter, titled by the front matter's `title`, else by the first
/// level-one heading.
pub(crate) fn extract(raw: &str) -> ExtractedText {
    let (front_matter, text) = split_front_matter(raw);
    let title = front_matter
        .and_then(front_matter_title)
        .or_else(|| first_h1(text));
    ExtractedText {
        text: text.to_owned(),
        markup: Markup::Markdown,
        title,
    }
}

fn first_h1(text: &str) -> Option<String> {
    headings(text)
        .into_iter()
        .find(|heading| heading.level == 1 && !heading.title.is_empty())
        .map(|heading| heading.title)
}

/// Splits off YAML (`---`) or TOML (`+++`) front matter. Text that opens with a rule and never
/// closes it, or has an empty line or no key right below it, is not front matter.
fn split_front_matter(raw: &str) -> (Option<&str>, &str) {
    let whole = (None, raw);
    let Some((first, rest)) = raw.split_once('\n') else {
        return whole;
    };
    let fence = first.trim_end();
    if fence != "---" && fence != "+++" {
        return whole;
    }
    let opens_with_key = rest.lines().next().is_some_and(|line| {
        line.trim_end() == fence
            || line.contains(':')
            || line.contains('=')
            || line.starts_with('#')
    });
    if !opens_with_key {
        return whole;
    }
    let mut end = 0;
    for line in rest.split_inclusive('\n') {
        let is_end = line.trim_end() == fence || (fence == "---" && line.trim_end() == "...");
        if is_end {
            return (Some(&rest[..end]), &rest[end + line.len()..]);
        }
        end += line.len();
    }
    whole
}

/// The value of a top-level `title: ...` or `title = ...` line.
fn front_matter_title(front_matter: &str) -> Option<String> {
    front_matter.lines().find_map(|line| {
        let value = line.strip_prefix("title")?.trim_start();
        let value = value
            .strip_prefix(':')
            .or_else(|| value.strip_prefix('='))?;
        let title = unquote(value.trim());
        (!title.is_empty()).then_some(title)
    })
}

fn unquote(value: &str) -> String {
    for quote in ['"', '\''] {
        let inner = value
            .strip_prefix(quote)
            .and_then(|rest| rest.strip_suffix(quote));
        if let Some(inner) = inner {
            return inner.replace("\\\"", "\"").replace("''", "'");
        }
    }
    value.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(raw: &str, title: Option<&str>, text: &str) {
        let read = extract(raw);
        assert_eq!(read.title.as_deref(), title);
        assert_eq!(read.text, text);
        assert_eq!(read.markup, Markup::Markdown);
    }

    #[test]
    fn the_first_level_one_heading_is_the_title() {
        check(
            "intro\n\n## A\n\n# The *title*\n# B\n",
            Some("The title"),
            "intro\n\n## A\n\n# The *title*\n# B\n",
        );
        check("```\n# code\n```\n", None, "```\n# code\n```\n");
    }

    #[test]
    fn front_matter_is_cut_off_and_its_title_wins() {
        check(
            "---\ntags: [a]\ntitle: \"A \\\"b\\\"\"\n---\n# C\n",
            Some("A \"b\""),
            "# C\n",
        );
        check("---\r\ntitle: 'It''s'\r\n---\r\ntext", Some("It's"), "text");
        check("+++\ntitle = \"T\"\n+++\ntext", Some("T"), "text");
        check("---\ntags: x\n...\n# C", Some("C"), "# C");
        check("---\n---\ntext", None, "text");
    }

    #[test]
    fn a_rule_is_not_front_matter() {
        for text in [
            "---\n\nparagraph\n\n---\n",
            "---\nkey: never closed\n",
            "---",
            "--- \nplain words\n---\n",
        ] {
            check(text, None, text);
        }
    }
}
