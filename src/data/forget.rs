//! What is to be forgotten: `class:Sneaker`, `random:10%`, `random:4500`, `hardest:10%`,
//! `easiest:10%`, `indices:FILE`, `items:1,5,9-20`, `mine:all`.

#[cfg(not(target_arch = "wasm32"))]
use super::indices::Listed;
use super::rng::RandomState;
use super::{Dataset, Split, by_name, ranges};
use crate::error::{Error, Result, ensure};
use crate::words::ForgetKind;

const KINDS: [&str; 7] = [
    "class:NAME",
    "random:10% or random:COUNT",
    "hardest:10% or hardest:COUNT",
    "easiest:10% or easiest:COUNT",
    "indices:FILE",
    "items:1,5,9-20",
    "mine:all",
];

/// The kinds of forget set, for help texts.
pub const HELP: &str = "class:NAME, random:10%, random:COUNT, hardest:10% or easiest:10% (by the \
                        model's loss), indices:FILE, items:1,5,9-20 or mine:all (what \
                        +folder:PATH adds to --data); of a text-to-image model prompt:\"a cat\", \
                        several with ; between, or class:NAME of a folder";

/// Characters that an inline list may have.
const LONGEST: usize = 20_000;

/// The training items to forget and those to keep, as indices into the official training set.
#[derive(Debug, Clone)]
pub struct ForgetSet {
    /// As the person wrote it, with the class by name.
    pub spec: String,
    /// The class, if a whole class is forgotten.
    pub class: Option<usize>,
    pub forget: Vec<usize>,
    pub retain: Vec<usize>,
    /// What the model forgot before, which is in neither of the two for its own sake.
    pub earlier: Vec<Earlier>,
}

/// The forget set of an earlier request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Earlier {
    pub spec: String,
    /// The class, if it was a whole class.
    pub class: Option<usize>,
    pub items: Vec<usize>,
}

/// Whether a specification selects by the losses of the original model, so that
/// [`ForgetSet::select`] needs them.
pub fn by_loss(spec: &str) -> bool {
    matches!(ForgetKind::of(spec), Some(ForgetKind::Hardest | ForgetKind::Easiest))
}

/// A specification in a few words, for titles: a list of items can be long.
pub fn brief(spec: &str) -> String {
    const WIDE: usize = 40;
    match spec.char_indices().nth(WIDE) {
        Some((end, _)) => format!("{}\u{2026}", &spec[..end]),
        None => spec.into(),
    }
}

impl ForgetSet {
    /// Resolves a specification against the training part of a split, without a model's losses.
    ///
    /// # Errors
    /// The specification is malformed, needs losses, names what is not there, or leaves a set
    /// empty.
    pub fn parse(spec: &str, data: &Dataset, split: &Split, seed: u64) -> Result<Self> {
        Self::select(spec, data, split, seed, None)
    }

    /// Resolves a specification. `losses` has the original model's loss on every official training
    /// picture; only those of the training part are looked at.
    ///
    /// # Errors
    /// As [`ForgetSet::parse`].
    pub fn select(
        spec: &str,
        data: &Dataset,
        split: &Split,
        seed: u64,
        losses: Option<&[f32]>,
    ) -> Result<Self> {
        let bad = |right: String| Error::argument("forget set", spec, right);
        let Some((kind, value)) = spec.split_once(':') else {
            return Err(bad(format!("write {}", KINDS.join(", "))));
        };
        let count = || {
            let n = split.train.len();
            amount(value, n)
                .ok_or_else(|| bad(format!("a share of 0% to 100% or a count up to {n} is needed")))
        };
        let mut name = spec.to_string();
        let mut class = None;
        let chosen: Vec<usize> = match kind.parse() {
            Ok(ForgetKind::Class) => {
                let c = data.class(value)?;
                class = Some(c);
                name = format!("class:{}", data.classes[c]);
                split.train.iter().copied().filter(|&i| data.train.is_of(i, c)).collect()
            }
            Ok(ForgetKind::Random) => {
                // NumPy's seeds are of 32 bits; a longer one is another seed, not the end of itself.
                let short = (seed as u32) ^ (seed >> 32) as u32;
                let count = count()?;
                if !data.names.is_empty() {
                    // By their names, so that those that come and go change no other's lot.
                    let purpose = format!("random {seed}");
                    let mut all: Vec<(f64, usize)> = (split.train.iter())
                        .map(|&i| (by_name(&purpose, &data.names[i]), i))
                        .collect();
                    all.sort_by(|a, b| a.0.total_cmp(&b.0));
                    all.into_iter().take(count).map(|(_, i)| i).collect()
                } else {
                    let places = RandomState::new(short).choice(split.train.len(), count);
                    places.into_iter().map(|j| split.train[j]).collect()
                }
            }
            Ok(kind @ (ForgetKind::Hardest | ForgetKind::Easiest)) => {
                let count = count()?;
                let losses = losses.ok_or_else(|| {
                    bad("there is no model here to take losses of; write indices:FILE".into())
                })?;
                extreme(losses, &split.train, count, kind == ForgetKind::Hardest)?
            }
            Ok(ForgetKind::Indices) => {
                let items = read_indices(value, data)?;
                let known = |i: &usize| split.train.binary_search(i).is_ok();
                if let Some(i) = items.iter().find(|i| !known(i)) {
                    return Err(bad(format!("index {i} is not in the training part")));
                }
                items
            }
            Ok(ForgetKind::Items) if value.len() > LONGEST => {
                return Err(bad(format!("{LONGEST} characters at the most; write indices:FILE")));
            }
            Ok(ForgetKind::Items) => ranges::read(value, &split.train).map_err(bad)?,
            Ok(ForgetKind::Mine) => data.added_items(value).map_err(bad)?.collect(),
            _ => return Err(Error::unknown("kind of forget set", kind, KINDS)),
        };
        let mut forgotten = vec![false; data.train.len()];
        chosen.into_iter().for_each(|i| forgotten[i] = true);
        let (forget, retain): (Vec<_>, Vec<_>) = split.train.iter().partition(|i| forgotten[**i]);
        ensure(!forget.is_empty(), || bad("it selects nothing to forget".into()))?;
        let set = Self { spec: name, class, forget, retain, earlier: Vec::new() };
        set.after(Vec::new())
    }

    /// The same request to a model that forgot other sets before: nothing of them is retained, or
    /// training would bring it back.
    ///
    /// # Errors
    /// Nothing is left to retain.
    pub fn after(mut self, earlier: Vec<Earlier>) -> Result<Self> {
        let gone = earlier.iter().flat_map(|e| &e.items);
        let gone: std::collections::HashSet<usize> = gone.copied().collect();
        self.retain.retain(|i| !gone.contains(i));
        let none = || Error::argument("forget set", &self.spec, "it leaves nothing to retain");
        ensure(!self.retain.is_empty(), none)?;
        self.earlier = earlier;
        Ok(self)
    }

    /// Whether a class is forgotten as a whole, by this request or an earlier one.
    pub fn absent(&self, class: usize) -> bool {
        self.class == Some(class) || self.earlier.iter().any(|e| e.class == Some(class))
    }
}

/// A share `10%` or a count of `n`.
fn amount(value: &str, n: usize) -> Option<usize> {
    let count = match value.strip_suffix('%') {
        Some(percent) => {
            let percent = percent.parse::<f64>().ok().filter(|p| (0.0..=100.0).contains(p))?;
            (n as f64 * percent / 100.0) as usize
        }
        None => value.parse().ok()?,
    };
    Some(count).filter(|c| *c <= n)
}

/// The `count` of `items` with the largest losses, or the smallest; ties by position.
fn extreme(losses: &[f32], items: &[usize], count: usize, largest: bool) -> Result<Vec<usize>> {
    if let Some(i) = items.iter().find(|i| !losses[**i].is_finite()) {
        return Err(Error::Diverged(format!("the model's loss on picture {i} is {}", losses[*i])));
    }
    let mut order = items.to_vec();
    order.sort_by(|&a, &b| {
        let ascending = losses[a].total_cmp(&losses[b]);
        if largest { ascending.reverse() } else { ascending }
    });
    order.truncate(count);
    Ok(order)
}

/// The items that a file lists, by index or by name.
#[cfg(not(target_arch = "wasm32"))]
fn read_indices(path: &str, data: &Dataset) -> Result<Vec<usize>> {
    let path = crate::disk::expanded(path);
    match super::indices::read(&path)? {
        Listed::Indices(items) => Ok(items),
        Listed::Names(names) => data.items(&names).map_err(|reason| Error::file(path, reason)),
    }
}

#[cfg(target_arch = "wasm32")]
fn read_indices(path: &str, _: &Dataset) -> Result<Vec<usize>> {
    Err(Error::file(path, "a page cannot read files by name"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Pictures, fashion};

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
    fn golden_12_1_of_a_random_share_in_the_split_of_the_official_code() {
        // 45,000 of 50,000 are in the training part, 4,500 of them are forgotten.
        let pictures = Pictures {
            labels: (0..50_000).map(|i| (i % 10) as u8).collect(),
            ..Default::default()
        };
        let data = Dataset {
            name: "fifty thousand".into(),
            classes: (0..10).map(|c| c.to_string()).collect(),
            train: pictures.into(),
            ..Dataset::default()
        };
        let split = data.split(1);
        assert_eq!((split.train.len(), split.validation.len()), (45_000, 5_000));
        assert!(split.train.is_sorted());
        let set = ForgetSet::parse("random:10%", &data, &split, 1).unwrap();
        assert_eq!((set.forget.len(), set.retain.len()), (4_500, 40_500));
        assert_eq!(set.forget[..5], [10, 44, 45, 69, 85].map(|j: usize| split.train[j]));
        for class in [0, 1] {
            let golden = [[2764, 4767, 3814, 3499, 2735, 3922], [473, 2932, 3982, 881, 3158, 4714]];
            for place in golden[class] {
                // The members of a class are every tenth picture here.
                assert!(split.validation.binary_search(&(place * 10 + class)).is_ok());
            }
        }
    }

    #[test]
    fn the_hardest_and_the_easiest_are_by_loss_and_ties_by_position() {
        let losses = [0.5, 9.0, 0.1, 2.0, 2.0, 2.0, 0.0];
        let items = [0, 2, 3, 4, 5, 6];
        assert_eq!(extreme(&losses, &items, 3, true).unwrap(), [3, 4, 5]);
        assert_eq!(extreme(&losses, &items, 2, true).unwrap(), [3, 4]);
        assert_eq!(extreme(&losses, &items, 2, false).unwrap(), [6, 2]);
        assert!(extreme(&[f32::NAN], &[0], 1, true).is_err());
    }

    #[test]
    fn hardest_and_easiest_shares_are_exact_and_apart() {
        let data = fashion::open().unwrap();
        let split = data.split(1);
        let losses: Vec<f32> = (0..60_000u32).map(|i| ((i * 7919) % 60_013) as f32).collect();
        let select = |spec| ForgetSet::select(spec, &data, &split, 1, Some(&losses)).unwrap();
        let (hard, easy) = (select("hardest:10%"), select("easiest:5400"));
        assert_eq!((hard.forget.len(), easy.forget.len()), (5_400, 5_400));
        let most = |set: &ForgetSet| set.forget.iter().map(|i| losses[*i]).fold(0.0, f32::max);
        let least = |items: &[usize]| items.iter().map(|i| losses[*i]).fold(f32::MAX, f32::min);
        assert!(least(&hard.forget) > most(&easy) && most(&easy) < least(&easy.retain));
        assert!(by_loss("hardest:10%") && by_loss("easiest:1") && !by_loss("random:10%"));
    }

    #[test]
    fn items_are_listed_inline() {
        let data = fashion::open().unwrap();
        let split = data.split(1);
        let set = ForgetSet::parse("items:100-200", &data, &split, 1).unwrap();
        let expected: Vec<usize> =
            split.train.iter().copied().filter(|i| (100..=200).contains(i)).collect();
        assert_eq!(set.forget, expected);
        assert_eq!(set.retain.len(), 54_000 - expected.len());
        assert_eq!(brief("items:100-200"), "items:100-200");
        assert_eq!(brief(&format!("items:{}", "1,".repeat(99))).chars().count(), 41);
    }

    #[test]
    fn what_was_forgotten_before_is_not_retained() {
        let data = fashion::open().unwrap();
        let split = data.split(1);
        let [first, then] = ["class:Bag", "class:Sneaker"]
            .map(|spec| ForgetSet::parse(spec, &data, &split, 1).unwrap());
        let (spec, class, items) = (first.spec, first.class, first.forget);
        let then = then.after(vec![Earlier { spec, class, items }]).unwrap();
        assert_eq!((then.forget.len(), then.retain.len()), (5_400, 43_200));
        assert!(then.retain.iter().all(|&i| ![7, 8].contains(&data.train.labels[i])));
        assert!(then.absent(7) && then.absent(8) && !then.absent(9));
        let all = Earlier { spec: "all".into(), class: None, items: split.train.clone() };
        assert!(then.after(vec![all]).is_err());
    }

    #[test]
    fn malformed_sets_are_refused_in_one_line() {
        let data = fashion::open().unwrap();
        let split = data.split(1);
        let long = format!("items:{}", "1,".repeat(LONGEST));
        for spec in [
            &*long,
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
            "hardest:",
            "hardest:101%",
            "hardest:10%",
            "easiest:-5",
            "items:",
            "items:1,,2",
            "items:9-1",
            "items:60000",
            "items:1-2-3",
            "items:70000-80000",
            "items:0-59999",
            "classs:7",
        ] {
            let error = ForgetSet::parse(spec, &data, &split, 1).unwrap_err();
            assert!(!error.to_string().contains('\n'), "{spec}: {error}");
            assert_eq!(error.exit_code(), 2, "{spec}");
        }
    }
}
