//! A picture file as bytes of the shape that is asked for.

use std::{fs, io::Cursor, path::Path};

use image::{DynamicImage, ImageDecoder, ImageReader, imageops::FilterType};
use sha2::Digest;

use crate::data::{PictureShape, lay, luma, tone};
use crate::disk::files;

/// Bytes of a picture's file, and memory that decoding it may take.
const MAX_BYTES: u64 = 512 << 20;

/// What was seen in a file.
pub enum Seen {
    /// The picture as bytes, channels first.
    Whole(Vec<u8>),
    /// It is transparent in part: brightness times opacity, and opacity, summed over its pixels.
    Transparent([f64; 2]),
}

/// How a picture is brought to a shape of other proportions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// All of it is seen, squashed.
    Squash,
    /// Its middle is seen.
    Crop,
}

/// Why nothing was seen in a file.
#[derive(Debug, Clone, Copy)]
pub enum Unread {
    /// It is no picture of a format that is known here.
    Unknown,
    /// It is one, and damaged.
    Broken,
    /// It takes more than 512 MiB.
    Large,
}

impl Unread {
    /// For a person: what the file is, by its name where it is of no known format.
    pub fn name(self, path: &Path) -> String {
        let end = path.extension().map(|end| end.to_string_lossy().to_uppercase());
        match (self, end) {
            (Self::Broken, _) => "damaged".into(),
            (Self::Large, _) => "too large (512 MiB is the most)".into(),
            (Self::Unknown, Some(end)) => {
                end.chars().filter(|c| !c.is_control()).take(12).collect()
            }
            (Self::Unknown, None) => "of no known format".into(),
        }
    }
}

/// The hash of a file, and the picture in it, if it can be read, on a ground.
pub fn read(
    path: &Path,
    shape: PictureShape,
    ground: Option<u8>,
) -> ([u8; 32], Result<Seen, Unread>) {
    match hashed(path) {
        Ok((hash, bytes)) => (hash, seen(&bytes, shape, ground, Fit::Squash)),
        Err(why) => ([0; 32], Err(why)),
    }
}

/// The picture in a file, on a ground, as bytes, channels first.
///
/// # Errors
/// There is none that can be read.
pub fn laid(path: &Path, shape: PictureShape, ground: u8, fit: Fit) -> Result<Vec<u8>, Unread> {
    match seen(&bytes_of(path)?, shape, Some(ground), fit)? {
        Seen::Whole(pixels) => Ok(pixels),
        Seen::Transparent(_) => Err(Unread::Broken),
    }
}

/// The hash of a file, and whether the picture in it may be transparent in part. Its pixels are not looked at.
///
/// # Errors
/// It is no picture that can be read, as far as its head says.
pub fn glance(path: &Path) -> Result<([u8; 32], bool), Unread> {
    let (hash, bytes) = hashed(path)?;
    Ok((hash, decoder(&bytes)?.color_type().has_alpha()))
}

/// A file's hash and its bytes.
fn hashed(path: &Path) -> Result<([u8; 32], Vec<u8>), Unread> {
    let bytes = bytes_of(path)?;
    Ok((sha2::Sha256::digest(&bytes).into(), bytes))
}

/// A file's bytes.
///
/// # Errors
/// It is too large, or cannot be read.
pub fn bytes_of(path: &Path) -> Result<Vec<u8>, Unread> {
    if fs::metadata(path).is_ok_and(|about| about.len() > MAX_BYTES) {
        return Err(Unread::Large);
    }
    files::read(path).map_err(|_| Unread::Broken)
}

/// What reads a picture, once its head was looked at.
fn decoder(bytes: &[u8]) -> Result<impl ImageDecoder + '_, Unread> {
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format();
    let mut reader = reader.map_err(|_| Unread::Unknown)?;
    if reader.format().is_none_or(|format| !format.reading_enabled()) {
        return Err(Unread::Unknown);
    }
    let mut limits = image::Limits::default();
    limits.max_alloc = Some(MAX_BYTES);
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(why)?;
    if decoder.total_bytes() > MAX_BYTES { Err(Unread::Large) } else { Ok(decoder) }
}

fn why(error: image::ImageError) -> Unread {
    match error {
        image::ImageError::Limits(_) => Unread::Large,
        _ => Unread::Broken,
    }
}

/// The picture as it is meant to be seen: turned as its header says.
pub fn upright(bytes: &[u8]) -> Result<DynamicImage, Unread> {
    let mut decoder = decoder(bytes)?;
    let turned = decoder.orientation().unwrap_or(image::metadata::Orientation::NoTransforms);
    let mut picture = DynamicImage::from_decoder(decoder).map_err(why)?;
    picture.apply_orientation(turned);
    Ok(picture)
}

/// The largest square in the middle of a picture.
fn middle(picture: &DynamicImage) -> DynamicImage {
    let (width, height) = (picture.width(), picture.height());
    let side = width.min(height);
    picture.crop_imm((width - side) / 2, (height - side) / 2, side, side)
}

fn seen(bytes: &[u8], shape: PictureShape, ground: Option<u8>, fit: Fit) -> Result<Seen, Unread> {
    let mut picture = upright(bytes)?;
    if picture.color().has_alpha() {
        let mut pixels = picture.to_rgba8();
        if pixels.pixels().any(|p| p[3] < 255) {
            let Some(ground) = ground else { return Ok(Seen::Transparent(tone(&pixels))) };
            lay(&mut pixels, ground);
            picture = pixels.into();
        }
    }
    let picture = if fit == Fit::Crop { middle(&picture) } else { picture };
    let picture =
        picture.resize_exact(shape.width as u32, shape.height as u32, FilterType::Triangle);
    let grey = !picture.color().has_color();
    Ok(Seen::Whole(match (shape.channels, grey) {
        (1, true) => picture.to_luma8().into_raw(),
        (1, false) => picture.to_rgb8().pixels().map(|p| luma(p.0)).collect(),
        _ => {
            let pixels = picture.to_rgb8().into_raw();
            (0..3).flat_map(|c| pixels[c..].iter().step_by(3).copied()).collect()
        }
    }))
}
