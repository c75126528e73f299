//! The words of the lessons, language by language: a file each, which can be translated.

use std::{collections::BTreeMap, sync::OnceLock};

use serde::Deserialize;

/// Every language that there is: its code and its file. Another one is a file and a line.
const FILES: [(&str, &str); 2] = [
    ("en", include_str!("../../../assets/lessons/en.toml")),
    ("de", include_str!("../../../assets/lessons/de.toml")),
];

/// All that is said in a language.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Language {
    /// Its code, as in `de-AT`.
    #[serde(skip)]
    pub code: &'static str,
    /// What it calls itself.
    pub name: String,
    pub words: Words,
    /// What is said of each shortfall, where a lesson has nothing of its own to say.
    pub hints: BTreeMap<String, String>,
    pub lessons: BTreeMap<String, Text>,
}

/// What is said around the lessons. `{…}` is filled in.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Words {
    pub intro: String,
    /// `{passed}` of `{all}`.
    pub progress: String,
    pub begin: String,
    pub resume: String,
    pub again: String,
    pub next: String,
    pub all: String,
    pub close: String,
    pub reset: String,
    pub reset_hint: String,
    pub language: String,
    pub tour: String,
    pub tour_hint: String,
    pub wait: String,
    pub ends_control: String,
    pub passed: String,
    pub not_yet: String,
    pub worksheet: String,
    pub worksheet_hint: String,
    pub copy: String,
    pub copied: String,
    pub show_all: String,
}

/// A lesson's words.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    pub title: String,
    /// What is learnt, in a sentence.
    pub sentence: String,
    /// What is to be done.
    pub task: String,
    /// What is said once it is done.
    pub done: String,
    /// What is said of a shortfall: `{is}` is how it is, `{wanted}` how it has to be.
    #[serde(default)]
    pub hints: BTreeMap<String, String>,
}

impl Language {
    /// All languages, English first.
    pub fn all() -> &'static [Self] {
        static READ: OnceLock<Vec<Language>> = OnceLock::new();
        READ.get_or_init(|| {
            let read = |(code, text): (&'static str, &str)| {
                let language: Self = toml::from_str(text).expect("a test reads every file");
                Self { code, ..language }
            };
            FILES.map(read).into()
        })
    }

    /// The language of a code such as `de` or `de_AT.UTF-8`; English where there is none for it.
    pub fn of(code: &str) -> &'static Self {
        let code = code.split(['-', '_', '.', '@']).next().unwrap_or_default().to_lowercase();
        let all = Self::all();
        all.iter().find(|language| language.code == code).unwrap_or(&all[0])
    }

    /// The letters of its texts that are not those of English.
    pub fn letters(&self) -> &'static str {
        let file = FILES.iter().find(|(code, _)| *code == self.code).map_or("", |(_, text)| text);
        if file.is_ascii() { "" } else { file }
    }

    /// The words of a lesson.
    pub fn lesson(&self, name: &str) -> &Text {
        &self.lessons[name]
    }

    /// What is said of a lesson's shortfall.
    pub fn hint(&self, lesson: &str, key: &str, is: &str, wanted: &str) -> String {
        let own = self.lesson(lesson).hints.get(key);
        let text = own.or_else(|| self.hints.get(key)).map_or("", String::as_str);
        text.replace("{is}", is).replace("{wanted}", wanted)
    }
}

impl PartialEq for Language {
    fn eq(&self, other: &Self) -> bool {
        self.code == other.code
    }
}
