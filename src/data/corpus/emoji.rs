//! Emoji in several art styles: every concept drawn in every style, on nothing.
//!
//! `salun data build emoji` makes the corpus from the artists' packages (`build`); what it makes
//! is in `assets/data/emoji`, with the licences of the art.

use std::sync::{Arc, OnceLock};

use super::{Corpus, Index, NAME, Source, Style};
use crate::assets;
use crate::error::{Error, Result, ensure};

/// The corpus among the [`assets`].
pub const FOLDER: &str = "data/emoji";
/// The description within the folder.
pub const INDEX: &str = "index.json";
/// Concepts in one row of a style's mosaic.
pub const COLUMNS: usize = 16;

/// Reads a corpus; `file` gives the bytes of a file of its folder.
///
/// # Errors
/// A file is missing or damaged, or the description does not fit the mosaics.
pub fn read(file: impl Fn(&str) -> Result<Vec<u8>>) -> Result<Corpus> {
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
    let pixels = index.styles.iter().map(mosaic).collect::<Result<Vec<_>>>()?;
    let source = Source::Drawn(Arc::new(pixels));
    Ok(Corpus { name: NAME.into(), index, source, ..Corpus::default() })
}

/// The corpus that comes with the product, unpacked once.
///
/// # Errors
/// The files are damaged, or not there yet.
pub fn open() -> Result<Arc<Corpus>> {
    static OPEN: OnceLock<Arc<Corpus>> = OnceLock::new();
    let file = |name: &str| Ok(assets::bytes(&format!("{FOLDER}/{name}"))?.into_owned());
    crate::data::once(&OPEN, || read(file))
}

/// The style whose pictures stand for the concepts.
const PLAINEST: &str = "data/emoji/noto.webp";

/// The names of all concepts and a picture of each, [`COLUMNS`] in a row; nothing while that is on its way.
///
/// # Errors
/// The files are damaged, or do not come.
pub fn pictures() -> Result<Option<(Vec<String>, image::RgbaImage)>> {
    let (index, mosaic) = (assets::ask("data/emoji/index.json")?, assets::ask(PLAINEST)?);
    let Some((index, mosaic)) = index.zip(mosaic) else { return Ok(None) };
    let index: Index =
        serde_json::from_slice(&index).map_err(|e| Error::file(format!("{FOLDER}/{INDEX}"), e))?;
    let picture = image::load_from_memory(&mosaic).map_err(|e| Error::file(PLAINEST, e))?;
    let names = index.concepts.into_iter().map(|concept| concept.name).collect();
    Ok(Some((names, picture.into_rgba8())))
}

/// Width and height of a style's mosaic of `n` pictures, in pixels.
pub fn mosaic_size(n: usize, side: usize) -> [usize; 2] {
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
