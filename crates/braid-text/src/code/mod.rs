//! Source code structure: the definitions of a file, by its syntax tree.
//!
//! Trees are tree-sitter's: it reads what is no correct program as well, skipping what it does not
//! understand, so a half-finished file still has structure.

mod effort;
mod grammar;
mod reads;

use std::ops::{ControlFlow, Range};
use std::time::Instant;

use braid_core::CodeLanguage;
use tree_sitter::{Node, ParseOptions, ParseState, Parser, Tree};

pub(crate) use effort::Effort;
use grammar::Role;
pub(crate) use grammar::grammar;
use reads::Reads;

/// Largest text that is parsed, in bytes. A longer one is generated or data; it has no definitions
/// then. A tree takes a few hundred bytes for each of them where it is nothing but brackets.
const MAX_PARSED_BYTES: usize = 512 * 1024;
/// The parser looks up after every hundred steps. Programs that people write have more than a hundred
/// bytes to a look-up; text that is none, of which the parser follows many readings at once, has as few
/// as fifteen, takes a hundred times longer, and is given up as soon as it falls behind.
const BYTES_PER_CHECK: usize = 64;
/// Look-ups that a text may take more than its bytes so far allow.
const FEWEST_CHECKS: usize = 64;
/// Definitions within definitions are looked for so deep.
const MAX_DEPTH: usize = 12;
/// Longest name kept, in characters: names are stored with every chunk below them.
const MAX_NAME_CHARS: usize = 100;

/// A definition, with the comments and attributes right above it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// Its bytes in the text.
    pub range: Range<usize>,
    /// What it is called, one line.
    pub name: String,
    /// What is defined in it, in order.
    pub members: Vec<Definition>,
}

/// The outermost definitions of a text, in order; they do not overlap. None where the text is too
/// long to be parsed, or no program.
pub fn definitions(text: &str, language: CodeLanguage) -> Vec<Definition> {
    definitions_within(text, language, &Effort::of(text.len()))
}

pub(crate) fn definitions_within(
    text: &str,
    language: CodeLanguage,
    effort: &Effort,
) -> Vec<Definition> {
    match parse(text, language, effort) {
        Some(tree) => members(tree.root_node(), text, language, 0),
        None => Vec::new(),
    }
}

/// Whether the syntax of `text` nests no deeper than `limit`. Who asks is about to parse it again, so
/// that its time counts twice.
pub(crate) fn is_shallow(
    text: &str,
    language: CodeLanguage,
    limit: usize,
    effort: &Effort,
) -> bool {
    let start = Instant::now();
    let Some(tree) = parse(text, language, effort) else {
        return false;
    };
    effort.charge(start.elapsed());
    let mut cursor = tree.walk();
    let mut depth = 0;
    loop {
        if cursor.goto_first_child() {
            depth += 1;
            if depth > limit {
                return false;
            }
            continue;
        }
        while !cursor.goto_next_sibling() {
            if !cursor.goto_parent() {
                return true;
            }
            depth -= 1;
        }
    }
}

fn parse(text: &str, language: CodeLanguage, effort: &Effort) -> Option<Tree> {
    if text.len() > MAX_PARSED_BYTES {
        return None;
    }
    effort.spend(|may_go_on| parse_reading(&Reads::of(text), language, may_go_on))
}

fn parse_reading(
    reads: &Reads<'_>,
    language: CodeLanguage,
    may_go_on: &dyn Fn() -> bool,
) -> Option<Tree> {
    let mut parser = Parser::new();
    // Refused only for a grammar of another version than the library's, which a test rules out.
    parser.set_language(&grammar(language)).ok()?;
    // Counted, and timed only far above that: the same text has the same definitions on every machine.
    let mut taken = 0;
    let mut checks = |state: &ParseState| {
        taken += 1;
        let may_take = FEWEST_CHECKS + state.current_byte_offset() / BYTES_PER_CHECK;
        match taken <= may_take && !reads.are_spent() && may_go_on() {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    };
    let options = ParseOptions::new().progress_callback(&mut checks);
    let mut rest = |at: usize, _| reads.read(at);
    let tree = parser.parse_with_options(&mut rest, None, Some(options));
    tree.filter(|_| !reads.are_spent())
}

/// Definitions right in `node`.
fn members(node: Node<'_>, text: &str, language: CodeLanguage, depth: usize) -> Vec<Definition> {
    let mut found: Vec<Definition> = Vec::new();
    let mut cursor = node.walk();
    // Where the comments and attributes begin that belong to what comes next.
    let mut lead: Option<usize> = None;
    let mut last_end = node.start_byte();
    for child in node.children(&mut cursor) {
        let end = end_of(child, text);
        let lines = text[last_end.min(child.start_byte())..child.start_byte()]
            .matches('\n')
            .count();
        if lines > 1 {
            lead = None;
        }
        let before = std::mem::replace(&mut last_end, end);
        if grammar::is_lead(child.kind(), &text[child.byte_range()]) {
            match found.last_mut() {
                // On the line of what it follows.
                Some(last) if lines == 0 && last.range.end == before => last.range.end = end,
                Some(_) | None if lines == 0 && lead.is_none() && before > node.start_byte() => {}
                Some(_) | None => {
                    lead.get_or_insert(child.start_byte());
                }
            }
            continue;
        }
        let begins = lead.take().unwrap_or(child.start_byte());
        if let Some(named) = Named::of(child, text, language) {
            found.push(named.definition(begins, text, language, depth));
        } else if grammar::role(language, child.kind()) != Role::Other && depth < MAX_DEPTH {
            found.extend(members(child, text, language, depth + 1));
        }
    }
    found
}

/// Where a node ends, without the line end that some grammars count to a comment.
fn end_of(node: Node<'_>, text: &str) -> usize {
    node.start_byte() + text[node.byte_range()].trim_end().len()
}

/// A node that defines something.
struct Named<'t> {
    /// The whole statement.
    outer: Node<'t>,
    /// The definition in it: a decorator's or an export's content.
    inner: Node<'t>,
    name: String,
}

impl<'t> Named<'t> {
    fn of(node: Node<'t>, text: &str, language: CodeLanguage) -> Option<Self> {
        let mut inner = node;
        for _ in 0..MAX_DEPTH {
            match grammar::role(language, inner.kind()) {
                Role::Definition => {
                    let name = tidy(&grammar::name(inner, text, language)?);
                    return (!name.is_empty()).then_some(Self {
                        outer: node,
                        inner,
                        name,
                    });
                }
                Role::Wrapper => inner = grammar::wrapped(inner)?,
                Role::Transparent | Role::Other => return None,
            }
        }
        None
    }

    fn definition(
        self,
        start: usize,
        text: &str,
        language: CodeLanguage,
        depth: usize,
    ) -> Definition {
        let body = self.inner.child_by_field_name("body");
        let members = match body {
            Some(body)
                if depth < MAX_DEPTH && grammar::holds_members(language, self.inner.kind()) =>
            {
                members(body, text, language, depth + 1)
            }
            Some(_) | None => Vec::new(),
        };
        Definition {
            range: start..self.outer.end_byte(),
            name: self.name,
            members,
        }
    }
}

/// One line, single spaces, bounded.
fn tidy(name: &str) -> String {
    let words: Vec<&str> = name.split_whitespace().collect();
    words.join(" ").chars().take(MAX_NAME_CHARS).collect()
}

#[cfg(test)]
mod tests;
