//! Stop words: articles, pronouns, conjunctions and prepositions that stand in most sentences.
//! Short lists on purpose: term weights already make common words count for little, and a word
//! that is dropped cannot be found.

use braid_core::Language;

/// The stop words of a language, lower-cased, with diacritics.
pub(crate) fn stop_words(language: Language) -> &'static [&'static str] {
    match language {
        Language::None
        | Language::Chinese
        | Language::Japanese
        | Language::Korean
        | Language::Thai => &[],
        Language::Arabic => ARABIC,
        Language::Danish => DANISH,
        Language::Dutch => DUTCH,
        Language::English => ENGLISH,
        Language::Finnish => FINNISH,
        Language::French => FRENCH,
        Language::German => GERMAN,
        Language::Greek => GREEK,
        Language::Hungarian => HUNGARIAN,
        Language::Italian => ITALIAN,
        Language::Norwegian => NORWEGIAN,
        Language::Portuguese => PORTUGUESE,
        Language::Romanian => ROMANIAN,
        Language::Russian => RUSSIAN,
        Language::Spanish => SPANISH,
        Language::Swedish => SWEDISH,
        Language::Tamil => TAMIL,
        Language::Turkish => TURKISH,
        Language::Ukrainian => UKRAINIAN,
    }
}

const ENGLISH: &[&str] = &[
    "a", "am", "an", "and", "are", "as", "at", "be", "been", "being", "but", "by", "can", "could",
    "did", "do", "does", "doing", "for", "from", "had", "has", "have", "having", "he", "her",
    "him", "his", "how", "i", "if", "in", "into", "is", "it", "its", "me", "my", "no", "not", "of",
    "on", "or", "our", "she", "should", "so", "such", "than", "that", "the", "their", "them",
    "then", "there", "these", "they", "this", "those", "to", "was", "we", "were", "what", "when",
    "where", "which", "while", "who", "whom", "whose", "why", "will", "with", "would", "you",
    "your",
];

const ARABIC: &[&str] = &[
    "في",
    "من",
    "على",
    "إلى",
    "الى",
    "عن",
    "مع",
    "هذا",
    "هذه",
    "ذلك",
    "تلك",
    "التي",
    "الذي",
    "الذين",
    "هو",
    "هي",
    "هم",
    "أن",
    "ان",
    "إن",
    "كان",
    "كانت",
    "ما",
    "لا",
    "لم",
    "لن",
    "قد",
    "ثم",
    "أو",
    "او",
    "و",
    "كل",
    "بين",
    "بعد",
    "قبل",
    "حتى",
    "إذا",
];

const DANISH: &[&str] = &[
    "og", "i", "at", "det", "en", "et", "den", "til", "er", "som", "på", "de", "med", "han", "af",
    "for", "ikke", "der", "var", "mig", "sig", "men", "har", "om", "vi", "min", "havde", "hun",
    "nu", "over", "da", "fra", "du", "ud", "sin", "dem", "os", "op", "hans", "hvor", "eller",
    "skal", "her", "alle", "vil", "blev", "kunne", "ind", "når", "være", "kan", "jeg",
];

const DUTCH: &[&str] = &[
    "de", "het", "een", "en", "van", "ik", "te", "dat", "die", "in", "is", "niet", "zijn", "op",
    "aan", "met", "als", "voor", "er", "maar", "om", "dan", "zou", "of", "wat", "mijn", "dit",
    "zo", "door", "over", "ze", "zich", "bij", "ook", "tot", "je", "uit", "der", "naar", "heeft",
    "hoe", "wordt", "worden", "werd", "was", "hij", "zij", "wij", "deze", "nog", "kan",
];

const FINNISH: &[&str] = &[
    "ja", "on", "ei", "se", "että", "oli", "ovat", "olla", "en", "et", "hän", "he", "me", "te",
    "minä", "sinä", "joka", "jotka", "mikä", "mitä", "tämä", "nämä", "ne", "tai", "mutta", "kun",
    "kuin", "jos", "niin", "myös", "sen", "sitä", "siitä", "hänen", "vain", "sekä", "ole", "oli",
];

const FRENCH: &[&str] = &[
    "le", "la", "les", "l", "un", "une", "des", "du", "de", "d", "et", "ou", "où", "à", "au",
    "aux", "en", "dans", "par", "pour", "sur", "avec", "sans", "ce", "cet", "cette", "ces", "il",
    "elle", "ils", "elles", "on", "nous", "vous", "je", "tu", "se", "sa", "son", "ses", "leur",
    "leurs", "mon", "ma", "mes", "ton", "ta", "tes", "notre", "votre", "nos", "vos", "qui", "que",
    "quoi", "dont", "ne", "pas", "est", "sont", "être", "était", "mais", "donc", "ni", "car", "y",
    "lui", "qu", "c", "j", "n", "s", "t", "m",
];

const GERMAN: &[&str] = &[
    "der", "die", "das", "den", "dem", "des", "ein", "eine", "einer", "eines", "einem", "einen",
    "und", "oder", "aber", "in", "im", "an", "am", "auf", "aus", "bei", "beim", "mit", "nach",
    "von", "vom", "vor", "zu", "zum", "zur", "für", "über", "unter", "durch", "um", "als", "wie",
    "ist", "sind", "war", "waren", "wird", "werden", "wurde", "wurden", "sein", "hat", "haben",
    "nicht", "auch", "es", "er", "sie", "wir", "ihr", "ich", "du", "sich", "dass", "daß", "so",
    "dann", "noch", "nur", "dieser", "diese", "dieses", "diesem", "diesen", "man", "wenn", "kann",
];

const GREEK: &[&str] = &[
    "ο",
    "η",
    "το",
    "οι",
    "τα",
    "του",
    "της",
    "των",
    "τον",
    "την",
    "και",
    "κι",
    "σε",
    "στο",
    "στη",
    "στην",
    "στον",
    "στα",
    "στις",
    "στους",
    "από",
    "με",
    "για",
    "ως",
    "να",
    "θα",
    "δεν",
    "δε",
    "μη",
    "μην",
    "που",
    "πως",
    "ότι",
    "είναι",
    "ήταν",
    "ένα",
    "ένας",
    "μια",
    "μία",
    "αυτό",
    "αυτός",
    "αυτή",
    "τις",
    "τους",
    "αν",
    "ή",
    "αλλά",
    "όπως",
];

const HUNGARIAN: &[&str] = &[
    "a", "az", "és", "hogy", "nem", "is", "egy", "ez", "ezt", "azt", "volt", "van", "de", "csak",
    "meg", "már", "mint", "még", "ha", "vagy", "el", "ki", "be", "fel", "le", "ő", "én", "te",
    "mi", "ti", "ők", "aki", "ami", "amely", "amelyek", "ahol", "amikor", "lehet", "lesz", "sem",
    "ezek", "azok", "pedig", "illetve", "majd", "azonban",
];

const ITALIAN: &[&str] = &[
    "il", "lo", "la", "i", "gli", "le", "l", "un", "uno", "una", "di", "del", "dello", "della",
    "dei", "degli", "delle", "dell", "a", "al", "allo", "alla", "ai", "agli", "alle", "all", "da",
    "dal", "dallo", "dalla", "dai", "dagli", "dalle", "dall", "in", "nel", "nello", "nella", "nei",
    "negli", "nelle", "nell", "su", "sul", "sullo", "sulla", "sui", "sugli", "sulle", "sull",
    "con", "per", "tra", "fra", "e", "ed", "o", "ma", "se", "che", "chi", "cui", "non", "è",
    "sono", "era", "essere", "si", "ci", "ne", "come", "anche", "questo", "questa", "questi",
    "queste", "d", "un",
];

const NORWEGIAN: &[&str] = &[
    "og", "i", "jeg", "det", "at", "en", "et", "ei", "den", "til", "er", "som", "på", "de", "med",
    "han", "av", "ikke", "der", "så", "var", "meg", "seg", "men", "ett", "har", "om", "vi", "min",
    "hadde", "hun", "nå", "over", "da", "ved", "fra", "du", "ut", "sin", "dem", "oss", "opp",
    "kan", "hans", "hvor", "eller", "skal", "for", "blir", "ble", "være",
];

const PORTUGUESE: &[&str] = &[
    "o", "a", "os", "as", "um", "uma", "uns", "umas", "de", "do", "da", "dos", "das", "em", "no",
    "na", "nos", "nas", "ao", "aos", "à", "às", "por", "pelo", "pela", "pelos", "pelas", "para",
    "com", "sem", "sob", "sobre", "e", "ou", "mas", "se", "que", "quem", "não", "é", "são", "foi",
    "era", "ser", "ele", "ela", "eles", "elas", "eu", "você", "nós", "seu", "sua", "seus", "suas",
    "este", "esta", "esse", "essa", "isso", "isto", "como", "também", "num", "numa", "lhe",
];

const ROMANIAN: &[&str] = &[
    "a", "al", "ai", "ale", "un", "o", "unui", "unei", "și", "şi", "sau", "dar", "în", "din", "de",
    "la", "pe", "cu", "pentru", "prin", "despre", "este", "e", "sunt", "era", "fi", "fost", "nu",
    "că", "să", "se", "care", "ce", "cine", "el", "ea", "ei", "ele", "eu", "tu", "noi", "voi",
    "acest", "această", "acesta", "acestea", "lui", "lor", "mai", "ca", "cum", "dacă",
];

const RUSSIAN: &[&str] = &[
    "и",
    "в",
    "во",
    "не",
    "что",
    "он",
    "на",
    "я",
    "с",
    "со",
    "как",
    "а",
    "то",
    "все",
    "она",
    "так",
    "его",
    "но",
    "да",
    "ты",
    "к",
    "у",
    "же",
    "вы",
    "за",
    "бы",
    "по",
    "ее",
    "её",
    "мне",
    "было",
    "вот",
    "от",
    "о",
    "из",
    "ему",
    "ли",
    "если",
    "или",
    "ни",
    "быть",
    "был",
    "была",
    "были",
    "до",
    "для",
    "при",
    "это",
    "этот",
    "эта",
    "эти",
    "мы",
    "они",
    "их",
    "который",
    "которая",
    "которые",
    "об",
    "без",
    "под",
    "над",
    "чем",
    "чтобы",
    "также",
    "есть",
];

const SPANISH: &[&str] = &[
    "el", "la", "los", "las", "lo", "un", "una", "unos", "unas", "de", "del", "a", "al", "en",
    "con", "por", "para", "sin", "sobre", "entre", "y", "e", "o", "u", "pero", "si", "que", "qué",
    "quien", "no", "es", "son", "fue", "era", "ser", "está", "están", "se", "su", "sus", "mi",
    "mis", "tu", "tus", "él", "ella", "ellos", "ellas", "yo", "nos", "le", "les", "me", "te",
    "este", "esta", "estos", "estas", "ese", "esa", "eso", "esto", "como", "más", "ya", "también",
    "ha", "han", "hay",
];

const SWEDISH: &[&str] = &[
    "och", "det", "att", "i", "en", "ett", "jag", "hon", "som", "han", "på", "den", "med", "var",
    "sig", "för", "så", "till", "är", "men", "om", "de", "av", "icke", "inte", "mig", "du", "då",
    "nu", "har", "hade", "från", "vi", "kan", "sin", "eller", "ut", "vid", "när", "över", "där",
    "vad", "dem", "oss", "upp", "än", "hans", "skall", "ska", "blir", "blev", "vara", "detta",
    "denna", "dessa",
];

const TAMIL: &[&str] = &[
    "ஒரு",
    "என்று",
    "மற்றும்",
    "இந்த",
    "இது",
    "என்ற",
    "கொண்டு",
    "என்பது",
    "பல",
    "ஆகும்",
    "அல்லது",
    "அவர்",
    "நான்",
    "உள்ள",
    "அந்த",
    "இவர்",
    "என",
    "முதல்",
    "என்ன",
    "இருந்து",
    "சில",
    "என்",
    "போன்ற",
    "வேண்டும்",
    "வந்து",
    "இதன்",
    "அது",
    "அவன்",
    "தான்",
    "பின்னர்",
    "இதில்",
    "மேலும்",
];

const TURKISH: &[&str] = &[
    "ve", "veya", "ya", "ile", "bir", "bu", "şu", "o", "da", "de", "için", "mi", "mı", "mu", "mü",
    "ne", "ki", "ama", "fakat", "çok", "daha", "en", "gibi", "kadar", "sonra", "önce", "ben",
    "sen", "biz", "siz", "onlar", "olarak", "olan", "oldu", "olduğu", "her", "ise", "değil", "var",
    "yok", "hem", "ancak", "göre", "diye",
];

const UKRAINIAN: &[&str] = &[
    "і",
    "й",
    "та",
    "в",
    "у",
    "на",
    "не",
    "що",
    "це",
    "як",
    "з",
    "із",
    "зі",
    "до",
    "від",
    "за",
    "для",
    "про",
    "по",
    "при",
    "або",
    "але",
    "чи",
    "бо",
    "то",
    "а",
    "я",
    "ти",
    "ви",
    "ми",
    "він",
    "вона",
    "воно",
    "вони",
    "його",
    "її",
    "їх",
    "йому",
    "їм",
    "той",
    "ця",
    "цей",
    "ці",
    "є",
    "був",
    "була",
    "було",
    "були",
    "бути",
    "який",
    "яка",
    "яке",
    "які",
    "ж",
    "же",
    "б",
    "би",
    "якщо",
    "щоб",
    "також",
    "між",
    "під",
    "над",
    "без",
    "через",
    "коли",
    "де",
    "хто",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_lower_case_and_every_language_of_spaced_words_has_one() {
        for (language, name) in Language::ALL {
            let words = stop_words(language);
            let has_none = matches!(
                language,
                Language::None
                    | Language::Chinese
                    | Language::Japanese
                    | Language::Korean
                    | Language::Thai
            );
            assert_eq!(words.is_empty(), has_none, "{name}");
            for word in words {
                assert_eq!(*word, word.to_lowercase(), "{name}");
            }
        }
    }
}
