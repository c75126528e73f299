//! A PNG in which every row is one picture, as binary records.

use image::{ImageFormat, ImageReader, Limits};

use super::records::SHAPE;
use crate::error::ensure;

/// Values in one channel of a picture.
const PLANE: usize = 32 * 32;

/// Records of the pictures in a mosaic with these labels: row i of the PNG has the 32 x 32 pixels
/// of picture i, line after line.
///
/// # Errors
/// It is not such a PNG; the reason as a text.
pub fn records(png: &[u8], labels: &[u8]) -> Result<Vec<u8>, String> {
    let mut limits = Limits::default();
    limits.max_image_width = Some(PLANE as u32);
    limits.max_image_height = Some(labels.len() as u32);
    limits.max_alloc = Some((labels.len() * SHAPE.n() * 2) as u64 + (1 << 20));
    let mut reader = ImageReader::with_format(std::io::Cursor::new(png), ImageFormat::Png);
    reader.limits(limits);
    let picture = reader.decode().map_err(|e| e.to_string())?;
    let [w, h] = [PLANE, labels.len()].map(|n| n as u32);
    let right = (picture.width(), picture.height(), picture.color().channel_count()) == (w, h, 3);
    ensure(right, || format!("is not an RGB picture of {w} x {h}"))?;
    let pixels = picture.into_rgb8().into_raw();
    let mut records = Vec::with_capacity(labels.len() * (1 + SHAPE.n()));
    for (row, label) in pixels.chunks_exact(SHAPE.n()).zip(labels) {
        records.push(*label);
        for channel in 0..3 {
            records.extend(row[channel..].iter().step_by(3));
        }
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_pixels_becomes_a_label_and_three_planes() {
        let mosaic = image::RgbImage::from_fn(1024, 2, |x, y| {
            image::Rgb([x as u8, (x / 256) as u8, y as u8 + 7])
        });
        let mut png = std::io::Cursor::new(Vec::new());
        mosaic.write_to(&mut png, ImageFormat::Png).unwrap();
        let png = png.into_inner();
        let records = records(&png, &[3, 9]).unwrap();
        let second = &records[3073..];
        assert_eq!((records.len(), records[0], second[0]), (6146, 3, 9));
        assert_eq!([second[1 + 258], second[1 + 1024 + 258], second[1 + 2048 + 258]], [2, 1, 8]);
        for labels in [&[3][..], &[3, 9, 1]] {
            assert!(super::records(&png, labels).is_err());
        }
        assert!(super::records(&png[..100], &[3, 9]).is_err());
    }
}
