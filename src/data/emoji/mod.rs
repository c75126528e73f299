//! Emoji in several art styles: every concept drawn in every style, on nothing.
//!
//! `salun data build emoji` makes the corpus from the artists' packages ([`build`]); what it makes
//! is in `assets/data/emoji`, with the licences of the art.

#[cfg(not(target_arch = "wasm32"))]
pub mod build;
mod captions;
mod target;

pub use captions::{BACKGROUNDS, Placement, article, compose, plain, varied, words};
pub use target::{LISTS, Named, Target};

use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};

use crate::assets;
use crate::error::{Error, Result, ensure};

/// The corpus among the [`assets`].
pub const FOLDER: &str = "data/emoji";
/// The description within the folder.
pub const INDEX: &str = "index.json";
/// Concepts in one row of a style's mosaic.
const COLUMNS: usize = 16;

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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Concept {
    pub emoji: String,
    /// As captions say it.
    pub name: String,
    /// Unicode's group, such as Food & Drink.
    pub group: String,
    /// Other words for this concept and for no other one here.
    pub keywords: Vec<String>,
}

/// What `index.json` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Index {
    /// Side of a picture in pixels.
    pub side: usize,
    pub styles: Vec<Style>,
    pub concepts: Vec<Concept>,
    /// (concept, style) pairs that no generator is trained on, to see whether it composes.
    pub held_out: Vec<[usize; 2]>,
}

/// The corpus in main memory.
#[derive(Debug)]
pub struct Emoji {
    pub index: Index,
    /// RGBA of every style's concepts, one picture after another.
    pixels: Vec<Vec<u8>>,
}

/// A picture of the corpus: which concept in which style.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pair {
    pub concept: usize,
    pub style: usize,
}

impl Emoji {
    /// Reads a corpus; `file` gives the bytes of a file of its folder.
    ///
    /// # Errors
    /// A file is missing or damaged, or the description does not fit the mosaics.
    pub fn read(file: impl Fn(&str) -> Result<Vec<u8>>) -> Result<Self> {
        let bad = |name: &str, reason: String| Error::file(format!("{FOLDER}/{name}"), reason);
        let index: Index = serde_json::from_slice(&file(INDEX)?)
            .map_err(|e| bad(INDEX, format!("cannot be read ({e})")))?;
        let (n, side) = (index.concepts.len(), index.side);
        let styles = index.styles.len();
        let usable = (1..=1 << 14).contains(&n) && (8..=256).contains(&side) && styles > 0;
        ensure(usable, || bad(INDEX, "a size is out of range".into()))?;
        let within = index.held_out.iter().all(|[c, s]| *c < n && *s < styles);
        ensure(within, || bad(INDEX, "a held-out pair is not in it".into()))?;
        let mosaic = |style: &Style| {
            let name = format!("{}.webp", style.name);
            let picture =
                image::load_from_memory(&file(&name)?).map_err(|e| bad(&name, e.to_string()))?;
            let expected = mosaic_size(n, side);
            let size = [picture.width() as usize, picture.height() as usize];
            let other = || bad(&name, format!("is {size:?} pixels, expected {expected:?}"));
            ensure(size == expected, other)?;
            Ok(untile(picture.into_rgba8().as_raw(), n, side))
        };
        let pixels = index.styles.iter().map(mosaic).collect::<Result<_>>()?;
        Ok(Self { index, pixels })
    }

    /// The RGBA bytes of a picture, row by row.
    pub fn rgba(&self, pair: Pair) -> &[u8] {
        let n = 4 * self.index.side * self.index.side;
        &self.pixels[pair.style][pair.concept * n..][..n]
    }

    /// The plainest caption of a pair.
    pub fn caption(&self, pair: Pair) -> String {
        let Index { concepts, styles, .. } = &self.index;
        plain(&concepts[pair.concept].name, &styles[pair.style].name)
    }

    /// Every pair that may be trained on.
    pub fn pairs(&self) -> Vec<Pair> {
        self.all().filter(|p| !self.is_held_out(*p)).collect()
    }

    /// Every pair, concept by concept.
    pub fn all(&self) -> impl Iterator<Item = Pair> {
        let styles = self.index.styles.len();
        (0..self.index.concepts.len())
            .flat_map(move |concept| (0..styles).map(move |style| Pair { concept, style }))
    }

    /// Whether a generator is never shown this pair.
    pub fn is_held_out(&self, pair: Pair) -> bool {
        self.index.held_out.contains(&[pair.concept, pair.style])
    }
}

/// The corpus that comes with the product, unpacked once.
///
/// # Errors
/// The files are damaged, or not there yet.
pub fn open() -> Result<Arc<Emoji>> {
    static OPEN: OnceLock<Arc<Emoji>> = OnceLock::new();
    let file = |name: &str| Ok(assets::bytes(&format!("{FOLDER}/{name}"))?.into_owned());
    super::once(&OPEN, || Emoji::read(file))
}

/// A corpus by name: `emoji`, or `emoji:PATH` for a folder that `salun data build emoji` wrote.
///
/// # Errors
/// The name is unknown, or the files are missing or damaged.
pub fn find(name: &str) -> Result<Arc<Emoji>> {
    #[cfg(not(target_arch = "wasm32"))]
    if let Some(path) = name.strip_prefix("emoji:") {
        let folder = std::path::Path::new(path);
        return Emoji::read(|file| crate::disk::read(&folder.join(file))).map(Arc::new);
    }
    if name == NAME {
        return open();
    }
    Err(Error::unknown("data set of captioned pictures", name, ["emoji", "emoji:PATH"]))
}

/// The corpus that comes with the product.
pub const NAME: &str = "emoji";

/// Whether a data set is captioned pictures.
pub fn is_corpus(name: &str) -> bool {
    name == NAME || name.starts_with("emoji:")
}

fn mosaic_size(n: usize, side: usize) -> [usize; 2] {
    [COLUMNS * side, n.div_ceil(COLUMNS) * side]
}

/// The pictures of a mosaic, one after another.
fn untile(mosaic: &[u8], n: usize, side: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(4 * n * side * side);
    let row = 4 * COLUMNS * side;
    for i in 0..n {
        let (top, left) = (i / COLUMNS * side, i % COLUMNS * side);
        for y in top..top + side {
            out.extend(&mosaic[y * row + 4 * left..][..4 * side]);
        }
    }
    out
}
