//! CLIP's byte-pair tokenizer (Sennrich et al. 2016; Radford et al. 2021), read from and written
//! to the files of a diffusers folder.
//!
//! Text is composed (NFC), its white space made single, lower-cased, cut into words, digits and
//! signs; each piece's bytes are merged pair by pair in the order that the merges are listed.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Range,
    path::Path,
};

use serde_json::json;
use unicode_general_category::{GeneralCategory as Category, get_general_category};
use unicode_normalization::UnicodeNormalization;

use crate::error::{Error, Result, ensure};

const START: &str = "<|startoftext|>";
const END: &str = "<|endoftext|>";
/// Marks the last symbol of a word.
const WORD_END: &str = "</w>";
/// The first line of a merges file.
const VERSION: &str = "#version: 0.2";

/// From a prompt to token numbers.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    vocabulary: HashMap<String, u32>,
    /// Two symbols to the rank of their merge, its result in [`Self::vocabulary`].
    merges: HashMap<[u32; 2], (u32, u32)>,
    /// As listed, for writing.
    listed: Vec<[String; 2]>,
    start: u32,
    end: u32,
    pad: u32,
    /// What fills prompts, as text.
    filler: String,
    /// Tokens of every prompt.
    pub length: usize,
}

/// A prompt as numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    /// Start, the prompt, end, then padding: as many as the text encoder has positions.
    pub ids: Vec<u32>,
    /// Tokens of the prompt that did not fit.
    pub dropped: usize,
}

impl Tokenizer {
    /// A tokenizer from its vocabulary and its merges in order; `pad` fills prompts up to `length`.
    ///
    /// # Errors
    /// A merge or a special token is not in the vocabulary; `path` is named.
    pub fn new(
        vocabulary: HashMap<String, u32>,
        listed: Vec<[String; 2]>,
        pad: &str,
        length: usize,
        path: &Path,
    ) -> Result<Self> {
        let id = |token: &str| {
            let short: String = token.chars().take(40).collect();
            let missing = || Error::file(path, format!("the vocabulary has no token '{short}'"));
            vocabulary.get(token).copied().ok_or_else(missing)
        };
        let mut merges = HashMap::with_capacity(listed.len());
        for (rank, [a, b]) in listed.iter().enumerate() {
            let merged = id(&format!("{a}{b}"))?;
            merges.entry([id(a)?, id(b)?]).or_insert((rank as u32, merged));
        }
        let few = || Error::file(path, format!("{length} tokens of a prompt are too few"));
        ensure(length >= 2, few)?;
        let (filler, start, end, pad) = (pad.to_string(), id(START)?, id(END)?, id(pad)?);
        Ok(Self { merges, listed, start, end, pad, filler, length, vocabulary })
    }

    /// A tokenizer in which each of these words is one token: the merges that make them, most
    /// needed first. `words` comes with counts.
    pub fn train(words: &[(String, usize)], length: usize) -> Self {
        let mut counts = BTreeMap::<&str, usize>::new();
        for (word, count) in words {
            *counts.entry(word).or_default() += count;
        }
        let mut open: Vec<(Vec<String>, usize)> = counts
            .into_iter()
            .map(|(word, count)| (symbols(word.bytes()).collect(), count))
            .collect();
        let mut listed = Vec::new();
        while let Some(best) = most_frequent(&open) {
            for (word, _) in &mut open {
                merge_all(word, &best);
            }
            listed.push(best);
        }
        let alphabet = || byte_symbols().into_iter().map(String::from);
        let ends = alphabet().map(|s| s + WORD_END);
        let merged = listed.iter().map(|[a, b]| format!("{a}{b}"));
        let special = [START, END].map(String::from);
        let mut vocabulary = HashMap::new();
        for token in alphabet().chain(ends).chain(merged).chain(special) {
            let next = vocabulary.len() as u32;
            vocabulary.entry(token).or_insert(next);
        }
        Self::new(vocabulary, listed, END, length, Path::new("tokenizer"))
            .expect("the merges' results are in the vocabulary")
    }

    /// Number of tokens that there are.
    pub fn vocabulary_size(&self) -> usize {
        self.vocabulary.values().max().map_or(0, |m| *m as usize + 1)
    }

    /// The token that ends a prompt.
    pub fn end(&self) -> u32 {
        self.end
    }

    /// A prompt of any content and length; what does not fit is dropped, as CLIP does.
    pub fn encode(&self, text: &str) -> Tokens {
        let mut ids = vec![self.start];
        self.pieces(text, &mut ids);
        let room = self.length - 1;
        let dropped = ids.len().saturating_sub(room);
        ids.truncate(room);
        ids.push(self.end);
        ids.resize(self.length, self.pad);
        Tokens { ids, dropped }
    }

    /// The words of a prompt, and the places of each one's tokens among its numbers: no special tokens, no signs, and
    /// nothing that was dropped.
    pub fn words(&self, text: &str) -> Vec<(String, Range<usize>)> {
        let mut words = self.pieces(text, &mut vec![self.start]);
        words.retain(|(word, at)| {
            at.end < self.length && word.contains(|c: char| !c.is_ascii_punctuation())
        });
        words
    }

    /// Adds the tokens of a text, and tells its pieces with the places of theirs.
    fn pieces(&self, text: &str, ids: &mut Vec<u32>) -> Vec<(String, Range<usize>)> {
        let mut pieces = Vec::new();
        let mut rest = text;
        // A person who types a special token gets that token, as in transformers: in Stable Diffusion 2 "!".
        let filler = (self.filler.as_str(), self.pad);
        loop {
            let special = [(START, self.start), (END, self.end), filler].into_iter();
            let special = special.filter(|(text, _)| !text.is_empty());
            let found = special.filter_map(|(s, id)| rest.find(s).map(|at| (at, s.len(), id)));
            let Some((at, length, id)) = found.min() else { break };
            pieces.extend(self.plain(&rest[..at], ids));
            ids.push(id);
            rest = &rest[at + length..];
        }
        pieces.extend(self.plain(rest, ids));
        pieces
    }

    fn plain(&self, text: &str, ids: &mut Vec<u32>) -> Vec<(String, Range<usize>)> {
        let mut one = |piece: String| {
            let first = ids.len();
            self.merge(&piece, ids);
            (piece, first..ids.len())
        };
        Self::split(text).into_iter().map(&mut one).collect()
    }

    /// The pieces of a text that tokens are made of, each by itself: words, English endings, digits, what else there is.
    pub fn split(text: &str) -> Vec<String> {
        let text: Vec<char> = text
            .nfc()
            .flat_map(|c| if c.is_whitespace() { ' '.to_lowercase() } else { c.to_lowercase() })
            .collect();
        let (mut rest, mut pieces) = (&text[..], Vec::new());
        while let Some(&first) = rest.first() {
            let length = match CharClass::of(first) {
                CharClass::Space => {
                    rest = &rest[1..];
                    continue;
                }
                _ if contraction(rest) > 0 => contraction(rest),
                CharClass::Digit => 1,
                kind => rest.iter().take_while(|c| CharClass::of(**c) == kind).count(),
            };
            pieces.push(rest[..length].iter().collect());
            rest = &rest[length..];
        }
        pieces
    }

    /// The tokens of one piece.
    fn merge(&self, piece: &str, ids: &mut Vec<u32>) {
        // A byte that the vocabulary lacks is what transformers calls unknown: the end token.
        let id = |s: String| self.vocabulary.get(&s).copied().unwrap_or(self.end);
        let mut word: Vec<u32> = symbols(piece.bytes()).map(id).collect();
        let rank = |a: u32, b: u32| self.merges.get(&[a, b]).copied().unwrap_or((u32::MAX, 0));
        // The merge of each symbol with the next one, kept beside the symbols.
        let mut next: Vec<(u32, u32)> = word.windows(2).map(|p| rank(p[0], p[1])).collect();
        while let Some((at, &(best, merged))) = next.iter().enumerate().min_by_key(|(_, r)| r.0) {
            if best == u32::MAX {
                break;
            }
            word[at] = merged;
            word.remove(at + 1);
            next.remove(at);
            if at < next.len() {
                next[at] = rank(word[at], word[at + 1]);
            }
            if at > 0 {
                next[at - 1] = rank(word[at - 1], word[at]);
            }
        }
        ids.extend(word);
    }

    /// `vocab.json`, `merges.txt`, `special_tokens_map.json` and `tokenizer_config.json`.
    pub fn files(&self) -> [(&'static str, String); 4] {
        let by_number: BTreeMap<u32, &str> =
            self.vocabulary.iter().map(|(token, id)| (*id, token.as_str())).collect();
        let lines: Vec<String> =
            by_number.iter().map(|(id, t)| format!("{}: {id}", json!(t))).collect();
        let merges: String = self.listed.iter().map(|[a, b]| format!("{a} {b}\n")).collect();
        let pad = by_number.get(&self.pad).copied().unwrap_or(END);
        let special = json!({
            "bos_token": START, "eos_token": END, "unk_token": END, "pad_token": pad,
        });
        let config = json!({
            "tokenizer_class": "CLIPTokenizer", "model_max_length": self.length,
            "bos_token": START, "eos_token": END, "unk_token": END, "pad_token": pad,
            "add_prefix_space": false, "do_lower_case": true, "errors": "replace",
        });
        [
            ("vocab.json", format!("{{{}}}\n", lines.join(", "))),
            ("merges.txt", format!("{VERSION}\n{merges}")),
            ("special_tokens_map.json", format!("{special:#}\n")),
            ("tokenizer_config.json", format!("{config:#}\n")),
        ]
    }
}

/// The merges of a file, one a line.
///
/// # Errors
/// A line is not two symbols; the line is named.
pub fn read_merges(text: &str, path: &Path) -> Result<Vec<[String; 2]>> {
    let lines =
        text.lines().enumerate().filter(|(i, l)| !(l.is_empty() || *i == 0 && l.starts_with('#')));
    lines
        .map(|(i, line)| match line.split_once(' ') {
            Some((a, b)) if !a.is_empty() && !b.is_empty() => Ok([a.to_string(), b.to_string()]),
            _ => Err(Error::file(path, format!("line {} is not two symbols", i + 1))),
        })
        .collect()
}

/// What a character is to the tokenizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CharClass {
    Space,
    Letter,
    Digit,
    Other,
}

impl CharClass {
    fn of(c: char) -> Self {
        use Category::*;
        match get_general_category(c) {
            _ if c.is_whitespace() => Self::Space,
            UppercaseLetter | LowercaseLetter | TitlecaseLetter | ModifierLetter | OtherLetter => {
                Self::Letter
            }
            DecimalNumber | LetterNumber | OtherNumber => Self::Digit,
            _ => Self::Other,
        }
    }
}

/// How long the English ending is that the text starts with; 0 if none.
fn contraction(text: &[char]) -> usize {
    match text {
        ['\'', 's' | 't' | 'm' | 'd', ..] => 2,
        ['\'', 'r', 'e', ..] | ['\'', 'v', 'e', ..] | ['\'', 'l', 'l', ..] => 3,
        _ => 0,
    }
}

/// A printable character for every byte (GPT-2's table).
fn byte_symbols() -> Vec<char> {
    let mut others = 256..;
    let symbol = |b: u32| match b {
        33..=126 | 161..=172 | 174..=255 => Some(b),
        _ => others.next(),
    };
    (0..256).filter_map(symbol).filter_map(char::from_u32).collect()
}

/// The symbols of a word, the last one marked.
fn symbols(bytes: impl ExactSizeIterator<Item = u8>) -> impl Iterator<Item = String> {
    let table = byte_symbols();
    let last = bytes.len().saturating_sub(1);
    bytes.enumerate().map(move |(i, b)| {
        let symbol = table[b as usize].to_string();
        if i == last { symbol + WORD_END } else { symbol }
    })
}

/// The pair that occurs most often in words that are not one symbol yet; ties by spelling.
fn most_frequent(words: &[(Vec<String>, usize)]) -> Option<[String; 2]> {
    let mut counts = BTreeMap::<[&String; 2], usize>::new();
    for (word, count) in words {
        for pair in word.windows(2) {
            *counts.entry([&pair[0], &pair[1]]).or_default() += count;
        }
    }
    let best = counts.into_iter().rev().max_by_key(|(_, n)| *n)?.0;
    Some(best.map(String::from))
}

fn merge_all(word: &mut Vec<String>, [a, b]: &[String; 2]) {
    let mut i = 0;
    while i + 1 < word.len() {
        if word[i] == *a && word[i + 1] == *b {
            let tail = word.remove(i + 1);
            word[i] += &tail;
        }
        i += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> Tokenizer {
        let words = ["a", "cat", "flat", "style", ","].map(|w| (w.to_string(), 1));
        Tokenizer::train(&words, 8)
    }

    #[test]
    fn a_known_word_is_one_token() {
        let t = small();
        let ids = t.encode("A  cat,\nflat STYLE").ids;
        assert_eq!(ids.len(), 8);
        let expected =
            ["a</w>", "cat</w>", ",</w>", "flat</w>", "style</w>"].map(|w| t.vocabulary[w]);
        assert_eq!(ids[1..6], expected);
        assert_eq!((ids[0], ids[6], ids[7]), (t.start, t.end, t.end));
    }

    #[test]
    fn prompts_of_any_content_fit_or_say_what_was_dropped() {
        let t = small();
        assert_eq!(t.encode("").ids, [t.start].into_iter().chain([t.end; 7]).collect::<Vec<_>>());
        for text in ["a".repeat(10_000), "猫 ".repeat(5_000), "\u{0}\u{fffd}🐱‍👤".into()] {
            let tokens = t.encode(&text);
            assert_eq!(tokens.ids.len(), 8);
            assert!(tokens.dropped > 0);
        }
    }

    #[test]
    fn its_own_files_give_the_same_tokenizer() {
        let t = small();
        let files: HashMap<_, _> = t.files().into_iter().collect();
        let vocabulary = serde_json::from_str(&files["vocab.json"]).unwrap();
        let merges = read_merges(&files["merges.txt"], Path::new("m")).unwrap();
        let back = Tokenizer::new(vocabulary, merges, END, 8, Path::new("m")).unwrap();
        for text in ["a cat", "style's 12 cats, naïve"] {
            assert_eq!(back.encode(text), t.encode(text));
        }
    }
}
