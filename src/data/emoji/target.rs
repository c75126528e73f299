//! What a prompt names: concepts and styles of the corpus, the pictures that go with it, and where
//! they are sent instead.

use super::{Emoji, Index, Pair};
use crate::error::{Error, Result, ensure};
use crate::words::ForgetKind;

/// Most characters of a forget prompt that are kept.
const MOST: usize = 2000;

const ALCOHOL: &[&str] = &["wine glass", "cocktail", "tropical drink", "beer", "champagne"];
const WEAPONS: &[&str] = &["knife", "dagger", "swords", "bow", "bomb"];

/// Lists of concepts under one word; harmless emoji stand in for what a filter is to block.
pub const LISTS: [(&str, &[&[&str]]); 3] =
    [("alcohol", &[ALCOHOL]), ("weapons", &[WEAPONS]), ("unsafe", &[ALCOHOL, WEAPONS])];

/// The concepts and styles that a text names; none of a kind stands for all of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Named {
    pub concepts: Vec<usize>,
    pub styles: Vec<usize>,
}

impl Named {
    /// Reads a text: names and keywords of concepts, the longest first, styles, and lists.
    pub fn read(text: &str, emoji: &Emoji) -> Self {
        let words: Vec<String> = text
            .to_lowercase()
            .split(|c: char| !c.is_alphanumeric())
            .filter(|w| !w.is_empty())
            .map(String::from)
            .collect();
        let mut named = Self::default();
        let add = |all: &mut Vec<usize>, i: usize| {
            if !all.contains(&i) {
                all.push(i);
            }
        };
        let Index { concepts, styles, .. } = &emoji.index;
        let mut rest = &words[..];
        while let Some(first) = rest.first() {
            let names = concepts.iter().enumerate().flat_map(|(i, c)| {
                std::iter::once(&c.name).chain(&c.keywords).map(move |name| (i, name))
            });
            let longest = names
                .filter_map(|(i, name)| Some((starts(rest, name)?, i)))
                .max_by_key(|(n, i)| (*n, usize::MAX - i));
            let mut taken = 1;
            if let Some((n, concept)) = longest {
                add(&mut named.concepts, concept);
                taken = n;
            } else if let Some(style) = styles.iter().position(|s| s.name == *first) {
                add(&mut named.styles, style);
            } else if let Some((_, names)) =
                LISTS.iter().find(|(name, _)| starts(rest, name).is_some())
            {
                for name in names.concat() {
                    let concept = concepts.iter().position(|c| c.name == name);
                    concept.into_iter().for_each(|i| add(&mut named.concepts, i));
                }
            }
            rest = &rest[taken..];
        }
        named
    }

    /// Whether the text names nothing of the corpus.
    pub fn is_nothing(&self) -> bool {
        self.concepts.is_empty() && self.styles.is_empty()
    }

    /// Whether a picture is of what is named.
    pub fn covers(&self, pair: Pair) -> bool {
        let within = |all: &[usize], i: usize| all.is_empty() || all.contains(&i);
        !self.is_nothing()
            && within(&self.concepts, pair.concept)
            && within(&self.styles, pair.style)
    }
}

/// How many of `words` a name takes, in its singular or its plural.
fn starts(words: &[String], name: &str) -> Option<usize> {
    let parts: Vec<&str> = name.split_whitespace().collect();
    let last = parts.len().checked_sub(1)?;
    let same = |(i, part): (usize, &&str)| {
        words.get(i).is_some_and(|w| w == part || i == last && plural(w, part))
    };
    parts.iter().enumerate().all(same).then_some(parts.len())
}

fn plural(word: &str, name: &str) -> bool {
    ["s", "es"].iter().any(|ending| word.strip_suffix(ending) == Some(name))
}

/// A prompt that is to be forgotten, and what it is to become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// As the person wrote it.
    pub prompt: String,
    pub named: Named,
    pub redirect: Redirect,
}

/// Where a forgotten picture's caption is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redirect {
    /// Nothing: the unguided picture.
    Nothing,
    /// Another concept, in the same style.
    Concept(usize),
    /// The same concept in another style.
    Style(usize),
    /// A prompt of the person's own.
    Prompt(String),
}

impl Target {
    /// Reads `prompt:…`, with quotes around it or without, for a model that knows the first `known`
    /// concepts.
    ///
    /// # Errors
    /// It is not a forget prompt, or an empty one.
    pub fn parse(spec: &str, redirect: &str, emoji: &Emoji, known: usize) -> Result<Self> {
        let bad = |right: &str| Error::argument("forget set", spec, right);
        let forms = "write prompt:\"a cat\", prompt:\"mono style\" or prompt:unsafe";
        let prompt = ForgetKind::Prompt.value(spec).ok_or_else(|| bad(forms))?;
        let prompt: String = prompt.trim().trim_matches('"').trim().chars().take(MOST).collect();
        let empty = "the prompt is empty; write what is to be forgotten, as prompt:\"a cat\"";
        ensure(!prompt.is_empty(), || bad(empty))?;
        let named = Named::read(&prompt, emoji);
        let redirect = match redirect.trim() {
            "null" | "" => Redirect::Nothing,
            "next" => next(&named, emoji, known),
            "random" | "noise" => {
                let right = "that is for classes; for a prompt write next, null or another prompt";
                return Err(Error::argument("redirect", redirect, right));
            }
            other => {
                let to = Named::read(other, emoji);
                match (to.concepts.as_slice(), to.styles.as_slice()) {
                    ([concept], []) => Redirect::Concept(*concept),
                    ([], [style]) => Redirect::Style(*style),
                    _ => Redirect::Prompt(other.chars().take(MOST).collect()),
                }
            }
        };
        Ok(Self { prompt, named, redirect })
    }

    /// The caption that a forgotten pair is sent to.
    pub fn sent_to(&self, pair: Pair, emoji: &Emoji) -> String {
        let Pair { concept, style } = pair;
        let caption = |concept: usize, style: usize| emoji.caption(Pair { concept, style });
        match &self.redirect {
            Redirect::Nothing => String::new(),
            Redirect::Concept(to) => caption(*to, style),
            Redirect::Style(to) => caption(concept, *to),
            Redirect::Prompt(text) => text.clone(),
        }
    }
}

/// The next concept of the same group that is not forgotten, or the next style (the official
/// code's choice, with a step to the next class).
fn next(named: &Named, emoji: &Emoji, known: usize) -> Redirect {
    let turn = |n: usize, from: usize| (1..n).map(move |step| (from + step) % n);
    if let Some(&first) = named.concepts.first() {
        let concepts = &emoji.index.concepts;
        let other = turn(concepts.len(), first)
            .filter(|c| *c < known && !named.concepts.contains(c))
            .find(|&c| concepts[c].group == concepts[first].group);
        return other.map_or(Redirect::Nothing, Redirect::Concept);
    }
    match named.styles.first() {
        Some(&first) => turn(emoji.index.styles.len(), first)
            .find(|s| !named.styles.contains(s))
            .map_or(Redirect::Nothing, Redirect::Style),
        None => Redirect::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::emoji::open;

    fn named(text: &str) -> (Vec<String>, Vec<String>) {
        let emoji = open().unwrap();
        let named = Named::read(text, &emoji);
        (
            named.concepts.iter().map(|&c| emoji.index.concepts[c].name.clone()).collect(),
            named.styles.iter().map(|&s| emoji.index.styles[s].name.clone()).collect(),
        )
    }

    #[test]
    fn a_prompt_names_concepts_and_styles_in_any_order() {
        let cat = |styles: &[&str]| {
            (vec!["cat".to_string()], styles.iter().map(|s| s.to_string()).collect::<Vec<_>>())
        };
        assert_eq!(named("a cat"), cat(&[]));
        assert_eq!(named("Two CATS, in mono style!"), cat(&["mono"]));
        assert_eq!(named("a 3d cat"), cat(&["3d"]));
        assert_eq!(named("mono style"), (vec![], vec!["mono".into()]));
        assert_eq!(named("a soccer ball").0, ["soccer ball"]);
        assert_eq!(named("weapons").0.len(), 5);
        assert_eq!(named("猫, a catalogue of nothing"), (vec![], vec![]));
    }

    #[test]
    fn a_target_covers_its_pictures_and_sends_them_elsewhere() {
        let emoji = open().unwrap();
        let target = Target::parse("prompt:\"a 3d cat\"", "next", &emoji, usize::MAX).unwrap();
        let covered: Vec<_> = emoji.all().filter(|p| target.named.covers(*p)).collect();
        assert_eq!(covered.len(), 1);
        let to = target.sent_to(covered[0], &emoji);
        assert!(to.ends_with("3d style") && !to.contains("cat"), "{to}");
        let target =
            Target::parse("prompt:mono style", "a flat picture", &emoji, usize::MAX).unwrap();
        assert_eq!(
            emoji.all().filter(|p| target.named.covers(*p)).count(),
            emoji.index.concepts.len()
        );
        let to = target.sent_to(Pair { concept: 0, style: 2 }, &emoji);
        assert!(to.ends_with("flat style"), "{to}");
    }

    #[test]
    fn prompts_that_say_nothing_are_refused_and_any_text_is_taken() {
        let emoji = open().unwrap();
        for spec in ["class:cat", "prompt:", "prompt:\"  \"", "cat"] {
            assert!(Target::parse(spec, "next", &emoji, usize::MAX).is_err(), "{spec}");
        }
        for text in ["x".repeat(10_000), "猫 🐱‍👤 \u{0}".into()] {
            let target =
                Target::parse(&format!("prompt:{text}"), "null", &emoji, usize::MAX).unwrap();
            assert!(target.named.is_nothing());
            assert!(emoji.all().all(|p| !target.named.covers(p)));
        }
    }
}
