//! The schedulers of Stable Diffusion 1.x by diffusers' names and settings: DDIM (Song et al. 2021), PNDM (Liu et al.
//! 2022), Euler (Karras et al. 2022), DPM-Solver++ (Lu et al. 2022) and LCM (Luo et al. 2023).

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

use super::Schedule;
use crate::error::ensure;

/// Time steps that latent consistency models are distilled on (diffusers' `original_inference_steps`).
const LCM_STEPS: usize = 50;

/// Which solver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SolverKind {
    Ddim,
    Pndm,
    Euler,
    /// DPM-Solver++ of second order.
    #[serde(rename = "dpm++")]
    Dpm,
    /// For latent consistency models, in few steps.
    Lcm,
}

impl SolverKind {
    /// All, by name on the command line.
    pub const ALL: [(&str, Self); 5] = [
        ("ddim", Self::Ddim),
        ("pndm", Self::Pndm),
        ("euler", Self::Euler),
        ("dpm++", Self::Dpm),
        ("lcm", Self::Lcm),
    ];

    /// diffusers' class.
    pub fn class_name(self) -> &'static str {
        match self {
            Self::Ddim => "DDIMScheduler",
            Self::Pndm => "PNDMScheduler",
            Self::Euler => "EulerDiscreteScheduler",
            Self::Dpm => "DPMSolverMultistepScheduler",
            Self::Lcm => "LCMScheduler",
        }
    }
}

/// What the network predicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prediction {
    Epsilon,
    VPrediction,
}

impl Prediction {
    /// Adds signal · x0 + sigma · eps of each number, and what is to be predicted of it, to `to`: the noise,
    /// or the velocity (Salimans and Ho 2022, eq. 9).
    pub fn noised(self, mix: [f32; 2], x0: &[f32], eps: &[f32], to: [&mut Vec<f32>; 2]) {
        let ([signal, sigma], [noised, target]) = (mix, to);
        noised.extend(x0.iter().zip(eps).map(|(x, e)| signal * x + sigma * e));
        target.extend(x0.iter().zip(eps).map(|(x, e)| match self {
            Self::Epsilon => *e,
            Self::VPrediction => signal * e - sigma * x,
        }));
    }
}

/// Which time steps of the schedule a solver visits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Spacing {
    Leading,
    Linspace,
    Trailing,
    /// As even as whole numbers are; no class of diffusers has it.
    #[serde(skip)]
    Uniform,
}

/// How the noise of the steps grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Betas {
    Linear,
    ScaledLinear,
}

/// `scheduler_config.json`.
#[derive(Debug, Clone, Copy)]
pub struct SchedulerConfig {
    pub kind: SolverKind,
    pub steps: usize,
    pub beta_start: f64,
    pub beta_end: f64,
    pub betas: Betas,
    pub prediction: Prediction,
    pub offset: usize,
    /// Take the noise to be what a picture that was held says (diffusers' `use_clipped_model_output`).
    pub noise_of_clipped: bool,
    /// What the file itself says; each solver has its own defaults for the rest.
    said: Said,
}

/// Settings whose defaults differ between diffusers' classes.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Said {
    timestep_spacing: Option<Spacing>,
    set_alpha_to_one: Option<bool>,
    skip_prk_steps: Option<bool>,
    clip_sample: Option<bool>,
    clip_sample_range: Option<f64>,
}

/// The file as diffusers writes it; a missing setting has its class's default.
#[derive(Deserialize)]
struct Stored {
    _class_name: String,
    num_train_timesteps: Option<usize>,
    beta_start: Option<f64>,
    beta_end: Option<f64>,
    beta_schedule: Option<Betas>,
    prediction_type: Option<Prediction>,
    steps_offset: Option<usize>,
    #[serde(flatten)]
    said: Said,
}

impl<'de> Deserialize<'de> for SchedulerConfig {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let s = Stored::deserialize(from)?;
        let kind =
            SolverKind::ALL.into_iter().map(|(_, k)| k).find(|k| k.class_name() == s._class_name);
        let config = Self {
            steps: s.num_train_timesteps.unwrap_or(1000),
            beta_start: s.beta_start.unwrap_or(1e-4),
            beta_end: s.beta_end.unwrap_or(0.02),
            betas: s.beta_schedule.unwrap_or(Betas::Linear),
            prediction: s.prediction_type.unwrap_or(Prediction::Epsilon),
            offset: s.steps_offset.unwrap_or(0),
            said: s.said,
            ..Self::stable_diffusion(SolverKind::Euler)
        };
        // Euler needs nothing but the noise schedule.
        Ok(config.with(kind.unwrap_or(SolverKind::Euler)))
    }
}

impl PartialEq for SchedulerConfig {
    /// Whether they are written alike.
    fn eq(&self, other: &Self) -> bool {
        self.to_json() == other.to_json()
    }
}

impl Serialize for SchedulerConfig {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(to)
    }
}

impl SchedulerConfig {
    /// Stable Diffusion 1.x's schedule with a solver.
    pub fn stable_diffusion(kind: SolverKind) -> Self {
        Self {
            kind,
            steps: 1000,
            beta_start: 0.00085,
            beta_end: 0.012,
            betas: Betas::ScaledLinear,
            prediction: Prediction::Epsilon,
            offset: 1,
            noise_of_clipped: false,
            said: Said {
                timestep_spacing: Some(Spacing::Leading),
                set_alpha_to_one: matches!(kind, SolverKind::Ddim | SolverKind::Pndm)
                    .then_some(false),
                skip_prk_steps: (kind == SolverKind::Pndm).then_some(true),
                clip_sample: (kind == SolverKind::Ddim).then_some(false),
                clip_sample_range: (kind == SolverKind::Ddim).then_some(1.0),
            },
        }
    }

    /// DDIM over DDPM's linear schedule (Ho et al. 2020), of models that draw pixels; `clip` holds the
    /// predicted pictures in [-1, 1].
    pub fn ddpm(clip: bool) -> Self {
        Self {
            beta_start: 1e-4,
            beta_end: 2e-2,
            betas: Betas::Linear,
            offset: 0,
            noise_of_clipped: true,
            said: Said {
                timestep_spacing: Some(Spacing::Uniform),
                set_alpha_to_one: Some(true),
                clip_sample: Some(clip),
                ..Said::default()
            },
            ..Self::stable_diffusion(SolverKind::Ddim)
        }
    }

    /// The same noise schedule with another solver, as diffusers' `from_config` has it: what the file does
    /// not say is that class's default.
    pub fn with(self, kind: SolverKind) -> Self {
        Self { kind, ..self }
    }

    /// The same of a network that predicts something else.
    pub fn predicting(self, prediction: Prediction) -> Self {
        Self { prediction, ..self }
    }

    /// The same with another solver where there is one.
    pub fn or_with(self, kind: Option<SolverKind>) -> Self {
        kind.map_or(self, |kind| self.with(kind))
    }

    /// The most steps that a run can have.
    pub fn most(&self) -> usize {
        match self.kind {
            SolverKind::Lcm => LCM_STEPS.min(self.steps),
            SolverKind::Dpm => self.steps - 1,
            _ => self.steps,
        }
    }

    /// Which time steps are visited.
    pub fn spacing(&self) -> Spacing {
        let usual = match self.kind {
            SolverKind::Euler | SolverKind::Dpm => Spacing::Linspace,
            _ => Spacing::Leading,
        };
        self.said.timestep_spacing.unwrap_or(usual)
    }

    /// Whether the signal share after the last step is 1, and not that of the first time step.
    pub fn alpha_to_one(&self) -> bool {
        self.said.set_alpha_to_one.unwrap_or(self.kind == SolverKind::Ddim)
    }

    /// Whether PNDM is without its Runge-Kutta steps (PLMS).
    pub fn skip_prk(&self) -> bool {
        self.said.skip_prk_steps.unwrap_or(false)
    }

    /// The range that the predicted picture or latent is held within (DDIM and LCM only).
    pub fn clip(&self) -> Option<f64> {
        let clips = match self.kind {
            SolverKind::Ddim => self.said.clip_sample.unwrap_or(true),
            SolverKind::Lcm => self.said.clip_sample.unwrap_or(false),
            _ => false,
        };
        clips.then(|| self.said.clip_sample_range.unwrap_or(1.0))
    }

    /// Whether a class of diffusers is known here.
    pub fn knows(class: &str) -> bool {
        SolverKind::ALL.iter().any(|(_, kind)| kind.class_name() == class)
    }

    /// As diffusers writes it.
    pub fn to_json(&self) -> Value {
        let mut all = json!({
            "_class_name": self.kind.class_name(),
            "_diffusers_version": "0.30.3",
            "num_train_timesteps": self.steps,
            "beta_start": self.beta_start,
            "beta_end": self.beta_end,
            "beta_schedule": self.betas,
            "prediction_type": self.prediction,
            "timestep_spacing": self.spacing(),
            "steps_offset": self.offset,
        });
        match self.kind {
            SolverKind::Ddim => {
                all["set_alpha_to_one"] = self.alpha_to_one().into();
                all["clip_sample"] = self.clip().is_some().into();
                all["clip_sample_range"] = self.clip().unwrap_or(1.0).into();
            }
            SolverKind::Pndm => {
                all["set_alpha_to_one"] = self.alpha_to_one().into();
                all["skip_prk_steps"] = self.skip_prk().into();
            }
            SolverKind::Euler => {}
            SolverKind::Dpm => {
                all["solver_order"] = 2.into();
                all["algorithm_type"] = "dpmsolver++".into();
                all["solver_type"] = "midpoint".into();
                all["final_sigmas_type"] = "zero".into();
            }
            SolverKind::Lcm => {
                all["original_inference_steps"] = self.most().into();
                all["clip_sample"] = self.clip().is_some().into();
            }
        }
        // What another solver would read.
        if let (Value::Object(all), Ok(Value::Object(said))) =
            (&mut all, serde_json::to_value(self.said))
        {
            for (name, value) in said.into_iter().filter(|(_, value)| !value.is_null()) {
                all.entry(name).or_insert(value);
            }
        }
        all
    }

    /// Refuses values that no schedule has.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn check(&self) -> Result<(), String> {
        for (name, v) in [("beta_start", self.beta_start), ("beta_end", self.beta_end)] {
            let right = "more than 0 and less than 1 is needed";
            ensure(v > 0.0 && v < 1.0, || format!("{name} is {v}, {right}"))?;
        }
        let (steps, offset) = (self.steps, self.offset);
        ensure((2..=10_000).contains(&steps), || format!("num_train_timesteps is {steps}"))?;
        ensure(offset < steps, || format!("steps_offset is {offset}"))?;
        let usable = self.clip().is_none_or(|c| c.is_finite() && c > 0.0);
        ensure(usable, || "clip_sample_range is not above 0".into())
    }

    /// The noise schedule that the network was trained with.
    pub fn schedule(&self) -> Schedule {
        let last = self.steps as f64 - 1.0;
        let (a, b) = (self.beta_start, self.beta_end);
        let between = |a: f64, b: f64, t: usize| a + (b - a) * t as f64 / last;
        Schedule::from_betas((0..self.steps).map(|t| match self.betas {
            Betas::Linear => between(a, b, t),
            Betas::ScaledLinear => between(a.sqrt(), b.sqrt(), t).powi(2),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_comes_back_as_it_was_written() {
        for (_, kind) in SolverKind::ALL {
            let config = SchedulerConfig::stable_diffusion(kind);
            let back: SchedulerConfig = serde_json::from_value(config.to_json()).unwrap();
            assert_eq!(back.to_json(), config.to_json());
        }
        // A solver that is not here is said to be replaced.
        let ddpm = json!({ "_class_name": "DDPMScheduler" });
        let ddpm: SchedulerConfig = serde_json::from_value(ddpm).unwrap();
        assert!(ddpm.kind == SolverKind::Euler && !SchedulerConfig::knows("DDPMScheduler"));
        // What another solver reads outlives being written.
        let pndm = json!({ "_class_name": "PNDMScheduler", "clip_sample": false });
        let pndm: SchedulerConfig = serde_json::from_value(pndm).unwrap();
        let back: SchedulerConfig = serde_json::from_value(pndm.to_json()).unwrap();
        assert_eq!(back.with(SolverKind::Ddim).clip(), None);
    }

    #[test]
    fn the_picture_comes_back_from_what_is_predicted() {
        let (signal, sigma, x0, eps) = (0.8f32, 0.6f32, 1.5, -0.7);
        let z = signal * x0 + sigma * eps;
        let [e, v] = [Prediction::Epsilon, Prediction::VPrediction].map(|prediction| {
            let (mut noised, mut target) = (Vec::new(), Vec::new());
            prediction.noised([signal, sigma], &[x0], &[eps], [&mut noised, &mut target]);
            target[0]
        });
        assert!(((z - sigma * e) / signal - x0).abs() < 1e-6);
        assert!((signal * z - sigma * v - x0).abs() < 1e-6);
    }
}
