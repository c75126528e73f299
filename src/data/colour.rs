//! Colours and opacity of a picture, whichever way it came.

use image::RgbaImage;

/// Grey as Pillow and torchvision take it from colours (ITU-R 601-2): 0.299, 0.587, 0.114.
pub fn luma([r, g, b]: [u8; 3]) -> u8 {
    let sum = 19_595 * u32::from(r) + 38_470 * u32::from(g) + 7_471 * u32::from(b);
    ((sum + 0x8000) >> 16) as u8
}

/// Brightness times opacity, and opacity, summed over the pixels.
pub fn tone(pixels: &RgbaImage) -> [f64; 2] {
    pixels.pixels().fold([0.0; 2], |[tone, opaque], p| {
        let alpha = f64::from(p[3]) / 255.0;
        let value = p.0[..3].iter().map(|&v| f64::from(v)).sum::<f64>() / 3.0;
        [tone + value * alpha, opaque + alpha]
    })
}

/// What a picture of this tone is laid on: black (0) or white (255), from which its colours stand out.
pub fn ground([tone, opaque]: [f64; 2]) -> u8 {
    if tone > 127.5 * opaque { 0 } else { 255 }
}

/// Lays a picture that is transparent in part on a ground of grey.
pub fn lay(pixels: &mut RgbaImage, ground: u8) {
    for pixel in pixels.pixels_mut() {
        let alpha = u32::from(pixel[3]);
        for value in &mut pixel.0[..3] {
            let laid = u32::from(*value) * alpha + u32::from(ground) * (255 - alpha);
            *value = ((laid + 127) / 255) as u8;
        }
        pixel[3] = 255;
    }
}
