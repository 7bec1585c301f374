//! Values as they come in: typed from a file, text from the environment and from flags.

use std::fmt::Display;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use braid_core::{ChunkingOverride, ChunkingStrategy, DuplicateAction, LanguageSetting};

use crate::settings::{
    LogFormat, ModelEndpoints, RetrieveFusion, RetrieveMode, RetrieveTrust, RetrieveTypos,
};

/// A value before it has a type.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Raw {
    /// From the environment or a flag, or a string of a file.
    Text(String),
    /// An integer of a file.
    Integer(i64),
    /// A float of a file.
    Float(f64),
    /// A boolean of a file.
    Boolean(bool),
    /// Something no setting takes: an array, a date.
    Other(&'static str),
}

/// A type a setting may have.
pub(crate) trait SettingValue: Sized {
    /// Reads a value, or says what is expected instead.
    fn read(raw: &Raw) -> Result<Self, String>;
    /// The value as it is written in a file; `None` where it is not set.
    fn write(&self) -> Option<String>;
}

impl Raw {
    fn shown(&self) -> String {
        match self {
            Self::Text(text) => format!("{text:?}"),
            Self::Integer(number) => number.to_string(),
            Self::Float(number) => number.to_string(),
            Self::Boolean(value) => value.to_string(),
            Self::Other(kind) => (*kind).to_owned(),
        }
    }

    fn expected(&self, what: impl Display) -> String {
        self.but(format_args!("expected {what}"))
    }

    /// A rule, and what there is instead.
    pub(crate) fn but(&self, rule: impl Display) -> String {
        format!("{rule}, found {}", self.shown())
    }
}

impl SettingValue for bool {
    fn read(raw: &Raw) -> Result<Self, String> {
        match raw {
            Raw::Boolean(value) => Ok(*value),
            Raw::Text(text) => text.parse().map_err(|_| raw.expected("true or false")),
            Raw::Integer(_) | Raw::Float(_) | Raw::Other(_) => Err(raw.expected("true or false")),
        }
    }

    fn write(&self) -> Option<String> {
        Some(self.to_string())
    }
}

macro_rules! whole_number {
    ($($kind:ty),*) => {$(
        impl SettingValue for $kind {
            fn read(raw: &Raw) -> Result<Self, String> {
                let error = || raw.expected("a whole number, 0 or more");
                match raw {
                    Raw::Integer(number) => Self::try_from(*number).map_err(|_| error()),
                    Raw::Text(text) => text.replace('_', "").parse().map_err(|_| error()),
                    Raw::Boolean(_) | Raw::Float(_) | Raw::Other(_) => Err(error()),
                }
            }

            fn write(&self) -> Option<String> {
                Some(self.to_string())
            }
        }
    )*};
}

whole_number!(usize, u64);

impl SettingValue for f64 {
    fn read(raw: &Raw) -> Result<Self, String> {
        let number = match raw {
            Raw::Integer(number) => *number as Self,
            Raw::Float(number) => *number,
            Raw::Text(text) => text.parse().map_err(|_| raw.expected("a number"))?,
            Raw::Boolean(_) | Raw::Other(_) => return Err(raw.expected("a number")),
        };
        if number.is_finite() && number >= 0.0 {
            Ok(number)
        } else {
            Err(raw.expected("a finite number, 0 or more"))
        }
    }

    fn write(&self) -> Option<String> {
        Some(format!("{self:?}"))
    }
}

/// A setting that is a text: unset when empty in the environment.
fn text(raw: &Raw) -> Result<&str, String> {
    match raw {
        Raw::Text(text) if !text.is_empty() => Ok(text),
        Raw::Text(_) | Raw::Boolean(_) | Raw::Integer(_) | Raw::Float(_) | Raw::Other(_) => {
            Err(raw.expected("a text that is not empty"))
        }
    }
}

fn quoted(text: impl Display) -> Option<String> {
    Some(format!("{:?}", text.to_string()))
}

impl SettingValue for String {
    fn read(raw: &Raw) -> Result<Self, String> {
        text(raw).map(str::to_owned)
    }

    fn write(&self) -> Option<String> {
        quoted(self)
    }
}

impl SettingValue for PathBuf {
    fn read(raw: &Raw) -> Result<Self, String> {
        text(raw).map(Self::from)
    }

    fn write(&self) -> Option<String> {
        quoted(self.display())
    }
}

impl<T: SettingValue> SettingValue for Option<T> {
    fn read(raw: &Raw) -> Result<Self, String> {
        T::read(raw).map(Some)
    }

    fn write(&self) -> Option<String> {
        self.as_ref().and_then(T::write)
    }
}

impl SettingValue for SocketAddr {
    fn read(raw: &Raw) -> Result<Self, String> {
        let parsed = text(raw).ok().and_then(|text| text.parse().ok());
        parsed.ok_or_else(|| raw.expected("an address such as 127.0.0.1:8080"))
    }

    fn write(&self) -> Option<String> {
        quoted(self)
    }
}

impl SettingValue for ModelEndpoints {
    fn read(raw: &Raw) -> Result<Self, String> {
        let error = || {
            raw.expected("local, addresses such as http://127.0.0.1:8080/v1/embeddings, or several of them separated by commas")
        };
        let places = text(raw).map_err(|_| error())?.split(',').map(str::trim);
        let known = |place: &str| {
            place == Self::LOCAL || place.starts_with("http://") || place.starts_with("https://")
        };
        let places: Option<Vec<String>> = places
            .map(|place| known(place).then(|| place.to_owned()))
            .collect();
        places.map(Self).ok_or_else(error)
    }

    fn write(&self) -> Option<String> {
        quoted(self.0.join(", "))
    }
}

/// Reads what has a name.
fn named<T: FromStr>(raw: &Raw, names: impl Iterator<Item = &'static str>) -> Result<T, String> {
    let found = text(raw).ok().and_then(|text| text.parse().ok());
    found.ok_or_else(|| {
        let known: Vec<_> = names.collect();
        raw.expected(format_args!("one of {}", known.join(", ")))
    })
}

impl SettingValue for DuplicateAction {
    fn read(raw: &Raw) -> Result<Self, String> {
        named(raw, Self::ALL.iter().map(|action| action.as_str()))
    }

    fn write(&self) -> Option<String> {
        quoted(self.as_str())
    }
}

impl SettingValue for LanguageSetting {
    fn read(raw: &Raw) -> Result<Self, String> {
        named(raw, Self::names())
    }

    fn write(&self) -> Option<String> {
        quoted(self)
    }
}

impl SettingValue for ChunkingStrategy {
    fn read(raw: &Raw) -> Result<Self, String> {
        named(raw, Self::ALL.iter().map(|(_, name)| *name))
    }

    fn write(&self) -> Option<String> {
        quoted(self.as_str())
    }
}

impl SettingValue for ChunkingOverride {
    fn read(raw: &Raw) -> Result<Self, String> {
        let Ok(text) = text(raw) else {
            return Err(raw.expected("STRATEGY[:TARGET[:OVERLAP]] such as \"sentences:120:20\""));
        };
        // Which part of it is wrong, and what may stand there.
        text.parse()
            .map_err(|error: braid_core::Error| raw.but(error.message()))
    }

    fn write(&self) -> Option<String> {
        quoted(self)
    }
}

/// Reads one of some names.
pub(crate) fn one_of<T: Copy>(raw: &Raw, names: &[(T, &'static str)]) -> Result<T, String> {
    let found = names
        .iter()
        .find(|(_, name)| matches!(raw, Raw::Text(text) if text == name));
    found.map(|(value, _)| *value).ok_or_else(|| {
        let known: Vec<_> = names.iter().map(|(_, name)| *name).collect();
        raw.expected(format!("one of {}", known.join(", ")))
    })
}

pub(crate) fn name_of<T: PartialEq>(value: &T, names: &[(T, &'static str)]) -> Option<String> {
    names
        .iter()
        .find(|(known, _)| known == value)
        .and_then(|(_, name)| quoted(name))
}

const MODES: [(RetrieveMode, &str); 3] = [
    (RetrieveMode::Lexical, "lexical"),
    (RetrieveMode::Dense, "dense"),
    (RetrieveMode::Hybrid, "hybrid"),
];

impl SettingValue for RetrieveMode {
    fn read(raw: &Raw) -> Result<Self, String> {
        one_of(raw, &MODES)
    }

    fn write(&self) -> Option<String> {
        name_of(self, &MODES)
    }
}

const FUSIONS: [(RetrieveFusion, &str); 3] = [
    (RetrieveFusion::Rrf, "rrf"),
    (RetrieveFusion::MinMax, "minmax"),
    (RetrieveFusion::Dbsf, "dbsf"),
];

impl SettingValue for RetrieveFusion {
    fn read(raw: &Raw) -> Result<Self, String> {
        one_of(raw, &FUSIONS)
    }

    fn write(&self) -> Option<String> {
        name_of(self, &FUSIONS)
    }
}

const TYPOS: [(RetrieveTypos, &str); 2] =
    [(RetrieveTypos::Auto, "auto"), (RetrieveTypos::Off, "off")];

impl SettingValue for RetrieveTypos {
    fn read(raw: &Raw) -> Result<Self, String> {
        one_of(raw, &TYPOS)
    }

    fn write(&self) -> Option<String> {
        name_of(self, &TYPOS)
    }
}

const TRUSTS: [(RetrieveTrust, &str); 2] =
    [(RetrieveTrust::Auto, "auto"), (RetrieveTrust::Off, "off")];

impl SettingValue for RetrieveTrust {
    fn read(raw: &Raw) -> Result<Self, String> {
        one_of(raw, &TRUSTS)
    }

    fn write(&self) -> Option<String> {
        name_of(self, &TRUSTS)
    }
}

const FORMATS: [(LogFormat, &str); 2] = [(LogFormat::Text, "text"), (LogFormat::Json, "json")];

impl SettingValue for LogFormat {
    fn read(raw: &Raw) -> Result<Self, String> {
        one_of(raw, &FORMATS)
    }

    fn write(&self) -> Option<String> {
        name_of(self, &FORMATS)
    }
}
