//! What is to be forgotten: `class:Sneaker`, `random:10%`, `random:4500`, `indices:FILE`.

use super::{Dataset, Split, rng::RandomState};
use crate::error::{Error, Result};

const KINDS: [&str; 3] = ["class:NAME", "random:10% or random:COUNT", "indices:FILE"];

/// The training items to forget and those to keep, as indices into the official training set.
#[derive(Debug, Clone)]
pub struct ForgetSet {
    /// As the person wrote it, with the class by name.
    pub spec: String,
    /// The class, if a whole class is forgotten.
    pub class: Option<usize>,
    pub forget: Vec<usize>,
    pub retain: Vec<usize>,
}

impl ForgetSet {
    /// Resolves a specification against the training part of a split.
    ///
    /// # Errors
    /// The specification is malformed, names what is not there, or leaves a set empty.
    pub fn parse(spec: &str, data: &Dataset, split: &Split, seed: u64) -> Result<Self> {
        let bad = |right: String| Error::argument("forget set", spec, right);
        let Some((kind, value)) = spec.split_once(':') else {
            return Err(bad(format!("write {}", KINDS.join(", "))));
        };
        let mut name = spec.to_string();
        let mut class = None;
        let mut chosen = vec![false; data.train.len()];
        match kind {
            "class" => {
                let c = data.class(value)?;
                class = Some(c);
                name = format!("class:{}", data.classes[c]);
                for &i in &split.train {
                    chosen[i] = data.train.labels[i] as usize == c;
                }
            }
            "random" => {
                let n = split.train.len();
                let count = match value.strip_suffix('%') {
                    Some(percent) => percent
                        .parse::<f64>()
                        .ok()
                        .filter(|p| (0.0..=100.0).contains(p))
                        .map(|p| (n as f64 * p / 100.0) as usize),
                    None => value.parse().ok(),
                };
                let count = count.filter(|c| *c <= n).ok_or_else(|| {
                    bad(format!("a share of 0% to 100% or a count up to {n} is needed"))
                })?;
                for j in RandomState::new(seed as u32).choice(n, count) {
                    chosen[split.train[j]] = true;
                }
            }
            "indices" => {
                for i in read_indices(value)? {
                    if split.train.binary_search(&i).is_err() {
                        let right = format!("index {i} is not in the training part");
                        return Err(bad(right));
                    }
                    chosen[i] = true;
                }
            }
            _ => return Err(Error::unknown("kind of forget set", kind, KINDS)),
        }
        let (forget, retain): (Vec<_>, Vec<_>) = split.train.iter().partition(|i| chosen[**i]);
        if forget.is_empty() {
            return Err(bad("it selects nothing to forget".into()));
        }
        if retain.is_empty() {
            return Err(bad("it leaves nothing to retain".into()));
        }
        Ok(Self { spec: name, class, forget, retain })
    }
}

#[cfg(not(target_arch = "wasm32"))]
fn read_indices(path: &str) -> Result<Vec<usize>> {
    let text = crate::run::files::read_text(path.as_ref())?;
    text.split(|c: char| c.is_whitespace() || c == ',')
        .filter(|word| !word.is_empty())
        .map(|word| {
            let short: String = word.chars().take(20).collect();
            word.parse().map_err(|_| Error::file(path, format!("'{short}' is not an index")))
        })
        .collect()
}

#[cfg(target_arch = "wasm32")]
fn read_indices(path: &str) -> Result<Vec<usize>> {
    Err(Error::file(path, "a page cannot read files by name"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::fashion;

    #[test]
    fn a_class_is_all_of_its_training_items() {
        let data = fashion::open().unwrap();
        let split = data.split(1);
        for given in ["class:Sneaker", "class:sneaker", "class:7"] {
            let set = ForgetSet::parse(given, &data, &split, 1).unwrap();
            assert_eq!((set.forget.len(), set.retain.len()), (5_400, 48_600));
            assert!(set.forget.iter().all(|&i| data.train.labels[i] == 7));
            assert_eq!(set.spec, "class:Sneaker");
        }
    }

    #[test]
    fn a_random_share_is_repeatable_and_exact() {
        let data = fashion::open().unwrap();
        let split = data.split(1);
        let sets = ["random:10%", "random:5400"]
            .map(|s| ForgetSet::parse(s, &data, &split, 3).unwrap().forget);
        assert_eq!(sets[0].len(), 5_400);
        assert_eq!(sets[0], sets[1]);
    }

    #[test]
    fn malformed_sets_are_refused_in_one_line() {
        let data = fashion::open().unwrap();
        let split = data.split(1);
        for spec in [
            "",
            "sneaker",
            "class:",
            "class:Snekaer",
            "class:10",
            "random:",
            "random:-1",
            "random:0",
            "random:101%",
            "random:nan%",
            "random:100%",
            "random:99999999",
            "indices:/no/such/file",
            "prompt:cat",
            "classs:7",
        ] {
            let error = ForgetSet::parse(spec, &data, &split, 1).unwrap_err();
            assert!(!error.to_string().contains('\n'), "{spec}: {error}");
            assert_eq!(error.exit_code(), 2, "{spec}");
        }
    }
}
