//! Pictures with words, which text-to-image models learn from, forget and keep: the emoji that come with the
//! program, a person's own folder, or prompts of which the model itself draws the pictures.

#[cfg(not(target_arch = "wasm32"))]
pub mod build;
mod captions;
mod emoji;
#[cfg(not(target_arch = "wasm32"))]
mod folder;
#[cfg(not(target_arch = "wasm32"))]
mod made;
mod target;

pub use captions::{BACKGROUNDS, Placement, article, plain, resampled, words};
pub use emoji::{COLUMNS, INDEX, open, pictures};
#[cfg(not(target_arch = "wasm32"))]
pub use folder::worded;
pub use target::{LISTS, Named, Part, Redirect, Target};

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Rng;
use crate::error::{Error, Result};
use crate::words::Fingerprint;

/// One way of drawing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Style {
    /// One word, as captions say it; the mosaic is `NAME.webp`.
    pub name: String,
    /// The package that the art comes from, `NAME@VERSION`.
    pub package: String,
    pub license: String,
}

/// One thing that is drawn.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Concept {
    pub emoji: String,
    /// As captions say it: of a person's pictures their class, or the caption itself.
    pub name: String,
    /// Unicode's group, such as Food & Drink.
    pub group: String,
    /// Other words for this concept and for no other one here.
    pub keywords: Vec<String>,
}

/// What `index.json` says of emoji, and the same of other pictures.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Index {
    /// Side of a picture in pixels.
    pub side: usize,
    /// Art styles; only emoji have them.
    pub styles: Vec<Style>,
    pub concepts: Vec<Concept>,
    /// (concept, style) pairs that no generator is trained on, to see whether it composes.
    pub held_out: Vec<[usize; 2]>,
}

/// Captioned pictures.
#[derive(Debug, Clone, Default)]
pub struct Corpus {
    /// What a person calls it.
    pub name: String,
    pub index: Index,
    source: Source,
    /// What it was when it was read, if it is a person's.
    pub fingerprint: Option<Fingerprint>,
    /// What of it is not used, and what was done to what is, a line each.
    pub notes: Vec<String>,
}

/// Where the pictures are.
#[derive(Debug, Clone, Default)]
enum Source {
    /// RGBA of every style's concepts, one picture after another.
    Drawn(Arc<Vec<Vec<u8>>>),
    /// Files with their captions, those of each concept together.
    #[cfg(not(target_arch = "wasm32"))]
    Files(Arc<Vec<Vec<folder::Captioned>>>),
    /// Nowhere: the model draws each concept's name.
    #[default]
    Made,
}

/// A picture of the corpus: which concept, and in which style. Where there are no styles it is which of the
/// concept's pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pair {
    pub concept: usize,
    pub style: usize,
}

impl Corpus {
    /// Prompts of which the model draws the pictures.
    pub fn of_prompts(name: &str, prompts: Vec<String>) -> Self {
        let concept = |name| Concept { name, ..Concept::default() };
        let concepts = prompts.into_iter().map(concept).collect();
        Self { name: name.into(), index: Index { concepts, ..Index::default() }, ..Self::default() }
    }

    /// The same with prompts that name nothing of it as concepts more: of a person's pictures without a picture, of
    /// prompts as others are. Emoji stay as they are.
    pub fn with(&self, prompts: &[String]) -> Self {
        let mut all = self.clone();
        if !all.has_styles() {
            let concept = |name: &String| Concept { name: name.clone(), ..Concept::default() };
            all.index.concepts.extend(prompts.iter().map(concept));
        }
        all
    }

    /// Whether there are pictures, which the model does not draw by itself.
    pub fn has_pictures(&self) -> bool {
        !matches!(self.source, Source::Made)
    }

    /// Whether concepts are drawn in styles: emoji are.
    pub fn has_styles(&self) -> bool {
        !self.index.styles.is_empty()
    }

    /// Pictures of a concept, held-out ones included.
    fn pictures(&self, concept: usize) -> usize {
        match &self.source {
            Source::Drawn(styles) => styles.len(),
            #[cfg(not(target_arch = "wasm32"))]
            Source::Files(files) => files.get(concept).map_or(0, Vec::len),
            Source::Made => usize::from(concept < self.index.concepts.len()),
        }
    }

    /// The RGBA bytes of an emoji, row by row; none of other pictures.
    fn rgba(&self, pair: Pair) -> &[u8] {
        let Source::Drawn(styles) = &self.source else { return &[] };
        let n = 4 * self.index.side * self.index.side;
        &styles[pair.style][pair.concept * n..][..n]
    }

    /// The plainest caption of a pair.
    pub fn caption(&self, Pair { concept, style }: Pair) -> String {
        let Index { concepts, styles, .. } = &self.index;
        match &self.source {
            Source::Drawn(_) => plain(&concepts[concept].name, &styles[style].name),
            #[cfg(not(target_arch = "wasm32"))]
            Source::Files(files) => match files.get(concept).map_or(&[][..], Vec::as_slice) {
                [] => concepts[concept].name.clone(),
                all => all[style % all.len()].caption.clone(),
            },
            Source::Made => concepts[concept].name.clone(),
        }
    }

    /// A caption as a person might write it, of a picture on a background.
    pub fn varied(&self, pair: Pair, background: Option<usize>, rng: &mut Rng) -> String {
        match &self.source {
            Source::Drawn(_) => captions::varied(&self.index, pair, background, rng),
            _ => self.caption(pair),
        }
    }

    /// A picture as it is placed, where that is known to it; a person's are centre-cropped. 3 · side · side values
    /// in [0, 1], channels first.
    ///
    /// # Errors
    /// Its file cannot be read any more, or there is none.
    pub fn picture(&self, pair: Pair, at: Placement, side: usize) -> Result<Vec<f32>> {
        match &self.source {
            Source::Drawn(_) => {
                let own = self.index.side;
                let picture = captions::compose(self.rgba(pair), own, at);
                Ok(if own == side { picture } else { resampled(&picture, own, side) })
            }
            #[cfg(not(target_arch = "wasm32"))]
            Source::Files(files) => files[pair.concept][pair.style].read(side),
            Source::Made => {
                let what = format!("{} has no picture of '{}'", self.name, self.caption(pair));
                Err(Error::Request(what))
            }
        }
    }

    /// Every pair that may be trained on.
    pub fn pairs(&self) -> Vec<Pair> {
        self.all().filter(|p| !self.is_held_out(*p)).collect()
    }

    /// Every pair, concept by concept.
    pub fn all(&self) -> impl Iterator<Item = Pair> {
        (0..self.index.concepts.len()).flat_map(move |concept| {
            (0..self.pictures(concept)).map(move |style| Pair { concept, style })
        })
    }

    /// Whether a generator is never shown this pair.
    pub fn is_held_out(&self, pair: Pair) -> bool {
        self.index.held_out.contains(&[pair.concept, pair.style])
    }

    /// The names of concepts, and of styles behind them.
    pub fn classes(&self) -> Vec<String> {
        let Index { concepts, styles, .. } = &self.index;
        let styles = styles.iter().map(|s| format!("{} style", s.name));
        concepts.iter().map(|c| c.name.clone()).chain(styles).collect()
    }

    /// How many concepts a model was shown, the first ones, if these are the names of those that it was shown; all
    /// where it does not say.
    pub fn known(&self, shown: &[String]) -> usize {
        let concepts = &self.index.concepts;
        let first = shown.iter().zip(concepts).all(|(name, concept)| *name == concept.name);
        match shown.len() {
            0 => concepts.len(),
            n if first => n.min(concepts.len()),
            _ => concepts.len(),
        }
    }
}

/// A corpus by name: `emoji`; `emoji:PATH` for a folder that `salun data build emoji` wrote; `folder:PATH` for a
/// person's pictures with their captions; `made:FILE.txt` for prompts that the model draws.
///
/// # Errors
/// The name is unknown, the files are missing or damaged, or the pictures have no words.
pub fn find(name: &str) -> Result<Arc<Corpus>> {
    #[cfg(not(target_arch = "wasm32"))]
    {
        if let Some(path) = name.strip_prefix("emoji:") {
            let folder = std::path::Path::new(path);
            return emoji::read(|file| crate::disk::read(&folder.join(file))).map(Arc::new);
        }
        if let Some(given) = name.strip_prefix("folder:") {
            return folder::open(given);
        }
        if let Some(path) = name.strip_prefix("made:") {
            return made::open(path).map(Arc::new);
        }
    }
    if name == NAME {
        return open();
    }
    let known = ["emoji", "emoji:PATH", "folder:PATH", "made:FILE.txt"];
    Err(Error::unknown("data set of captioned pictures", name, known))
}

/// The corpus that comes with the product.
pub const NAME: &str = "emoji";

/// Whether a data set is captioned pictures and nothing else: a folder may be either.
pub fn is_corpus(name: &str) -> bool {
    name == NAME || name.starts_with("emoji:") || name.starts_with("made:")
}
