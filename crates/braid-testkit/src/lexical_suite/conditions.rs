//! What entries must say and must not, synonyms, and words that no entry says.

use std::sync::Arc;

use braid_core::ports::LexicalMatches;
use braid_core::{
    ExpansionKind, LexicalIndex, LexicalQuery, Selection, SlotSet, Synonyms, TextCondition,
    TextField,
};

use super::corpus::{WORDS, entry, random_entries};
use super::{FreshLexicalIndex, apply, everything, slots_of};

/// What does not depend on the terms that an index has.
pub(super) async fn conditions(fresh: FreshLexicalIndex<'_>) {
    words_in_a_row(&*fresh()).await;
    fields_are_apart(&*fresh()).await;
    conditions_without_words_hold(&*fresh()).await;
    pairs_are_found_wherever_they_stand(&*fresh()).await;
    conditions_narrow_a_selection(&*fresh()).await;
}

/// What a query means, word for word.
pub(super) async fn synonyms(fresh: FreshLexicalIndex<'_>) {
    synonyms_are_found_and_count_less(&*fresh()).await;
    rare_synonyms_count_no_more_than_what_was_asked(&*fresh()).await;
    synonyms_of_several_words_find_what_says_them(&*fresh()).await;
}

/// What else a query is searched for as, by an index that knows its terms and where they stand.
pub(super) async fn expansions(fresh: FreshLexicalIndex<'_>) {
    synonyms_of_several_words_are_phrases(&*fresh()).await;
    misspelt_words_are_corrected(&*fresh()).await;
    words_that_are_there_stand_as_they_are(&*fresh()).await;
}

fn says(text: &str) -> TextCondition {
    TextCondition {
        text: text.to_owned(),
        field: None,
        is_excluded: false,
    }
}

fn lacks(text: &str) -> TextCondition {
    TextCondition {
        is_excluded: true,
        ..says(text)
    }
}

fn within(field: TextField, text: &str) -> TextCondition {
    TextCondition {
        field: Some(field),
        ..says(text)
    }
}

async fn kept(index: &dyn LexicalIndex, conditions: &[TextCondition]) -> Vec<u32> {
    let view = index.pin().await.unwrap();
    let all = Selection::default();
    let narrowed = view.narrow(conditions, &all).await.unwrap();
    assert_eq!(narrowed.saying.len(), conditions.len());
    narrowed.selection.slots.unwrap().iter().collect()
}

async fn words_in_a_row(index: &dyn LexicalIndex) {
    let entries = vec![
        entry(1, "", &[], "amber basil cedar"),
        entry(2, "", &[], "basil amber cedar"),
        entry(3, "", &[], "amber cedar basil amber basil"),
        entry(4, "", &[], "delta"),
    ];
    apply(index, 1, entries, &[]).await;
    assert_eq!(kept(index, &[]).await, [1, 2, 3, 4]);
    assert_eq!(kept(index, &[says("amber basil")]).await, [1, 3]);
    assert_eq!(kept(index, &[says("AMBER, Basil!")]).await, [1, 3]);
    assert_eq!(kept(index, &[says("basil amber cedar")]).await, [2]);
    assert_eq!(kept(index, &[says("amber amber")]).await, [0_u32; 0]);
    assert_eq!(kept(index, &[says("amber")]).await, [1, 2, 3]);
    assert_eq!(kept(index, &[says("fjord")]).await, [0_u32; 0]);
    assert_eq!(kept(index, &[lacks("amber basil")]).await, [2, 4]);
    assert_eq!(kept(index, &[lacks("fjord")]).await, [1, 2, 3, 4]);
    let both = [says("basil"), lacks("cedar basil")];
    assert_eq!(kept(index, &both).await, [1, 2]);
    assert_eq!(
        kept(index, &[says("amber"), lacks("amber")]).await,
        [0_u32; 0]
    );
}

async fn fields_are_apart(index: &dyn LexicalIndex) {
    let entries = vec![
        entry(1, "amber", &["basil", "cedar"], "delta ember"),
        entry(2, "delta ember", &["amber"], "basil cedar"),
        entry(3, "basil", &["cedar delta"], "amber amber"),
    ];
    apply(index, 1, entries, &[]).await;
    for across in ["amber basil", "basil cedar delta", "cedar delta ember"] {
        assert_eq!(kept(index, &[says(across)]).await, [0_u32; 0], "{across}");
    }
    assert_eq!(kept(index, &[says("basil cedar")]).await, [2]);
    for (field, text, wanted) in [
        (TextField::Title, "amber", 1),
        (TextField::Heading, "amber", 2),
        (TextField::Body, "amber", 3),
        (TextField::Title, "delta ember", 2),
        (TextField::Body, "delta ember", 1),
        (TextField::Heading, "cedar delta", 3),
    ] {
        let name = field.as_str();
        let found = kept(index, &[within(field, text)]).await;
        assert_eq!(found, [wanted], "{name}: {text}");
    }
    let not_titled = TextCondition {
        is_excluded: true,
        ..within(TextField::Title, "basil")
    };
    assert_eq!(kept(index, &[not_titled]).await, [1, 2]);
}

async fn conditions_without_words_hold(index: &dyn LexicalIndex) {
    apply(index, 1, random_entries(0..5, 21), &[]).await;
    for text in ["", "???", " \t"] {
        assert_eq!(kept(index, &[says(text), lacks(text)]).await.len(), 5);
    }
}

/// Against a definition that looks at the texts.
async fn pairs_are_found_wherever_they_stand(index: &dyn LexicalIndex) {
    let entries = random_entries(0..120, 22);
    for (chunk, number) in entries.chunks(50).zip(1..) {
        apply(index, number, chunk.to_vec(), &[]).await;
    }
    apply(index, 9, Vec::new(), &[3, 60]).await;
    let live = entries
        .iter()
        .filter(|entry| ![3, 60].contains(&entry.slot.0));
    for first in WORDS {
        for second in WORDS {
            let pair = format!("{first} {second}");
            let says_it = |text: &str| format!(" {text} ").contains(&format!(" {pair} "));
            let wanted = live.clone().filter(|entry| {
                let mut texts = entry.headings.iter().chain([&entry.title, &entry.body]);
                texts.any(|text| says_it(text))
            });
            let wanted: Vec<u32> = wanted.map(|entry| entry.slot.0).collect();
            assert_eq!(kept(index, &[says(&pair)]).await, wanted, "{pair}");
            let lacking = kept(index, &[lacks(&pair)]).await;
            assert_eq!(lacking.len() + wanted.len(), 118, "{pair}");
        }
    }
}

async fn conditions_narrow_a_selection(index: &dyn LexicalIndex) {
    apply(index, 1, random_entries(0..60, 23), &[]).await;
    let view = index.pin().await.unwrap();
    let some = Selection {
        filter: None,
        slots: Some(Arc::new(SlotSet::from_iter(10..30))),
        ..Selection::default()
    };
    let conditions = [says("amber"), lacks("basil")];
    let narrowed = view.narrow(&conditions, &some).await.unwrap();
    let all = view.narrow(&conditions, &Selection::default()).await;
    let all = all.unwrap().selection.slots.unwrap();
    let wanted: Vec<u32> = all.iter().filter(|slot| (10..30).contains(slot)).collect();
    let slots = narrowed.selection.slots.clone().unwrap();
    assert_eq!(slots.iter().collect::<Vec<_>>(), wanted);
    for (condition, saying) in conditions.iter().zip(&narrowed.saying) {
        let alone = [says(&condition.text)];
        let alone = view.narrow(&alone, &some).await.unwrap();
        assert_eq!(alone.selection.slots.unwrap().len(), *saying);
    }
    let found = view
        .search("amber", &narrowed.selection, 100)
        .await
        .unwrap();
    let mut found = slots_of(&found);
    found.sort_unstable();
    assert_eq!(
        found, wanted,
        "a narrowed selection is searched like any other"
    );
}

fn query(text: &str, synonyms: &[&str], typos: bool) -> LexicalQuery {
    LexicalQuery {
        text: text.to_owned(),
        typos,
        synonyms: Arc::new(Synonyms::parse(synonyms).unwrap()),
    }
}

async fn find(index: &dyn LexicalIndex, query: &LexicalQuery) -> LexicalMatches {
    let view = index.pin().await.unwrap();
    view.find(query, &Selection::default(), 1000).await.unwrap()
}

async fn synonyms_are_found_and_count_less(index: &dyn LexicalIndex) {
    let entries = vec![
        entry(1, "", &[], "basil garnet"),
        entry(2, "", &[], "amber garnet"),
        entry(3, "", &[], "cedar garnet"),
        entry(4, "", &[], "delta garnet"),
    ];
    apply(index, 1, entries, &[]).await;
    let rules = ["amber, basil", "amber => cedar"];
    let found = find(index, &query("amber", &rules, false)).await;
    assert_eq!(slots_of(&found), [2, 1, 3], "the word itself is best");
    assert_eq!(found.terms, ["amber", "basil", "cedar"]);
    let told: Vec<_> = found
        .expansions
        .iter()
        .map(|it| (&*it.term, &*it.to))
        .collect();
    assert_eq!(told, [("amber", "basil"), ("amber", "cedar")]);
    for expansion in &found.expansions {
        assert_eq!(expansion.kind, ExpansionKind::Synonym);
        assert!(expansion.weight > 0.0 && expansion.weight < 1.0);
    }
    let back = find(index, &query("basil", &rules, false)).await;
    assert_eq!(slots_of(&back), [1, 2], "equivalent both ways");
    let back = find(index, &query("cedar", &rules, false)).await;
    assert_eq!(slots_of(&back), [3], "the other only one way");
    let plain = everything(index, "amber").await;
    assert_eq!(slots_of(&plain), [2]);
    assert!(plain.expansions.is_empty());
    assert_eq!(
        found.ceiling, plain.ceiling,
        "what was asked weighs the same"
    );
    assert_eq!(
        find(index, &query("delta", &rules, true)).await,
        everything(index, "delta").await,
        "rules that do not apply change nothing"
    );
}

async fn rare_synonyms_count_no_more_than_what_was_asked(index: &dyn LexicalIndex) {
    let mut entries: Vec<_> = (0..20)
        .map(|slot| entry(slot, "", &[], "amber cedar"))
        .collect();
    entries.push(entry(20, "", &[], "basil cedar"));
    entries.extend((21..30).map(|slot| entry(slot, "", &[], "garnet cedar")));
    apply(index, 1, entries, &[]).await;
    let found = find(index, &query("amber", &["amber, basil"], false)).await;
    assert_eq!(found.candidates.len(), 21);
    assert_eq!(slots_of(&found).last(), Some(&20), "rare, and a synonym");
    let score = |place: usize| found.candidates[place].score;
    let share = score(20) / score(0);
    assert!((share - found.expansions[0].weight).abs() < 1e-3, "{share}");
    // What is asked for is rarer: no reason to count less than by its own rarity.
    let back = find(index, &query("basil", &["amber, basil"], false)).await;
    let plain = everything(index, "amber").await;
    let share = back.candidates[1].score / plain.candidates[0].score;
    assert!((share - back.expansions[0].weight).abs() < 1e-3, "{share}");
}

async fn synonyms_of_several_words_find_what_says_them(index: &dyn LexicalIndex) {
    let entries = vec![
        entry(1, "", &[], "basil cedar"),
        entry(2, "", &[], "amber garnet"),
        entry(3, "", &[], "delta garnet"),
    ];
    apply(index, 1, entries, &[]).await;
    let rules = ["amber, basil cedar"];
    let found = find(index, &query("amber", &rules, false)).await;
    assert_eq!(slots_of(&found), [2, 1]);
    assert_eq!(found.terms, ["amber", "basil", "cedar"]);
    let back = find(index, &query("basil cedar", &rules, false)).await;
    assert_eq!(slots_of(&back), [1, 2]);
    let nowhere = find(index, &query("amber", &["amber, basil zephyr"], false)).await;
    assert_eq!(slots_of(&nowhere), [2], "no entry says all of it");
    assert_eq!(
        nowhere.expansions.len(),
        1,
        "it was looked for all the same"
    );
}

async fn synonyms_of_several_words_are_phrases(index: &dyn LexicalIndex) {
    let entries = vec![
        entry(1, "", &[], "basil cedar"),
        entry(2, "", &[], "cedar basil"),
        entry(3, "", &[], "amber"),
        entry(4, "", &[], "delta"),
    ];
    apply(index, 1, entries, &[]).await;
    let rules = ["amber, basil cedar"];
    let found = find(index, &query("amber", &rules, false)).await;
    assert_eq!(slots_of(&found), [3, 1], "only words in a row");
    let found = find(index, &query("delta basil cedar", &rules, false)).await;
    assert!(slots_of(&found).contains(&3), "several words are expanded");
    let apart = find(index, &query("basil delta cedar", &rules, false)).await;
    assert!(!slots_of(&apart).contains(&3), "not in a row");
}

async fn misspelt_words_are_corrected(index: &dyn LexicalIndex) {
    let entries = vec![
        entry(1, "", &[], "garnet garnet indigo"),
        entry(2, "", &[], "ember basil"),
        entry(3, "", &[], "amber cedar"),
        entry(4, "", &[], "amber delta"),
    ];
    apply(index, 1, entries, &[]).await;
    let found = find(index, &query("granet", &[], true)).await;
    assert_eq!(slots_of(&found), [1], "two neighbours exchanged");
    assert_eq!(found.terms, ["granet", "garnet"]);
    let [told] = &found.expansions[..] else {
        panic!("one correction: {:?}", found.expansions);
    };
    assert_eq!(told.kind, ExpansionKind::Typo { distance: 1 });
    assert_eq!((&*told.term, &*told.to), ("granet", "garnet"));
    assert!(told.weight < 1.0);
    let found = find(index, &query("imber", &[], true)).await;
    let to: Vec<&str> = found.expansions.iter().map(|it| &*it.to).collect();
    assert_eq!(to, ["amber", "ember"], "more frequent terms first");
    assert!(
        find(index, &query("granet", &[], false))
            .await
            .candidates
            .is_empty()
    );
    for text in ["grnt", "gar", "garnet9x", "g4rnet", "gxrnxt"] {
        let found = find(index, &query(text, &[], true)).await;
        assert!(
            found.expansions.is_empty(),
            "{text}: {:?}",
            found.expansions
        );
    }
    let weighed = find(index, &query("cedar granet", &[], true)).await;
    assert_eq!(slots_of(&weighed).len(), 2, "the other words count as ever");
}

async fn words_that_are_there_stand_as_they_are(index: &dyn LexicalIndex) {
    apply(index, 1, random_entries(0..60, 24), &[]).await;
    for text in [
        "amber",
        "amber ember basil",
        "cedar fjord",
        "zephyr indigo",
        "",
        "???",
    ] {
        let plain = everything(index, text).await;
        assert_eq!(find(index, &query(text, &[], true)).await, plain, "{text}");
    }
}
