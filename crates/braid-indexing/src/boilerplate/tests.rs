use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

fn counted(documents: &[(&str, Vec<String>)], least_documents: u64) -> BoilerplateReport {
    let ids = |name: &str| DocumentId::new(name).unwrap();
    let mut sketch = Sketch::default();
    for (name, chunks) in documents {
        chunks
            .iter()
            .for_each(|chunk| sketch.add(&ids(name), chunk));
    }
    let mut census = Census::new(Arc::new(sketch), least_documents);
    for (name, chunks) in documents {
        chunks
            .iter()
            .for_each(|chunk| census.add(&ids(name), chunk));
    }
    census.report(100)
}

/// A line that is long enough to count.
fn line(number: usize) -> String {
    format!("the line of the number {number}")
}

proptest! {
    /// Lines of few kinds in few documents: the counts are those of a map of everything.
    #[test]
    fn counts_are_exact(
        documents in prop::collection::vec(
            prop::collection::vec(prop::collection::vec(0_usize..6, 1..4), 1..4),
            1..12,
        ),
        least in 1_u64..6,
    ) {
        let names: Vec<String> = (0..documents.len()).map(|number| format!("d{number}")).collect();
        let texts: Vec<(&str, Vec<String>)> = names
            .iter()
            .zip(&documents)
            .map(|(name, chunks)| {
                let text = |lines: &Vec<usize>| {
                    lines.iter().map(|it| line(*it)).collect::<Vec<_>>().join("\n")
                };
                (name.as_str(), chunks.iter().map(text).collect())
            })
            .collect();
        let mut holders: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        let mut occurrences: BTreeMap<usize, u64> = BTreeMap::new();
        for (document, chunks) in documents.iter().enumerate() {
            for number in chunks.iter().flatten() {
                holders.entry(*number).or_default().insert(document);
                *occurrences.entry(*number).or_default() += 1;
            }
        }
        let shared = holders.iter().filter(|(_, held)| held.len() as u64 >= least);
        let characters = |number: &usize| line(*number).len() as u64 * occurrences[number];
        let expected: u64 = shared.map(|(number, _)| characters(number)).sum();
        let report = counted(&texts, least);
        prop_assert_eq!(report.shared_characters, expected);
        prop_assert_eq!(report.characters, occurrences.keys().map(characters).sum::<u64>());
        prop_assert!(report.is_complete);
        for text in report.top.iter().filter(|text| text.kind == SharedKind::Line) {
            let number = holders.keys().find(|number| line(**number) == text.text).unwrap();
            prop_assert_eq!(text.documents, holders[number].len() as u64);
            prop_assert_eq!(text.occurrences, occurrences[number]);
        }
    }
}

#[test]
fn white_space_and_short_lines_make_no_difference() {
    let texts = |text: &str| vec![text.to_owned()];
    let documents = [
        ("a", texts("  All rights   reserved here\n}\n")),
        ("b", texts("All rights reserved\there\n\n\n}")),
    ];
    let report = counted(&documents, 2);
    let top: Vec<_> = report.top.iter().map(|it| it.text.as_str()).collect();
    assert_eq!(top, ["All rights reserved here\n}"]);
    assert_eq!(report.top[0].kind, SharedKind::Chunk);
    assert_eq!(report.top[0].example.as_str(), "a");
    assert_eq!(report.shared_characters, 48, "the brackets do not count");
    assert_eq!(report.characters, 50);
}
