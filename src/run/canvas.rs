//! A picture in the making: an SVG for words and shapes, tiles laid on it pixel by pixel.

use std::{io::Cursor, sync::LazyLock};

use image::{ImageFormat, RgbImage, RgbaImage};
use resvg::{
    tiny_skia::{Pixmap, Transform},
    usvg,
};

use crate::error::{Error, Result};

pub const INK: &str = "#1f2328";
pub const PALE: &str = "#6e7781";
pub const GREY: &str = "#afb8c1";
pub const TRACK: &str = "#eaeef2";
pub const GREEN: &str = "#1a7f37";
pub const RED: &str = "#cf222e";
pub const EMBER: &str = "#d9622b";
/// Space around everything, in pixels.
pub const MARGIN: usize = 24;
/// A tile's pixel becomes a square of this side.
pub const ZOOM: usize = 2;

/// Width of a text, a little generous.
pub fn wide(text: &str, size: usize) -> usize {
    text.chars().count() * size * 9 / 16
}

/// Words as XML and HTML take them, between tags and in quotes: whoever wrote them, they are no markup.
pub fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe += "&amp;",
            '<' => safe += "&lt;",
            '>' => safe += "&gt;",
            '"' => safe += "&quot;",
            '\'' => safe += "&#39;",
            // Signs that turn the direction of what follows are no words either.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
            c if c.is_control() && c != '\n' => safe.push(' '),
            c => safe.push(c),
        }
    }
    safe
}

/// A picture in the making: it grows with what is put on it.
#[derive(Default)]
pub struct Page {
    svg: String,
    tiles: Vec<Tile>,
    width: usize,
    height: usize,
}

/// Pixels that are laid over the shapes.
pub struct Tile {
    pub place: [usize; 2],
    pub width: usize,
    pub rgb: Vec<[u8; 3]>,
}

impl Page {
    /// Makes the picture large enough for this point.
    pub fn reach(&mut self, right: usize, bottom: usize) {
        self.width = self.width.max(right + MARGIN);
        self.height = self.height.max(bottom + MARGIN);
    }

    fn put(&mut self, shape: String) {
        self.svg += &shape;
        self.svg.push('\n');
    }

    /// Words whose baseline starts at (x, y).
    pub fn text(&mut self, x: usize, y: usize, size: usize, fill: &str, text: &str) {
        let safe = escaped(text);
        self.put(format!(
            r#"<text x="{x}" y="{y}" font-size="{size}" fill="{fill}">{safe}</text>"#
        ));
        self.reach(x + wide(text, size), y);
    }

    /// A title from this height on, and a line of smaller words below it.
    pub fn heading(&mut self, top: usize, title: &str, line: &str) {
        self.text(MARGIN, top + 16, 20, INK, title);
        self.text(MARGIN, top + 38, 13, PALE, line);
    }

    /// A filled rectangle; nothing where it has no extent.
    pub fn area(&mut self, [x, y]: [f64; 2], [w, h]: [f64; 2], fill: &str) {
        if w > 0.0 && h > 0.0 {
            self.put(format!(
                r#"<rect x="{x:.1}" y="{y:.1}" width="{w:.1}" height="{h:.1}" fill="{fill}"/>"#
            ));
        }
        self.reach((x + w).max(0.0) as usize, (y + h).max(0.0) as usize);
    }

    /// An area of which more or less is seen.
    pub fn shade(&mut self, [x, y]: [f64; 2], [w, h]: [f64; 2], fill: &str, opacity: f64) {
        self.put(format!(
            r#"<rect x="{x:.1}" y="{y:.1}" width="{w:.1}" height="{h:.1}" fill="{fill}" fill-opacity="{opacity:.3}"/>"#
        ));
        self.reach((x + w) as usize, (y + h) as usize);
    }

    /// A line of small words under everything.
    pub fn below(&mut self, text: &str) {
        self.text(MARGIN, self.height, 12, PALE, text);
    }

    /// A line through points.
    pub fn line(&mut self, points: &[[f64; 2]], width: f64, stroke: &str) {
        let path: String = points.iter().map(|[x, y]| format!("{x:.1},{y:.1} ")).collect();
        for [x, y] in points {
            self.reach(x.max(0.0) as usize, y.max(0.0) as usize);
        }
        self.put(format!(
            r#"<polyline points="{path}" fill="none" stroke="{stroke}" stroke-width="{width}"/>"#
        ));
    }

    /// A broken line.
    pub fn dashes(&mut self, [x1, y1]: [f64; 2], [x2, y2]: [f64; 2], stroke: &str) {
        self.put(format!(
            r#"<line x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}" stroke="{stroke}" stroke-dasharray="5 4"/>"#
        ));
    }

    /// A dot.
    pub fn dot(&mut self, [x, y]: [f64; 2], fill: &str) {
        self.put(format!(r#"<circle cx="{x:.1}" cy="{y:.1}" r="3" fill="{fill}"/>"#));
    }

    /// Pixels enlarged by [`ZOOM`], perhaps in a frame of a colour, which may be broken.
    pub fn tile(&mut self, tile: Tile, frame: Option<(&str, bool)>) {
        let ([x, y], width) = (tile.place, tile.width);
        let [w, h] = [width, tile.rgb.len() / width.max(1)].map(|side| side * ZOOM);
        if let Some((colour, broken)) = frame {
            let dash = if broken { r#" stroke-dasharray="5 3""# } else { "" };
            let (x, y, w, h) = (x - 2, y - 2, w + 4, h + 4);
            self.put(format!(
                r#"<rect x="{x}" y="{y}" width="{w}" height="{h}" rx="2" fill="none" stroke="{colour}" stroke-width="2"{dash}/>"#
            ));
        }
        self.tiles.push(tile);
        self.reach(x + w, y + h);
    }

    /// The shapes and words as SVG, without tiles.
    pub fn svg(&self) -> String {
        // A viewer may not have the typeface that the PNG has.
        self.document(r#" font-family="Ubuntu, Helvetica, Arial, sans-serif""#)
    }

    /// The same inside a page of HTML, as wide as there is room and with what it says for those who cannot see
    /// it: words that are no markup.
    pub fn inline(&self, label: &str) -> String {
        let (w, h) = (self.width, self.height);
        format!(
            r#"<svg viewBox="0 0 {w} {h}" width="{w}" height="{h}" role="img" aria-label="{}"><rect width="{w}" height="{h}" fill="white"/>{}</svg>"#,
            escaped(label),
            self.svg
        )
    }

    fn document(&self, style: &str) -> String {
        let (w, h) = (self.width, self.height);
        format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="{h}"{style}><rect width="{w}" height="{h}" fill="white"/>{}</svg>"#,
            self.svg
        )
    }

    /// Both forms of a figure: as SVG and as PNG.
    ///
    /// # Errors
    /// The picture is too large to hold.
    pub fn both(self) -> Result<(String, Vec<u8>)> {
        Ok((self.svg(), self.png()?))
    }

    /// Everything on white as PNG.
    ///
    /// # Errors
    /// The picture is too large to hold.
    pub fn png(self) -> Result<Vec<u8>> {
        packed(&self.picture()?)
    }

    /// Renders everything on white.
    ///
    /// # Errors
    /// The picture is too large to hold.
    pub fn picture(self) -> Result<RgbImage> {
        let (w, h) = (self.width, self.height);
        let too_large = || Error::Request(format!("a picture of {w} x {h} pixels is too large"));
        let small = w.max(h) <= 60_000 && w * h <= 200_000_000;
        let mut pixmap =
            small.then(|| Pixmap::new(w as u32, h as u32)).flatten().ok_or_else(too_large)?;
        let document = self.document("");
        let tree = with_letters(&document, |options| usvg::Tree::from_str(&document, options));
        let tree = tree.map_err(failed)?;
        resvg::render(&tree, Transform::default(), &mut pixmap.as_mut());
        // White lies below everything, so premultiplied and plain colours are the same.
        let mut picture =
            RgbaImage::from_raw(w as u32, h as u32, pixmap.take()).ok_or_else(too_large)?;
        for tile in &self.tiles {
            tile.lay(&mut picture);
        }
        Ok(image::DynamicImage::from(picture).into_rgb8())
    }
}

/// A picture as PNG.
///
/// # Errors
/// It cannot be packed.
pub fn packed(picture: &RgbImage) -> Result<Vec<u8>> {
    let mut png = Cursor::new(Vec::new());
    picture.write_to(&mut png, ImageFormat::Png).map_err(failed)?;
    Ok(png.into_inner())
}

fn failed(reason: impl std::fmt::Display) -> Error {
    Error::Request(format!("a figure failed: {reason}"))
}

impl Tile {
    fn lay(&self, picture: &mut RgbaImage) {
        for (i, &[r, g, b]) in self.rgb.iter().enumerate() {
            let corner = [i % self.width, i / self.width].map(|p| p * ZOOM);
            for (dx, dy) in (0..ZOOM * ZOOM).map(|p| (p % ZOOM, p / ZOOM)) {
                let [x, y] = [self.place[0] + corner[0] + dx, self.place[1] + corner[1] + dy];
                picture.put_pixel(x as u32, y as u32, image::Rgba([r, g, b, 255]));
            }
        }
    }
}

/// Draws with the typeface, and with the system's for letters that it lacks, which a page cannot reach.
fn with_letters<T>(text: &str, draw: impl FnOnce(&usvg::Options) -> T) -> T {
    static PLAIN: LazyLock<usvg::Options> = LazyLock::new(options);
    #[cfg(not(target_arch = "wasm32"))]
    {
        let fonts = super::fonts::fallback(text);
        if !fonts.is_empty() {
            let mut options = options();
            fonts.iter().for_each(|f| options.fontdb_mut().load_font_data(f.bytes.clone()));
            return draw(&options);
        }
    }
    #[cfg(target_arch = "wasm32")]
    let _ = text;
    draw(&PLAIN)
}

/// The one typeface, which the window has too.
fn options() -> usvg::Options<'static> {
    let mut options = usvg::Options::default();
    options.fontdb_mut().load_font_data(epaint_default_fonts::UBUNTU_LIGHT.to_vec());
    let family = options.fontdb.faces().next().and_then(|f| f.families.first().cloned());
    if let Some((family, _)) = family {
        options.font_family = family;
    }
    options
}
