use braid_core::Language;

use super::{SAMPLE_CHARS, detect, sample};

#[track_caller]
fn check(expected: Option<Language>, text: &str) {
    assert_eq!(detect(text), expected, "{text}");
}

#[test]
fn prose_is_told_by_its_words() {
    let told = [
        (
            Language::Danish,
            "Regeringen har fremlagt et lovforslag, hvoraf det fremgår, at kommunerne selv må afgøre, hvordan skolerne skal bruge pengene. Hvad der sker bagefter, ved ingen af dem, der har læst forslaget.",
        ),
        (
            Language::Dutch,
            "De trein naar Amsterdam vertrekt over tien minuten van spoor vier, maar het is niet zeker dat hij op tijd zal zijn.",
        ),
        (
            Language::English,
            "The committee published its report on Tuesday, and the minister said that she would answer the questions next week.",
        ),
        (
            Language::Finnish,
            "Kirja kertoo miehestä, joka ei löytänyt kotiin sodan jälkeen, mutta hän oli silti onnellinen ja kirjoitti siitä paljon.",
        ),
        (
            Language::French,
            "La commission a publié son rapport mardi, et la ministre a déclaré qu'elle répondrait aux questions la semaine prochaine.",
        ),
        (
            Language::German,
            "Der Ausschuss hat seinen Bericht am Dienstag veröffentlicht, und die Ministerin will die Fragen nächste Woche beantworten.",
        ),
        (
            Language::Hungarian,
            "A bizottság kedden tette közzé a jelentést, és a miniszter azt mondta, hogy a jövő héten válaszol a kérdésekre.",
        ),
        (
            Language::Italian,
            "La commissione ha pubblicato il rapporto martedì e il ministro ha detto che risponderà alle domande la settimana prossima.",
        ),
        (
            Language::Norwegian,
            "Boken ble skrevet i Oslo, og den handler om en mann som ikke fant veien hjem til familien sin etter krigen.",
        ),
        (
            Language::Portuguese,
            "A comissão publicou o relatório na terça-feira, e a ministra disse que não responderá às perguntas até à próxima semana.",
        ),
        (
            Language::Romanian,
            "Comisia a publicat raportul marți, iar ministrul a spus că va răspunde la întrebări săptămâna viitoare, pentru că nu este grăbit.",
        ),
        (
            Language::Spanish,
            "La comisión publicó el informe el martes y la ministra dijo que respondería a las preguntas la próxima semana.",
        ),
        (
            Language::Swedish,
            "Boken skrevs i Stockholm och den handlar om en man som inte kunde hitta hem till sin familj efter kriget.",
        ),
        (
            Language::Turkish,
            "Komisyon raporunu salı günü yayımladı ve bakan, soruları gelecek hafta yanıtlayacağını söyledi, ancak bu çok geç olabilir.",
        ),
        (
            Language::Greek,
            "Η επιτροπή δημοσίευσε την έκθεσή της την Τρίτη.",
        ),
        (Language::Tamil, "குழு தனது அறிக்கையை வெளியிட்டது."),
        (
            Language::None,
            "Komisja opublikowała swój raport we wtorek, a minister powiedziała, że odpowie na pytania w przyszłym tygodniu.",
        ),
        (
            Language::None,
            "Комисията публикува доклада си във вторник, а министърът каза, че ще отговори на въпросите следващата седмица.",
        ),
    ];
    for (language, text) in told {
        check(Some(language), text);
    }
}

#[test]
fn other_scripts_are_told_by_a_sentence() {
    for set in braid_testkit::scripts::all() {
        let mut told = 0;
        for (_, text) in &set.documents {
            let detected = detect(text);
            assert!(detected.is_none_or(|found| found == set.language), "{text}");
            told += usize::from(detected.is_some());
        }
        // One of the Arabic sentences is short, and could be Persian.
        let not_told = usize::from(set.language == Language::Arabic);
        assert_eq!(told + not_told, set.documents.len(), "{}", set.language);
    }
}

#[test]
fn thin_evidence_tells_nothing() {
    for text in [
        "",
        "   \n",
        "12345 67890",
        "!!!",
        "😀",
        "BRAID-1234",
        "tee",
        "Hotel Restaurant Bar",
        "Да",
    ] {
        check(None, text);
    }
}

/// A program looks like French to a counter of letters.
#[test]
fn programs_are_not_prose() {
    check(
        None,
        "def position(self, x, y, text):\n    sys.stdout.write(\"\\x1b7\\x1b[%d;%df%s\\x1b8\" % (x, y, text))\n    sys.stdout.flush()\n",
    );
    check(
        None,
        "str_columns = filter(lambda pair: pair[1].char == 'S', df._gather_dtypes().items())\nreturn df.drop(list(map(lambda pair: pair[0], str_columns)))\n",
    );
}

#[test]
fn the_sample_is_bounded_and_skips_a_preface() {
    let preface = "Permission is hereby granted to any person to deal in the software. ";
    let german = "Der Ausschuss hat seinen Bericht am Dienstag veröffentlicht, und er ist lang. ";
    let text = preface.to_owned() + &german.repeat(400);
    assert_eq!(sample(&text).chars().count(), SAMPLE_CHARS + 1);
    check(Some(Language::German), &text);
    let multi_byte = "漢字".repeat(5000);
    assert_eq!(sample(&multi_byte).chars().count(), SAMPLE_CHARS + 1);
    assert_eq!(sample("short"), "short");
}
