//! The settings that the tables give each method.

use std::sync::LazyLock;

use serde::Deserialize;

use super::Scale;

/// What settings depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RateKey {
    /// Up to a quarter of the pictures, at random.
    Tenth,
    /// More.
    Half,
    Class,
}

impl RateKey {
    /// The kind of a forget set.
    pub fn of(forget: &str) -> Self {
        let share: Option<f64> =
            forget.strip_prefix("random:").and_then(|s| s.strip_suffix('%')?.parse().ok());
        match share {
            None => Self::Class,
            Some(share) if share > 25.0 => Self::Half,
            Some(_) => Self::Tenth,
        }
    }
}

/// A row of the settings.
#[derive(Deserialize)]
struct Rate {
    scale: Scale,
    forget: Option<RateKey>,
    methods: String,
    /// `NAME=VALUE`; what is not named keeps the method's default.
    knobs: String,
}

static RATES: LazyLock<Vec<Rate>> = LazyLock::new(|| super::sheet(include_str!("rates.csv")));

/// The setting of a method: knobs and their values.
pub fn chosen(scale: Scale, kind: RateKey, method: &str) -> impl Iterator<Item = (&str, f64)> {
    let fits = |rate: &&Rate| {
        rate.scale == scale
            && rate.forget.is_none_or(|of| of == kind)
            && rate.methods.split(' ').any(|name| name == method)
    };
    let knobs = RATES.iter().find(fits).map_or("", |rate| &rate.knobs);
    knobs.split(' ').filter_map(|knob| {
        let (name, value) = knob.split_once('=')?;
        Some((name, value.parse().expect("a number in a sheet of the program")))
    })
}

/// The knob that a search varies, and its values.
pub fn grid(kind: RateKey, method: &str) -> (&'static str, &'static [f64]) {
    match method {
        "iu" => ("alpha", &[0.3, 1.0, 5.0, 20.0]),
        "neggrad-plus" => ("lr", &[0.001, 0.003, 0.01, 0.03]),
        "be" | "bs" if kind == RateKey::Half => ("lr", &[3e-5, 1e-4, 3e-4, 1e-3]),
        "be" | "bs" => ("lr", &[3e-4, 1e-3, 3e-3, 0.01]),
        "ga" | "delete" | "munba" => ("lr", &[1e-4, 3e-4, 1e-3, 3e-3, 0.01]),
        "ssd" => ("alpha", &[5.0, 10.0, 30.0, 100.0]),
        _ if kind == RateKey::Half => ("lr", &[0.001, 0.003, 0.01, 0.03, 0.1]),
        _ => ("lr", &[0.003, 0.01, 0.03, 0.1]),
    }
}

/// Step sizes of influence unlearning for its own table.
pub fn alphas(scale: Scale) -> &'static [f64] {
    match scale {
        Scale::Tiny => &[1.0, 10.0],
        Scale::Small => &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0],
        Scale::Paper => &[1.0, 2.0, 5.0, 10.0, 15.0, 20.0],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_depend_on_how_much_is_forgotten() {
        for (forget, kind) in [
            ("random:10%", RateKey::Tenth),
            ("random:20%", RateKey::Tenth),
            ("random:50%", RateKey::Half),
            ("class:Bag", RateKey::Class),
        ] {
            assert_eq!(RateKey::of(forget), kind, "{forget}");
        }
    }

    #[test]
    fn a_setting_is_the_first_row_that_fits() {
        let of = |scale, kind, method| chosen(scale, kind, method).collect::<Vec<_>>();
        assert_eq!(of(Scale::Paper, RateKey::Half, "rl"), [("lr", 0.01), ("epochs", 10.0)]);
        assert_eq!(of(Scale::Paper, RateKey::Class, "rl"), [("lr", 0.001), ("epochs", 10.0)]);
        assert_eq!(of(Scale::Small, RateKey::Class, "ga"), [("lr", 3e-4), ("freeze-bn", 1.0)]);
        assert_eq!(of(Scale::Tiny, RateKey::Class, "ga"), []);
    }
}
