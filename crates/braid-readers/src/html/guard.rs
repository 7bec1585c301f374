//! Refuses HTML that would make a parser exhaust stack or memory, before it is parsed.
//!
//! One pass over the tags, which need not be exact: it counts only elements that must be closed, so
//! ordinary documents that leave paragraphs, list items and cells open do not look deep.

use braid_core::Result;

use super::unreadable;

/// Most levels of open elements, the limit of browsers.
const MAX_DEPTH: usize = 512;

/// Most copies of unclosed formatting elements (`<b>` and the like). A parser opens each anew in
/// every following block, so that a small document can become a tree of billions of nodes.
const MAX_COPIES: usize = 1_000_000;

/// Formatting elements within each other that are no reason to count.
const USUAL_FORMATTING: usize = 8;

/// Elements without content, and those whose end tag may be left out.
const UNCOUNTED: [&str; 35] = [
    "area", "base", "body", "br", "caption", "col", "colgroup", "dd", "dt", "embed", "head", "hr",
    "html", "img", "input", "li", "link", "meta", "optgroup", "option", "p", "param", "rb", "rp",
    "rt", "rtc", "source", "tbody", "td", "tfoot", "th", "thead", "tr", "track", "wbr",
];

const FORMATTING: [&str; 14] = [
    "a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u",
];

/// Elements whose content holds no tags.
const RAW: [&str; 5] = ["script", "style", "textarea", "title", "xmp"];

pub(super) fn check(html: &str) -> Result<()> {
    let mut depth = 0_usize;
    let mut formatting = 0_usize;
    let mut copies = 0_usize;
    let mut rest = html;
    while let Some(tag) = next_tag(&mut rest) {
        let step = |count: usize| match tag.is_end {
            true => count.saturating_sub(1),
            false => count + 1,
        };
        if FORMATTING.contains(&tag.name.as_str()) {
            formatting = step(formatting);
        }
        if !UNCOUNTED.contains(&tag.name.as_str()) {
            depth = step(depth);
        }
        copies += formatting.saturating_sub(USUAL_FORMATTING);
        if depth > MAX_DEPTH {
            return Err(unreadable(&format!(
                "elements are nested more than {MAX_DEPTH} deep"
            )));
        }
        if copies > MAX_COPIES {
            return Err(unreadable("too many formatting elements are left open"));
        }
    }
    Ok(())
}

struct TagName {
    name: String,
    is_end: bool,
}

/// The next start or end tag; comments and raw content are passed over.
fn next_tag(rest: &mut &str) -> Option<TagName> {
    loop {
        let (_, after) = rest.split_once('<')?;
        *rest = after;
        if let Some(comment) = after.strip_prefix("!--") {
            *rest = comment.split_once("-->").map_or("", |(_, after)| after);
            continue;
        }
        let (is_end, name) = match after.strip_prefix('/') {
            Some(name) => (true, name),
            None => (false, after),
        };
        if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            continue;
        }
        let end = name.find(|c: char| c.is_whitespace() || c == '>' || c == '/');
        let name = name[..end.unwrap_or(name.len())].to_ascii_lowercase();
        if !is_end && RAW.contains(&name.as_str()) {
            *rest = after_raw(after, &name);
            continue;
        }
        return Some(TagName { name, is_end });
    }
}

/// What follows the end tag of a raw element; all of it where there is none.
fn after_raw<'h>(html: &'h str, name: &str) -> &'h str {
    let mut rest = html;
    while let Some((_, after)) = rest.split_once("</") {
        let is_end = after
            .get(..name.len())
            .is_some_and(|found| found.eq_ignore_ascii_case(name));
        if is_end {
            return &after[name.len()..];
        }
        rest = after;
    }
    html
}
