//! Which script a text is in.

use braid_core::Script;
use whatlang::Script as Detected;

/// The script of most letters of `text`; `None` where it has no letters of a script that is known
/// (`3.14`, `???`).
pub fn main_script(text: &str) -> Option<Script> {
    whatlang::detect_script(text).and_then(|found| Script::of_code(code(found)))
}

/// ISO 15924.
fn code(script: Detected) -> [u8; 4] {
    *match script {
        Detected::Arabic => b"Arab",
        Detected::Armenian => b"Armn",
        Detected::Bengali => b"Beng",
        Detected::Cyrillic => b"Cyrl",
        Detected::Devanagari => b"Deva",
        Detected::Ethiopic => b"Ethi",
        Detected::Georgian => b"Geor",
        Detected::Greek => b"Grek",
        Detected::Gujarati => b"Gujr",
        Detected::Gurmukhi => b"Guru",
        Detected::Hangul => b"Hang",
        Detected::Hebrew => b"Hebr",
        Detected::Hiragana => b"Hira",
        Detected::Kannada => b"Knda",
        Detected::Katakana => b"Kana",
        Detected::Khmer => b"Khmr",
        Detected::Latin => b"Latn",
        Detected::Malayalam => b"Mlym",
        Detected::Mandarin => b"Hani",
        Detected::Myanmar => b"Mymr",
        Detected::Oriya => b"Orya",
        Detected::Sinhala => b"Sinh",
        Detected::Tamil => b"Taml",
        Detected::Telugu => b"Telu",
        Detected::Thai => b"Thai",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_letters_decide() {
        for (text, code) in [
            ("how are deleted documents hidden?", "Latn"),
            ("Größere Füchse", "Latn"),
            ("футбольные матчи", "Cyrl"),
            ("删除的文档", "Hani"),
            ("ガラスを作る", "Kana"),
            ("한국어 문서", "Hang"),
            ("الوثائق المحذوفة", "Arab"),
            ("เอกสารที่ถูกลบ", "Thai"),
            ("fusion 是什么", "Latn"),
            ("RRF 是怎么计算的", "Hani"),
        ] {
            let found = main_script(text).map(|script| script.to_string());
            assert_eq!(found.as_deref(), Some(code), "{text}");
        }
        for text in ["", "???", "10.42.7.0/24", "🦊"] {
            assert_eq!(main_script(text), None, "{text}");
        }
    }

    #[test]
    fn every_script_that_is_told_has_a_code() {
        for script in Detected::all() {
            assert!(Script::of_code(code(*script)).is_some(), "{script}");
        }
    }
}
