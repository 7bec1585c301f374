//! Refuses pages on which the library would call itself without end.
//!
//! It looks for what a page inherits up the page tree and draws forms within forms, neither with a
//! limit. A tree whose parents go round, or a form that draws itself, ends the process with its stack,
//! which nothing can catch; so they are looked for before a page is read.

use std::collections::HashMap;

use pdf_extract::content::Content;
use pdf_extract::{Dictionary, Document, Object, ObjectId, Stream};

/// Most levels of the page tree above a page.
const MAX_TREE_DEPTH: usize = 64;
/// Most forms within each other.
const MAX_FORM_DEPTH: usize = 16;
/// Most times that forms within the forms of a page are drawn: each level can multiply the work of
/// the one above.
const MAX_NESTED_FORMS: usize = 2_000;

/// Looks at the pages of one document.
pub(super) struct Guard<'d> {
    document: &'d Document,
    /// Names that a form draws, by form: what it needs decoding to know.
    drawn: HashMap<ObjectId, Vec<Vec<u8>>>,
}

impl<'d> Guard<'d> {
    pub(super) fn new(document: &'d Document) -> Self {
        Self {
            document,
            drawn: HashMap::new(),
        }
    }

    /// Whether reading the page comes to an end.
    pub(super) fn admits(&mut self, page: ObjectId) -> bool {
        let document = self.document;
        let Ok(page) = document.get_dictionary(page) else {
            // Reading it fails, which is an end.
            return true;
        };
        let is_box = |object: &Object| object.as_array().is_ok();
        let is_dictionary = |object: &Object| object.as_dict().is_ok();
        let media_box = self.inherited(page, b"MediaBox", is_box);
        let resources = self.inherited(page, b"Resources", is_dictionary);
        match (media_box, resources) {
            (Inherited::Endless, _) | (_, Inherited::Endless) => false,
            (_, Inherited::Missing) => true,
            (_, Inherited::Found(resources)) => match resources.as_dict() {
                Ok(resources) => self.draws_forms_to_an_end(resources),
                Err(_) => true,
            },
        }
    }

    /// An attribute of a page, or of the nearest node above it that has one of that kind.
    fn inherited(
        &self,
        page: &'d Dictionary,
        key: &[u8],
        is_kind: impl Fn(&Object) -> bool,
    ) -> Inherited<'d> {
        let mut node = page;
        for _ in 0..MAX_TREE_DEPTH {
            let own = node.get(key).ok().and_then(|own| self.resolved(own));
            if let Some(found) = own.filter(|own| is_kind(own)) {
                return Inherited::Found(found);
            }
            let parent = node.get(b"Parent").and_then(Object::as_reference);
            match parent.and_then(|parent| self.document.get_dictionary(parent)) {
                Ok(parent) => node = parent,
                Err(_) => return Inherited::Missing,
            }
        }
        Inherited::Endless
    }

    fn resolved(&self, object: &'d Object) -> Option<&'d Object> {
        self.document
            .dereference(object)
            .ok()
            .map(|(_, object)| object)
    }

    /// Whether drawing everything that the resources of a page name comes to an end, and soon.
    fn draws_forms_to_an_end(&mut self, resources: &Dictionary) -> bool {
        let mut left = MAX_NESTED_FORMS;
        let named = self.forms(resources);
        let named = named.iter().flat_map(|forms| forms.iter());
        let ids: Vec<ObjectId> = named
            .filter_map(|(_, form)| form.as_reference().ok())
            .collect();
        ids.iter()
            .all(|form| self.draws(*form, resources, MAX_FORM_DEPTH, &mut left))
    }

    /// Draws a form as the library would, without its text. Not to an end: `false`.
    fn draws(
        &mut self,
        form: ObjectId,
        outer: &Dictionary,
        depth: usize,
        left: &mut usize,
    ) -> bool {
        let document = self.document;
        let Ok(stream) = document.get_object(form).and_then(Object::as_stream) else {
            return true;
        };
        let own = stream.dict.get(b"Resources").ok();
        let own = own.and_then(|own| self.resolved(own)?.as_dict().ok());
        let resources = own.unwrap_or(outer);
        let drawn = self.drawn_by(form, stream);
        let Some(forms) = self.forms(resources).filter(|_| !drawn.is_empty()) else {
            return true;
        };
        for name in &drawn {
            let Ok(next) = forms.get(name).and_then(Object::as_reference) else {
                continue;
            };
            let (Some(fewer), Some(deeper)) = (left.checked_sub(1), depth.checked_sub(1)) else {
                return false;
            };
            *left = fewer;
            if !self.draws(next, resources, deeper, left) {
                return false;
            }
        }
        true
    }

    /// The forms, and images, that resources name.
    fn forms<'r>(&self, resources: &'r Dictionary) -> Option<&'r Dictionary>
    where
        'd: 'r,
    {
        let forms = resources.get(b"XObject").ok()?;
        match forms.as_reference() {
            Ok(id) => self.document.get_dictionary(id).ok(),
            Err(_) => forms.as_dict().ok(),
        }
    }

    fn drawn_by(&mut self, form: ObjectId, stream: &Stream) -> Vec<Vec<u8>> {
        let drawn = self.drawn.entry(form).or_insert_with(|| drawn(stream));
        drawn.clone()
    }
}

enum Inherited<'d> {
    Found(&'d Object),
    Missing,
    Endless,
}

/// Names that the content of a stream draws.
fn drawn(stream: &Stream) -> Vec<Vec<u8>> {
    let plain = || stream.content.clone();
    let content = match stream.filters() {
        Ok(_) => stream.decompressed_content().unwrap_or_else(|_| plain()),
        Err(_) => plain(),
    };
    let operations = Content::decode(&content).map_or_else(|_| Vec::new(), |it| it.operations);
    let drawn = operations.iter().filter(|it| it.operator == "Do");
    let names = drawn.filter_map(|it| it.operands.first()?.as_name().ok());
    names.map(<[u8]>::to_vec).collect()
}
