//! Synonyms of a collection: what a query's words are also searched for as.

use crate::error::{Error, FieldError, Result};

/// Most rules of one collection.
pub const MAX_SYNONYM_RULES: usize = 1000;
/// Most bytes of one rule.
pub const MAX_SYNONYM_RULE_BYTES: usize = 1024;
/// Most terms of one rule, both sides together.
pub const MAX_SYNONYM_TERMS: usize = 32;
/// Most words of one term.
pub const MAX_SYNONYM_WORDS: usize = 8;

/// One rule: whoever says something of `from` also looks for all of `to`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SynonymRule {
    /// What a query says; of one word or several.
    pub from: Vec<String>,
    /// What it is searched for as well. The same as `from` where all are equivalent.
    pub to: Vec<String>,
}

/// The rules of a collection, in the form of Solr's synonym files: `k8s, kubernetes` makes two terms
/// equivalent, `ml => machine learning` works in one direction. They act on queries alone, so changing
/// them needs no indexing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Synonyms {
    lines: Vec<String>,
    rules: Vec<SynonymRule>,
}

impl Synonyms {
    /// Reads rules, each on a line of its own.
    ///
    /// # Errors
    /// `InvalidRequest` with one field error for each bad rule, by its place: `/3`.
    pub fn parse<S: AsRef<str>>(lines: &[S]) -> Result<Self> {
        let mut fields = Vec::new();
        if lines.len() > MAX_SYNONYM_RULES {
            let detail = format!(
                "{} rules, the limit is {MAX_SYNONYM_RULES}: put equivalent terms into one rule",
                lines.len()
            );
            fields.push(FieldError::new("", detail));
        }
        let mut synonyms = Self::default();
        for (place, line) in lines.iter().take(MAX_SYNONYM_RULES).enumerate() {
            let line = line.as_ref().trim();
            match rule(line) {
                Ok(rule) => {
                    synonyms.lines.push(line.to_owned());
                    synonyms.rules.push(rule);
                }
                Err(detail) => fields.push(FieldError::new(format!("/{place}"), detail)),
            }
        }
        match fields.first() {
            None => Ok(synonyms),
            Some(first) => {
                let message = match first.pointer.strip_prefix('/') {
                    Some(place) => format!("synonym rule {place}: {}", first.detail),
                    None => first.detail.clone(),
                };
                Err(Error::invalid(message).with_fields(fields))
            }
        }
    }

    /// The rules as they were written, without white space around them.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// The rules.
    pub fn rules(&self) -> &[SynonymRule] {
        &self.rules
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}

fn rule(line: &str) -> std::result::Result<SynonymRule, String> {
    if line.len() > MAX_SYNONYM_RULE_BYTES {
        return Err(format!(
            "has {} bytes, the limit is {MAX_SYNONYM_RULE_BYTES}",
            line.len()
        ));
    }
    if line.contains(['\n', '\r']) {
        return Err("has more than one line: give each rule for itself".to_owned());
    }
    let (from, to) = match line.split_once("=>") {
        None => {
            let all = terms(line)?;
            if all.len() < 2 {
                return Err(
                    "has one term: write `a, b` for equivalent terms, `a => b` for one direction"
                        .to_owned(),
                );
            }
            (all.clone(), all)
        }
        Some((from, to)) => (terms(from)?, terms(to)?),
    };
    let count = if from == to {
        to.len()
    } else {
        from.len() + to.len()
    };
    if count > MAX_SYNONYM_TERMS {
        return Err(format!("has more than {MAX_SYNONYM_TERMS} terms"));
    }
    Ok(SynonymRule { from, to })
}

/// The terms of one side of a rule.
fn terms(side: &str) -> std::result::Result<Vec<String>, String> {
    let mut terms = Vec::new();
    for term in side.split(',') {
        let words: Vec<&str> = term.split_whitespace().collect();
        if !term.chars().any(char::is_alphanumeric) {
            return Err(
                "has a term without a letter or digit: write `a, b` or `a => b`".to_owned(),
            );
        }
        if term.contains("=>") {
            return Err("has more than one `=>`".to_owned());
        }
        if words.len() > MAX_SYNONYM_WORDS {
            return Err(format!(
                "has a term of {} words, the limit is {MAX_SYNONYM_WORDS}",
                words.len()
            ));
        }
        let term = words.join(" ");
        if !terms.contains(&term) {
            terms.push(term);
        }
    }
    Ok(terms)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detail(line: &str) -> String {
        let error = Synonyms::parse(&["a, b", line]).unwrap_err();
        let field = error.fields().first().unwrap().clone();
        assert_eq!(field.pointer, "/1");
        field.detail
    }

    #[test]
    fn both_forms_are_read() {
        let synonyms =
            Synonyms::parse(&[" k8s,  kubernetes ", "ml, AI => machine  learning"]).unwrap();
        assert_eq!(synonyms.lines()[0], "k8s,  kubernetes");
        let [group, one_way] = synonyms.rules() else {
            panic!("two rules");
        };
        assert_eq!(group.from, ["k8s", "kubernetes"]);
        assert_eq!(group.to, group.from);
        assert_eq!(one_way.from, ["ml", "AI"]);
        assert_eq!(one_way.to, ["machine learning"]);
        let again = Synonyms::parse(synonyms.lines()).unwrap();
        assert_eq!(again, synonyms);
        assert!(Synonyms::parse::<&str>(&[]).unwrap().is_empty());
    }

    #[test]
    fn bad_rules_are_refused_with_what_to_do() {
        assert!(detail("alone").contains("`a, b`"));
        assert!(detail("same, same").contains("`a, b`"));
        assert!(detail("").contains("without a letter"));
        assert!(detail("a =>").contains("without a letter"));
        assert!(detail("a,,b").contains("without a letter"));
        assert!(detail("a => b => c").contains("more than one"));
        assert!(detail("a\nb, c").contains("one line"));
        assert!(detail("a, one two three four five six seven eight nine").contains("9 words"));
        let many: Vec<String> = (0..=MAX_SYNONYM_TERMS).map(|n| format!("t{n}")).collect();
        assert!(detail(&many.join(",")).contains("more than 32 terms"));
        assert!(detail(&format!("a, {}", "b".repeat(MAX_SYNONYM_RULE_BYTES))).contains("bytes"));
        let lines = vec!["a, b"; MAX_SYNONYM_RULES + 1];
        let error = Synonyms::parse(&lines).unwrap_err();
        assert!(error.message().contains("1001 rules"), "{error}");
        assert!(Synonyms::parse(&lines[1..]).is_ok());
    }
}
