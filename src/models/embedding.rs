//! The sinusoidal time embedding (Vaswani et al. 2017 as used by Ho et al. 2020).

/// Rows [sin(t f), cos(t f)] of `dim` values for each time step, f_i = 10000^(-i / (dim/2 - 1)).
pub fn time_embedding(t: &[usize], dim: usize) -> Vec<f32> {
    let half = dim / 2;
    let frequency = |i: usize| (-(10_000f64.ln()) * i as f64 / (half as f64 - 1.0)).exp();
    let frequencies: Vec<f64> = (0..half).map(frequency).collect();
    t.iter()
        .flat_map(|&t| {
            let angles = frequencies.iter().map(move |f| t as f64 * f);
            let sin = angles.clone().map(f64::sin);
            sin.chain(angles.map(f64::cos)).map(|v| v as f32)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_12_9() {
        let e = time_embedding(&[10], 128);
        for (i, v) in [(0, -0.544021), (1, 0.706750), (2, 0.925205)] {
            assert!((e[i] - v).abs() < 1e-6);
        }
        for (i, v) in [(64, -0.839072), (65, -0.707464), (66, 0.379468)] {
            assert!((e[i] - v).abs() < 1e-6);
        }
    }
}
