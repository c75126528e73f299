//! What a pane showed while a model trained, as a picture that moves: an animated PNG, which browsers and most
//! viewers play; others show its first frame.

use std::sync::Arc;

use image::{Rgb, RgbImage, imageops};

use super::figures;
use crate::engine::Grid;
use crate::error::{Error, Result};

/// Hundredths of a second that a frame stands, and the last one.
const STANDS: u16 = 70;
const ENDS: u16 = 200;

/// Pictures of a pane by the number of updates before them, one after another in an endless loop, each with its
/// number; `None` of fewer than two, which do not move.
///
/// # Errors
/// A picture is too large to hold.
pub fn over_steps(steps: &[(usize, Arc<Grid>)], classes: &[String]) -> Result<Option<Vec<u8>>> {
    let Some((last, _)) = steps.last().filter(|_| steps.len() > 1) else { return Ok(None) };
    let frame = |(step, grid): &(usize, Arc<Grid>)| {
        let words = match step {
            0 => "before".into(),
            step => format!("update {step} of {last}"),
        };
        figures::titled(grid, classes, &words)
    };
    let frames = steps.iter().map(frame).collect::<Result<Vec<RgbImage>>>()?;
    packed(&frames).map(Some)
}

/// Frames as one animated PNG, as large as the largest of them.
fn packed(frames: &[RgbImage]) -> Result<Vec<u8>> {
    let side = |of: fn(&RgbImage) -> u32| frames.iter().map(of).max().unwrap_or(0);
    let [width, height] = [side(RgbImage::width), side(RgbImage::height)];
    let failed = |e: png::EncodingError| Error::Request(format!("a moving picture failed: {e}"));
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_animated(frames.len() as u32, 0).map_err(failed)?;
    encoder.set_frame_delay(STANDS, 100).map_err(failed)?;
    let mut writer = encoder.write_header().map_err(failed)?;
    for (i, frame) in frames.iter().enumerate() {
        if i + 1 == frames.len() {
            writer.set_frame_delay(ENDS, 100).map_err(failed)?;
        }
        let mut whole = RgbImage::from_pixel(width, height, Rgb([255; 3]));
        imageops::replace(&mut whole, frame, 0, 0);
        writer.write_image_data(&whole).map_err(failed)?;
    }
    writer.finish().map_err(failed)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(value: u8) -> Arc<Grid> {
        let seen = vec![Some((0, 0.9)); 2];
        Arc::new(Grid::new(vec![Some(0)], [1, 4, 4], vec![value; 32], seen))
    }

    #[test]
    fn every_step_is_a_frame_that_loops_and_shows_its_pictures() {
        let steps = [(0, grid(10)), (50, grid(90)), (100, grid(200))];
        let bytes = over_steps(&steps, &["Bag".into()]).unwrap().unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(&bytes)).read_info().unwrap();
        let animation = *reader.info().animation_control().expect("it moves");
        assert_eq!((animation.num_frames, animation.num_plays), (3, 0));
        for (_, grid) in &steps {
            let mut frame = vec![0; reader.output_buffer_size().unwrap()];
            reader.next_frame(&mut frame).unwrap();
            let shown = frame.chunks_exact(3).filter(|p| **p == [grid.pixels[0]; 3]).count();
            // Every pixel is a square of two by two.
            assert!(shown >= 32 * 4, "{shown} pixels of {}", grid.pixels[0]);
        }
        assert!(reader.next_frame(&mut vec![0; bytes.len() * 20]).is_err());
        assert_eq!(over_steps(&steps[..1], &[]).unwrap(), None);
    }
}
