//! What a prompt names: concepts and styles of the corpus, the pictures that go with it, and where
//! they are sent instead.

use rand::RngExt;

use super::{Corpus, Index, Pair};
use crate::data::{Rng, alike, class_index, plain_words};
use crate::error::{Error, Result, ensure};
use crate::words;
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
    /// Reads a text: names and keywords of concepts, the longest first, styles, and lists. Of a person's pictures
    /// a text that names none stands for all whose captions have all of its words.
    pub fn read(text: &str, corpus: &Corpus) -> Self {
        let words = plain_words(text);
        let mut named = Self::default();
        let add = |all: &mut Vec<usize>, i: usize| {
            if !all.contains(&i) {
                all.push(i);
            }
        };
        let Index { concepts, styles, .. } = &corpus.index;
        let all = concepts.iter().enumerate();
        let names: Vec<(usize, Vec<String>)> = all
            .flat_map(|(i, c)| {
                std::iter::once(&c.name).chain(&c.keywords).map(move |name| (i, plain_words(name)))
            })
            .collect();
        let mut rest = &words[..];
        while let Some(first) = rest.first() {
            let longest = names
                .iter()
                .filter_map(|(i, name)| Some((starts(rest, name)?, *i)))
                .max_by_key(|(n, i)| (*n, usize::MAX - i));
            let mut taken = 1;
            if let Some((n, concept)) = longest {
                add(&mut named.concepts, concept);
                taken = n;
            } else if let Some(style) = styles.iter().position(|s| s.name == *first) {
                add(&mut named.styles, style);
            } else if let Some((_, names)) = LISTS
                .iter()
                .find(|(name, _)| corpus.has_styles() && starts(rest, &plain_words(name)).is_some())
            {
                for name in names.concat() {
                    let concept = concepts.iter().position(|c| c.name == name);
                    concept.into_iter().for_each(|i| add(&mut named.concepts, i));
                }
            }
            rest = &rest[taken..];
        }
        if named.is_nothing() && !corpus.has_styles() {
            named.concepts = described(&words, corpus);
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

/// Concepts whose captions have all of these words but articles, in any order; none where there are none.
fn described(words: &[String], corpus: &Corpus) -> Vec<usize> {
    let wanted: Vec<&String> =
        words.iter().filter(|word| !["a", "an", "the"].contains(&word.as_str())).collect();
    if wanted.is_empty() {
        return Vec::new();
    }
    let has = |concept: &usize| {
        let caption = plain_words(&corpus.caption(Pair { concept: *concept, style: 0 }));
        let said = |w: &&String| caption.iter().any(|c| c == *w || plural(w, c) || plural(c, w));
        wanted.iter().all(said)
    };
    (0..corpus.index.concepts.len()).filter(has).collect()
}

/// How many of `words` a name takes, in its singular or its plural.
fn starts(words: &[String], name: &[String]) -> Option<usize> {
    let last = name.len().checked_sub(1)?;
    let same = |(i, part): (usize, &String)| {
        words.get(i).is_some_and(|w| w == part || i == last && plural(w, part))
    };
    name.iter().enumerate().all(same).then_some(name.len())
}

fn plural(word: &str, name: &str) -> bool {
    ["s", "es"].iter().any(|ending| word.strip_suffix(ending) == Some(name))
}

/// One of the prompts that are to be forgotten together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// As the person wrote it; of a class its caption.
    pub prompt: String,
    pub named: Named,
}

/// What is to be forgotten, and what it is to become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// As the person wrote it.
    pub prompt: String,
    /// Its prompts, at least one.
    pub parts: Vec<Part>,
    /// What all of them name.
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
    /// One of these concepts for each picture, at random, in the same style.
    AnyConcept(Vec<usize>),
    /// The same concept in another style.
    Style(usize),
    /// A prompt of the person's own.
    Prompt(String),
    /// Noise in the place of the picture, under its own caption.
    Noise,
}

impl Target {
    /// Reads `prompt:…`, with quotes around it or without, several with `;` between, or `class:NAME` of a
    /// person's folder, for a model that knows the first `known` concepts.
    ///
    /// # Errors
    /// It is no such forget set, an empty one, or a class that the corpus has not.
    pub fn parse(
        spec: &str,
        redirect: &words::Redirect,
        corpus: &Corpus,
        known: usize,
    ) -> Result<Self> {
        let bad = |right: &str| Error::argument("forget set", spec, right);
        let forms = "write prompt:\"a cat\", prompt:\"mono style\" or prompt:unsafe";
        let (prompt, parts) = match ForgetKind::split(spec) {
            Some((ForgetKind::Prompt, text)) => {
                let text: String = text.chars().take(MOST).collect();
                // A whole caption is one prompt, whatever stands in it.
                let whole = unquoted(&text);
                let caption = corpus.index.concepts.iter().any(|c| alike(&c.name, whole));
                let between = if caption { '\0' } else { ';' };
                let parts = text.split(between).map(unquoted).filter(|part| !part.is_empty());
                let read = |prompt: &str| Part {
                    prompt: prompt.into(),
                    named: Named::read(prompt, corpus),
                };
                let parts: Vec<Part> = parts.map(read).collect();
                let whole: Vec<&str> = parts.iter().map(|part| &*part.prompt).collect();
                (whole.join("; "), parts)
            }
            Some((ForgetKind::Class, name)) if !corpus.has_styles() => {
                let names: Vec<&String> = corpus.index.concepts.iter().map(|c| &c.name).collect();
                let concept = class_index(&names, name)
                    .or_else(|_| class_index(&names, &name.replace('_', " ")))?;
                let prompt = corpus.caption(Pair { concept, style: 0 });
                let named = Named { concepts: vec![concept], styles: Vec::new() };
                (prompt.clone(), vec![Part { prompt, named }])
            }
            _ => return Err(bad(forms)),
        };
        let empty = "the prompt is empty; write what is to be forgotten, as prompt:\"a cat\"";
        ensure(!parts.is_empty(), || bad(empty))?;
        let mut named = Named::default();
        for part in &parts {
            let more = |all: &[usize], of: &[usize]| {
                of.iter().filter(|i| !all.contains(i)).copied().collect::<Vec<_>>()
            };
            named.concepts.extend(more(&named.concepts, &part.named.concepts));
            named.styles.extend(more(&named.styles, &part.named.styles));
        }
        let redirect = match redirect {
            words::Redirect::Null => Redirect::Nothing,
            words::Redirect::Next => next(&named, corpus, known),
            words::Redirect::Noise => Redirect::Noise,
            words::Redirect::Random => {
                let others = (0..known.min(corpus.index.concepts.len()))
                    .filter(|c| !named.concepts.contains(c));
                Redirect::AnyConcept(others.collect())
            }
            words::Redirect::Class(text) if text.trim().is_empty() => Redirect::Nothing,
            words::Redirect::Class(text) => {
                let to = Named::read(text, corpus);
                match (to.concepts.as_slice(), to.styles.as_slice()) {
                    ([concept], []) => Redirect::Concept(*concept),
                    ([], [style]) => Redirect::Style(*style),
                    _ => Redirect::Prompt(text.trim().chars().take(MOST).collect()),
                }
            }
        };
        let none = || {
            let right = "no other concept is left; write null, noise or another prompt";
            Error::argument("redirect", "random", right)
        };
        ensure(redirect != Redirect::AnyConcept(Vec::new()), none)?;
        Ok(Self { prompt, parts, named, redirect })
    }

    /// Whether a picture is of what one of its prompts names.
    pub fn covers(&self, pair: Pair) -> bool {
        self.parts.iter().any(|part| part.named.covers(pair))
    }

    /// Prompts that name no concept and no style of the corpus.
    pub fn strange(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter(|part| part.named.is_nothing()).map(|part| &*part.prompt)
    }

    /// Prompts that name no picture of the corpus: the model draws what they stand for.
    pub fn unknown(&self, pairs: &[Pair]) -> Vec<String> {
        let none = |part: &&Part| !pairs.iter().any(|pair| part.named.covers(*pair));
        self.parts.iter().filter(none).map(|part| part.prompt.clone()).collect()
    }

    /// The caption that a forgotten pair is sent to.
    pub fn sent_to(&self, pair: Pair, corpus: &Corpus, rng: &mut Rng) -> String {
        let Pair { concept, style } = pair;
        let caption = |concept: usize, style: usize| corpus.caption(Pair { concept, style });
        match &self.redirect {
            Redirect::Nothing | Redirect::Noise => String::new(),
            Redirect::Concept(to) => caption(*to, style),
            Redirect::AnyConcept(all) => caption(all[rng.random_range(0..all.len())], style),
            Redirect::Style(to) => caption(concept, *to),
            Redirect::Prompt(text) => text.clone(),
        }
    }
}

/// A text without the quotes and the spaces around it.
fn unquoted(text: &str) -> &str {
    text.trim().trim_matches('"').trim()
}

/// The next concept of the same group that is not forgotten, or the next style (the official
/// code's choice, with a step to the next class).
fn next(named: &Named, corpus: &Corpus, known: usize) -> Redirect {
    let turn = |n: usize, from: usize| (1..n).map(move |step| (from + step) % n);
    if let Some(&first) = named.concepts.first() {
        let concepts = &corpus.index.concepts;
        let other = turn(concepts.len(), first)
            .filter(|c| *c < known && !named.concepts.contains(c))
            .find(|&c| concepts[c].group == concepts[first].group);
        return other.map_or(Redirect::Nothing, Redirect::Concept);
    }
    match named.styles.first() {
        Some(&first) => turn(corpus.index.styles.len(), first)
            .find(|s| !named.styles.contains(s))
            .map_or(Redirect::Nothing, Redirect::Style),
        None => Redirect::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::corpus::open;
    use crate::data::seeded;
    use crate::words::Redirect as To;

    fn named(text: &str) -> (Vec<String>, Vec<String>) {
        let corpus = open().unwrap();
        let named = Named::read(text, &corpus);
        (
            named.concepts.iter().map(|&c| corpus.index.concepts[c].name.clone()).collect(),
            named.styles.iter().map(|&s| corpus.index.styles[s].name.clone()).collect(),
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
        let corpus = open().unwrap();
        let target = Target::parse("prompt:\"a 3d cat\"", &To::Next, &corpus, usize::MAX).unwrap();
        let covered: Vec<_> = corpus.all().filter(|p| target.covers(*p)).collect();
        assert_eq!(covered.len(), 1);
        let to = target.sent_to(covered[0], &corpus, &mut seeded(1, "sent"));
        assert!(to.ends_with("3d style") && !to.contains("cat"), "{to}");
        let target = Target::parse(
            "prompt:mono style",
            &To::Class("a flat picture".into()),
            &corpus,
            usize::MAX,
        )
        .unwrap();
        assert_eq!(corpus.all().filter(|p| target.covers(*p)).count(), corpus.index.concepts.len());
        let to = target.sent_to(Pair { concept: 0, style: 2 }, &corpus, &mut seeded(1, "sent"));
        assert!(to.ends_with("flat style"), "{to}");
    }

    #[test]
    fn prompts_that_say_nothing_are_refused_and_any_text_is_taken() {
        let corpus = open().unwrap();
        for spec in ["class:cat", "prompt:", "prompt:\"  \"", "cat"] {
            assert!(Target::parse(spec, &To::Next, &corpus, usize::MAX).is_err(), "{spec}");
        }
        for text in ["x".repeat(10_000), "猫 🐱‍👤 \u{0}".into()] {
            let target =
                Target::parse(&format!("prompt:{text}"), &To::Null, &corpus, usize::MAX).unwrap();
            assert!(target.named.is_nothing());
            assert!(corpus.all().all(|p| !target.covers(p)));
        }
    }

    #[test]
    fn several_prompts_cover_what_each_of_them_names() {
        let corpus = open().unwrap();
        let all = "prompt:\"a 3d cat\"; a flat dog;";
        let target = Target::parse(all, &To::Random, &corpus, usize::MAX).unwrap();
        assert_eq!(target.prompt, "a 3d cat; a flat dog");
        let covered: Vec<_> = corpus.all().filter(|p| target.covers(*p)).collect();
        assert_eq!(covered.len(), 2, "and no flat cat");
        let (mut rng, dog) = (seeded(1, "sent"), Named::read("dog", &corpus).concepts[0]);
        for _ in 0..50 {
            let to = Named::read(&target.sent_to(covered[0], &corpus, &mut rng), &corpus);
            assert!(!to.concepts.contains(&covered[0].concept) && !to.concepts.contains(&dog));
        }
        let target = Target::parse("prompt:a cat; a zorb", &To::Noise, &corpus, 9).unwrap();
        assert_eq!(target.unknown(&corpus.pairs()), ["a zorb"]);
    }

    #[test]
    fn words_of_captions_name_a_persons_pictures() {
        let captions =
            ["a red circle on white", "two blue circles", "a red square", "the sea, at night"];
        let captions = captions.map(String::from).to_vec();
        let corpus = Corpus::of_prompts("made:prompts.txt", captions);
        let named = |text: &str| Named::read(text, &corpus).concepts;
        assert_eq!(named("a circle"), [0, 1]);
        assert_eq!(named("red things"), [0usize; 0], "every word counts");
        assert_eq!(named("Red"), [0, 2]);
        assert_eq!(named("the sea, at night"), [3]);
        assert_eq!(named("weapons"), [0usize; 0]);
        assert_eq!(named("a"), [0usize; 0]);
        let class = Target::parse("class:a red square", &To::Next, &corpus, 9).unwrap();
        assert_eq!((class.named.concepts, class.redirect), (vec![2], Redirect::Concept(3)));
    }
}
