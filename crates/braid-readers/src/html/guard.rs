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

/// Elements that an end tag within does not reach out of.
const BOUNDARIES: [&str; 9] = [
    "applet",
    "foreignobject",
    "marquee",
    "math",
    "object",
    "select",
    "svg",
    "table",
    "template",
];

pub(super) fn check(html: &str) -> Result<()> {
    let mut open = Open::default();
    let mut formatting = Formatting::default();
    let mut copies = 0_usize;
    let mut tags = Tags::of(html);
    while let Some(TagName { name, is_end }) = tags.next() {
        let formats = FORMATTING.iter().position(|known| *known == name);
        match (formats, is_end) {
            (Some(which), true) => formatting.end(which),
            (Some(which), false) => formatting.start(which),
            (None, _) => {}
        }
        match (UNCOUNTED.contains(&name.as_str()), is_end) {
            (true, _) => {}
            (false, true) => open.end(&name),
            (false, false) => open.names.push(name),
        }
        copies += formatting.count.saturating_sub(USUAL_FORMATTING);
        if open.names.len() > MAX_DEPTH {
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

/// The elements that are open, as a parser sees it: an end tag closes what was opened since, and
/// nothing where nothing of its name is open.
#[derive(Default)]
struct Open {
    names: Vec<String>,
}

impl Open {
    fn end(&mut self, name: &str) {
        for (at, open) in self.names.iter().enumerate().rev() {
            if open == name {
                self.names.truncate(at);
                return;
            }
            if BOUNDARIES.contains(&open.as_str()) {
                return;
            }
        }
    }
}

/// Formatting elements that are open: the end of what they are in does not close them.
#[derive(Default)]
struct Formatting {
    open: [usize; FORMATTING.len()],
    count: usize,
}

impl Formatting {
    fn start(&mut self, which: usize) {
        self.open[which] += 1;
        self.count += 1;
    }

    fn end(&mut self, which: usize) {
        if self.open[which] > 0 {
            self.open[which] -= 1;
            self.count -= 1;
        }
    }
}

struct TagName {
    name: String,
    is_end: bool,
}

/// The tags that are left of a text.
struct Tags<'h> {
    rest: &'h str,
    /// Raw elements whose end tag does not come any more: it is looked for once.
    unclosed: [bool; RAW.len()],
}

impl<'h> Tags<'h> {
    fn of(html: &'h str) -> Self {
        Self {
            rest: html,
            unclosed: [false; RAW.len()],
        }
    }

    /// The next start or end tag; comments and raw content are passed over.
    fn next(&mut self) -> Option<TagName> {
        loop {
            let (_, after) = self.rest.split_once('<')?;
            self.rest = after;
            if let Some(comment) = after.strip_prefix("!--") {
                self.rest = comment.split_once("-->").map_or("", |(_, after)| after);
                continue;
            }
            let (is_end, name) = match after.strip_prefix('/') {
                Some(name) => (true, name),
                None => (false, after),
            };
            if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
                continue;
            }
            // A name holds whatever comes before its end, `<` too.
            let end = name.find(|c: char| c.is_whitespace() || c == '>' || c == '/');
            let (name, rest) = name.split_at(end.unwrap_or(name.len()));
            self.rest = rest;
            let name = name.to_ascii_lowercase();
            match RAW.iter().position(|raw| *raw == name) {
                Some(which) if !is_end => self.pass_over(which),
                Some(_) | None => return Some(TagName { name, is_end }),
            }
        }
    }

    /// Goes on behind the end tag of a raw element, or right here where there is none.
    fn pass_over(&mut self, which: usize) {
        if self.unclosed[which] {
            return;
        }
        match after_raw(self.rest, RAW[which]) {
            Some(after) => self.rest = after,
            None => self.unclosed[which] = true,
        }
    }
}

/// What follows the end tag of a raw element, if there is one.
fn after_raw<'h>(html: &'h str, name: &str) -> Option<&'h str> {
    let mut rest = html;
    while let Some((_, after)) = rest.split_once("</") {
        let is_end = after
            .get(..name.len())
            .is_some_and(|found| found.eq_ignore_ascii_case(name));
        if is_end {
            return Some(&after[name.len()..]);
        }
        rest = after;
    }
    None
}
