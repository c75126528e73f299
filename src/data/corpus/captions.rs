//! Captions of the corpus, and the pictures that belong to them.

use std::ops::Range;

use image::imageops;
use rand::RngExt;

use super::{Corpus, Index, Pair};
use crate::data::Rng;

/// Backgrounds by name; without one it is white.
pub const BACKGROUNDS: [(&str, [u8; 3]); 6] = [
    ("pink", [255, 176, 200]),
    ("yellow", [255, 226, 110]),
    ("green", [150, 220, 150]),
    ("blue", [140, 190, 250]),
    ("gray", [176, 180, 188]),
    ("purple", [200, 170, 240]),
];

/// `a` or `an`.
pub fn article(word: &str) -> &'static str {
    if word.starts_with(['a', 'e', 'i', 'o', 'u', 'A', 'E', 'I', 'O', 'U']) { "an" } else { "a" }
}

/// The plainest caption of a pair: `a cat, flat style`.
pub fn plain(concept: &str, style: &str) -> String {
    format!("{} {concept}, {style} style", article(concept))
}

/// A caption as a person might write it.
pub fn varied(index: &Index, pair: Pair, background: Option<usize>, rng: &mut Rng) -> String {
    let concept = &index.concepts[pair.concept];
    let style = &index.styles[pair.style].name;
    let other = !concept.keywords.is_empty() && rng.random::<f64>() < 0.15;
    let thing = if other {
        &concept.keywords[rng.random_range(0..concept.keywords.len())]
    } else {
        &concept.name
    };
    let mut text = match rng.random_range(0..8) {
        0..4 => plain(thing, style),
        4 | 5 => format!("{} {style} {thing}", article(style)),
        6 => format!("{thing} in {style} style"),
        _ => format!("{style} style {thing}"),
    };
    if let Some(b) = background {
        text += &format!(" on {}", BACKGROUNDS[b].0);
    }
    text
}

/// Every word that a caption of emoji can have, with how often it is to be expected.
pub fn words(corpus: &Corpus) -> Vec<(String, usize)> {
    let Index { styles, concepts, .. } = &corpus.index;
    let mut words: Vec<(String, usize)> =
        ["a", "an", "in", "on", "style", ","].map(|w| (w.to_string(), 1000)).to_vec();
    words.extend(BACKGROUNDS.map(|(name, _)| (name.to_string(), 100)));
    words.extend(styles.iter().map(|s| (s.name.clone(), 500)));
    for concept in concepts {
        for text in std::iter::once(&concept.name).chain(&concept.keywords) {
            words.extend(text.split_whitespace().map(|w| (w.to_lowercase(), 10)));
        }
    }
    words
}

/// How a picture lies on its background.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Placement {
    /// Size, 1 is as drawn.
    pub scale: f32,
    /// Pixels to the right and down.
    pub shift: [f32; 2],
    pub background: Option<usize>,
}

impl Placement {
    /// As drawn, on white.
    pub const PLAIN: Self = Self { scale: 1.0, shift: [0.0; 2], background: None };

    /// A small change of place and size; one picture in four has a coloured background.
    pub fn random(side: usize, rng: &mut Rng) -> Self {
        Self::varied(side as f32 / 32.0, 0.88..1.04, 0.25, rng)
    }

    /// A change of place by up to `reach` pixels and of size; a share of the pictures has a coloured
    /// background.
    pub fn varied(reach: f32, scale: Range<f32>, coloured: f64, rng: &mut Rng) -> Self {
        let background =
            (rng.random::<f64>() < coloured).then(|| rng.random_range(0..BACKGROUNDS.len()));
        Self {
            scale: rng.random_range(scale),
            shift: [rng.random_range(-reach..reach), rng.random_range(-reach..reach)],
            background,
        }
    }
}

/// A drawing of side · side RGBA pixels on its background: 3 · side · side values in [0, 1], channels first.
pub fn compose(rgba: &[u8], side: usize, at: Placement) -> Vec<f32> {
    let colour = at.background.map_or([255; 3], |b| BACKGROUNDS[b].1);
    let centre = side as f32 / 2.0;
    let mut out = vec![0.0; 3 * side * side];
    // Premultiplied value of a pixel; nothing outside.
    let pixel = |x: i32, y: i32| -> [f32; 4] {
        if !(0..side as i32).contains(&x) || !(0..side as i32).contains(&y) {
            return [0.0; 4];
        }
        let p = &rgba[4 * (y as usize * side + x as usize)..][..4];
        let alpha = p[3] as f32 / 255.0;
        [p[0] as f32 * alpha, p[1] as f32 * alpha, p[2] as f32 * alpha, alpha]
    };
    for y in 0..side {
        for x in 0..side {
            let from =
                |v: usize, shift: f32| (v as f32 + 0.5 - centre - shift) / at.scale + centre - 0.5;
            let (fx, fy) = (from(x, at.shift[0]), from(y, at.shift[1]));
            let (x0, y0) = (fx.floor(), fy.floor());
            let (wx, wy) = (fx - x0, fy - y0);
            let mut sum = [0.0; 4];
            for (dx, dy, w) in [
                (0, 0, (1.0 - wx) * (1.0 - wy)),
                (1, 0, wx * (1.0 - wy)),
                (0, 1, (1.0 - wx) * wy),
                (1, 1, wx * wy),
            ] {
                if w > 0.0 {
                    let p = pixel(x0 as i32 + dx, y0 as i32 + dy);
                    sum.iter_mut().zip(p).for_each(|(s, v)| *s += w * v);
                }
            }
            for c in 0..3 {
                let v = sum[c] + colour[c] as f32 * (1.0 - sum[3]);
                out[(c * side + y) * side + x] = (v / 255.0).clamp(0.0, 1.0);
            }
        }
    }
    out
}

/// A square picture at another size. 3 · side · side values in [0, 1], channels first, both.
pub fn resampled(picture: &[f32], from: usize, to: usize) -> Vec<f32> {
    picture.chunks_exact(from * from).flat_map(|plane| resize(plane, from, to)).collect()
}

/// One channel of a square picture at another size: the mean of what a pixel covers, or between the nearest.
fn resize(plane: &[f32], from: usize, to: usize) -> Vec<f32> {
    let plane = image::ImageBuffer::<image::Luma<f32>, _>::from_raw(
        from as u32,
        from as u32,
        plane.to_vec(),
    );
    let side = to as u32;
    plane.map_or_else(Vec::new, |plane| {
        imageops::resize(&plane, side, side, imageops::FilterType::Triangle).into_raw()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::corpus::open;
    use crate::data::seeded;

    #[test]
    fn a_picture_as_drawn_is_its_pixels_on_white() {
        let corpus = open().unwrap();
        let pair = Pair { concept: 3, style: 0 };
        let (side, rgba) = (corpus.index.side, corpus.rgba(pair));
        let picture = corpus.picture(pair, Placement::PLAIN, side).unwrap();
        for i in 0..side * side {
            let alpha = rgba[4 * i + 3] as f32 / 255.0;
            for c in 0..3 {
                let expected = rgba[4 * i + c] as f32 / 255.0 * alpha + 1.0 - alpha;
                assert!((picture[c * side * side + i] - expected).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn captions_name_the_style_and_the_background() {
        let corpus = open().unwrap();
        let mut rng = seeded(1, "captions");
        for (i, pair) in corpus.pairs().into_iter().enumerate().take(200) {
            let background = (i % 2 == 0).then_some(i % BACKGROUNDS.len());
            let caption = corpus.varied(pair, background, &mut rng);
            assert!(caption.contains(&corpus.index.styles[pair.style].name));
            if let Some(b) = background {
                assert!(caption.ends_with(BACKGROUNDS[b].0));
            }
        }
        assert_eq!(plain("apple", "flat"), "an apple, flat style");
    }
}
