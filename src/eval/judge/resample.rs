//! Pictures in the size that a network looks at: the middle of them, by Keys' cubic convolution (1981; a = -1/2),
//! wider where they are made smaller, as Pillow does it.

/// What the cubic's weights begin with.
const A: f64 = -0.5;
/// What each colour counts for in grey.
const GREY: [f32; 3] = [0.299, 0.587, 0.114];

/// Pictures of a shape, channels first, as such of so many channels and of a height and a width: the middle
/// part of that form, resampled. Grey becomes colours that are alike, colours become grey.
pub fn fitted(values: &[f32], shape: [usize; 3], channels: usize, to: [usize; 2]) -> Vec<f32> {
    let [c, h, w] = shape;
    // The largest part of the form that is asked for.
    let part = match h * to[1] >= w * to[0] {
        true => [(w * to[0] / to[1]).max(1), w],
        false => [h, (h * to[1] / to[0]).max(1)],
    };
    let start = [(h - part[0]) / 2, (w - part[1]) / 2];
    let taps = [Taps::new(part[0], to[0]), Taps::new(part[1], to[1])];
    let mut out = Vec::with_capacity(values.len() / (c * h * w).max(1) * channels * to[0] * to[1]);
    for picture in values.chunks_exact(c * h * w) {
        let planes = recoloured(picture, c, channels);
        for plane in planes.chunks_exact(h * w) {
            let rows = plane.chunks_exact(w).skip(start[0]).take(part[0]);
            let across: Vec<f32> =
                rows.flat_map(|row| taps[1].along(&row[start[1]..][..part[1]])).collect();
            let columns: Vec<Vec<f32>> = (0..to[1])
                .map(|x| across.iter().skip(x).step_by(to[1]).copied().collect::<Vec<_>>())
                .map(|column| taps[0].along(&column).collect())
                .collect();
            let places = (0..to[0]).flat_map(|y| columns.iter().map(move |column| column[y]));
            out.extend(places.map(|v| v.clamp(0.0, 1.0)));
        }
    }
    out
}

/// A picture of so many channels as one of so many others.
fn recoloured(picture: &[f32], from: usize, to: usize) -> Vec<f32> {
    let plane = picture.len() / from.max(1);
    match (from, to) {
        _ if from == to => picture.to_vec(),
        (3, 1) => {
            let of = |i: usize| (0..3).map(|c| GREY[c] * picture[c * plane + i]).sum();
            (0..plane).map(of).collect()
        }
        _ => (0..to).flat_map(|c| &picture[c % from * plane..][..plane]).copied().collect(),
    }
}

/// Where each new value comes from: the first old one, and what each from there on counts.
struct Taps(Vec<(usize, Vec<f32>)>);

impl Taps {
    fn new(from: usize, to: usize) -> Self {
        let scale = from as f64 / to as f64;
        let wide = scale.max(1.0);
        let of = |i: usize| {
            let centre = (i as f64 + 0.5) * scale;
            let first = (centre - 2.0 * wide + 0.5).max(0.0) as usize;
            let end = ((centre + 2.0 * wide + 0.5) as usize).min(from);
            let weight = |x: usize| cubic((x as f64 - centre + 0.5) / wide);
            let weights: Vec<f64> = (first..end).map(weight).collect();
            let sum: f64 = weights.iter().sum();
            (first, weights.into_iter().map(|v| (v / sum) as f32).collect())
        };
        Self((0..to).map(of).collect())
    }

    /// A row or a column.
    fn along<'a>(&'a self, line: &'a [f32]) -> impl Iterator<Item = f32> + 'a {
        self.0.iter().map(|(first, weights)| {
            line[*first..].iter().zip(weights).map(|(value, weight)| value * weight).sum()
        })
    }
}

fn cubic(x: f64) -> f64 {
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_of_its_own_and_the_middle_stay_what_they_are() {
        let values: Vec<f32> = (0..16).map(|i| i as f32 / 16.0).collect();
        assert_eq!(fitted(&values, [1, 4, 4], 1, [4, 4]), values);
        // Of a wide picture the middle: 2 rows of 6, columns 2 and 3.
        let wide: Vec<f32> = (0..12).map(|i| i as f32 / 12.0).collect();
        assert_eq!(fitted(&wide, [1, 2, 6], 1, [2, 2]), [wide[2], wide[3], wide[8], wide[9]]);
        // Grey is three colours that are alike, and the same grey again.
        let three = fitted(&values, [1, 4, 4], 3, [4, 4]);
        assert_eq!((&three[..16], &three[32..]), (&values[..], &values[..]));
        let grey = fitted(&three, [3, 4, 4], 1, [4, 4]);
        assert!(grey.iter().zip(&values).all(|(a, b)| (a - b).abs() < 1e-6));
    }

    /// `torch.nn.functional.interpolate(mode="bicubic", antialias=True)` of 0, 1, 4, 9 over 10, clamped.
    #[test]
    fn a_line_is_resampled_as_pytorch_does_it() {
        let line = [0.0, 0.1, 0.4, 0.9];
        let picture: Vec<f32> = [line; 4].concat();
        for (side, right) in [(6, RIGHT_6.to_vec()), (3, RIGHT_3.to_vec())] {
            let got = fitted(&picture, [1, 4, 4], 1, [side, side]);
            let far = got[..side].iter().zip(&right).map(|(a, b): (&f32, &f32)| (a - b).abs());
            assert!(far.fold(0.0, f32::max) < 1e-5, "{got:?}");
        }
    }

    const RIGHT_6: [f32; 6] = [0.000000, 0.029412, 0.136111, 0.336111, 0.682353, 0.932895];
    const RIGHT_3: [f32; 3] = [0.007551, 0.235920, 0.793593];
}
