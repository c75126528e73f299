//! A tokenizer's files, as transformers wrote and writes them.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;

use super::folder::{json, needed};
use super::tokenizer::read_merges;
use super::{Files, Tokenizer};
use crate::error::{Error, Result};

/// The tokenizer whose files' names begin with `at`, of a model whose prompts have so many tokens; `filler` is the
/// one that fills them where the files have no say in it.
///
/// # Errors
/// A file is missing or damaged.
pub fn tokenizer(
    files: &dyn Files,
    at: &str,
    length: usize,
    filler: Option<u32>,
) -> Result<Tokenizer> {
    let within = |name: &str| format!("{at}{name}");
    // A token is written as text, or as an object with its text.
    let pad = |special: Option<Value>| {
        let pad = special?.get("pad_token")?.clone();
        Some(pad.as_str().or_else(|| pad.get("content")?.as_str())?.to_string())
    };
    let pad = pad(json(files, &within("special_tokens_map.json"))?)
        .or(pad(json(files, &within("tokenizer_config.json"))?))
        .unwrap_or_else(|| "<|endoftext|>".into());
    let pad = |vocabulary: &HashMap<String, u32>| {
        let first = vocabulary.iter().find(|(_, id)| Some(**id) == filler);
        first.map_or(pad.clone(), |(token, _)| token.clone())
    };
    if let Some(vocabulary) = json::<HashMap<String, u32>>(files, &within("vocab.json"))? {
        let name = within("merges.txt");
        let path = files.path().join(&name);
        let text = String::from_utf8(needed(files, &name, files.read(&name)?)?)
            .map_err(|_| Error::file(&path, "is not text"))?;
        let pad = pad(&vocabulary);
        return Tokenizer::new(vocabulary, read_merges(&text, &path)?, &pad, length, &path);
    }
    // Today's transformers write one file.
    let name = within("tokenizer.json");
    let path = files.path().join(&name);
    let Some(whole) = json::<Whole>(files, &name)? else {
        let (file, reason) = match files.single() {
            None => (within("vocab.json"), format!("is missing, and so is {name}")),
            Some(file) => {
                let right = "holds no tokenizer; put the folder tokenizer of any Stable Diffusion \
                             folder, or CLIP's vocab.json and merges.txt, beside it";
                (file, right.to_string())
            }
        };
        return Err(files.bad(&file, reason));
    };
    let mut vocabulary = whole.model.vocab;
    for Added { id, content } in whole.added_tokens {
        vocabulary.entry(content).or_insert(id);
    }
    let merges = whole.model.merges.into_iter().map(|merge| match merge {
        Merge::Pair(pair) => Ok(pair),
        Merge::Line(line) => {
            let pair = line.split_once(' ').map(|(a, b)| [a.to_string(), b.to_string()]);
            pair.ok_or_else(|| Error::file(&path, format!("the merge '{line}' is not two symbols")))
        }
    });
    let pad = pad(&vocabulary);
    Tokenizer::new(vocabulary, merges.collect::<Result<_>>()?, &pad, length, &path)
}

/// `tokenizer.json`, as far as it is read.
#[derive(Deserialize)]
struct Whole {
    model: Pairs,
    #[serde(default)]
    added_tokens: Vec<Added>,
}

#[derive(Deserialize)]
struct Pairs {
    vocab: HashMap<String, u32>,
    merges: Vec<Merge>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Merge {
    Pair([String; 2]),
    Line(String),
}

#[derive(Deserialize)]
struct Added {
    id: u32,
    content: String,
}
