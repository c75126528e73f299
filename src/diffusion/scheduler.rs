//! The schedulers of Stable Diffusion 1.x by diffusers' names and settings: DDIM (Song et al.
//! 2021), PNDM (Liu et al. 2022) and Euler (Karras et al. 2022).

use burn::tensor::Tensor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

use super::schedule::Schedule;

/// Which solver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SolverKind {
    Ddim,
    Pndm,
    Euler,
}

impl SolverKind {
    /// All, by name on the command line.
    pub const ALL: [(&str, Self); 3] =
        [("ddim", Self::Ddim), ("pndm", Self::Pndm), ("euler", Self::Euler)];

    /// diffusers' class.
    pub fn class_name(self) -> &'static str {
        match self {
            Self::Ddim => "DDIMScheduler",
            Self::Pndm => "PNDMScheduler",
            Self::Euler => "EulerDiscreteScheduler",
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
    /// What the network should predict of one number of signal · x0 + sigma · eps: the noise, or
    /// the velocity (Salimans and Ho 2022, eq. 9).
    pub fn target(self, [signal, sigma]: [f32; 2], x0: f32, eps: f32) -> f32 {
        match self {
            Self::Epsilon => eps,
            Self::VPrediction => signal * eps - sigma * x0,
        }
    }
}

/// Which time steps of the schedule a solver visits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Spacing {
    Leading,
    Linspace,
    Trailing,
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
    pub spacing: Spacing,
    pub offset: usize,
    /// The signal share after the last step: 1, or that of the first time step.
    pub alpha_to_one: bool,
    /// PNDM without its Runge-Kutta steps (PLMS).
    pub skip_prk: bool,
    /// Hold the predicted latent within this range (DDIM only).
    pub clip: Option<f64>,
    /// What the file itself says; another solver has its own defaults for the rest.
    said: Said,
}

/// Settings whose defaults differ between diffusers' classes.
#[derive(Debug, Clone, Copy)]
struct Said {
    spacing: Option<Spacing>,
    alpha_to_one: Option<bool>,
    skip_prk: Option<bool>,
    clip: Option<bool>,
    clip_range: Option<f64>,
}

/// The file as diffusers writes it; a missing setting has its class's default.
#[derive(Deserialize)]
struct Stored {
    _class_name: String,
    #[serde(default = "thousand")]
    num_train_timesteps: usize,
    #[serde(default = "beta_start")]
    beta_start: f64,
    #[serde(default = "beta_end")]
    beta_end: f64,
    beta_schedule: Option<Betas>,
    prediction_type: Option<Prediction>,
    timestep_spacing: Option<Spacing>,
    #[serde(default)]
    steps_offset: usize,
    set_alpha_to_one: Option<bool>,
    skip_prk_steps: Option<bool>,
    clip_sample: Option<bool>,
    clip_sample_range: Option<f64>,
}

fn thousand() -> usize {
    1000
}

fn beta_start() -> f64 {
    1e-4
}

fn beta_end() -> f64 {
    0.02
}

impl<'de> Deserialize<'de> for SchedulerConfig {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let s = Stored::deserialize(from)?;
        let kind =
            SolverKind::ALL.into_iter().map(|(_, k)| k).find(|k| k.class_name() == s._class_name);
        let said = Said {
            spacing: s.timestep_spacing,
            alpha_to_one: s.set_alpha_to_one,
            skip_prk: s.skip_prk_steps,
            clip: s.clip_sample,
            clip_range: s.clip_sample_range,
        };
        let config = Self {
            steps: s.num_train_timesteps,
            beta_start: s.beta_start,
            beta_end: s.beta_end,
            betas: s.beta_schedule.unwrap_or(Betas::Linear),
            prediction: s.prediction_type.unwrap_or(Prediction::Epsilon),
            offset: s.steps_offset,
            said,
            ..Self::stable_diffusion(SolverKind::Euler)
        };
        // Euler is nearest to those of the DPM family.
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
            spacing: Spacing::Leading,
            offset: 1,
            alpha_to_one: false,
            skip_prk: true,
            clip: None,
            said: Said {
                spacing: Some(Spacing::Leading),
                alpha_to_one: (kind != SolverKind::Euler).then_some(false),
                skip_prk: (kind == SolverKind::Pndm).then_some(true),
                clip: (kind == SolverKind::Ddim).then_some(false),
                clip_range: (kind == SolverKind::Ddim).then_some(1.0),
            },
        }
    }

    /// The same noise schedule with another solver, as diffusers' `from_config` has it: what the file does
    /// not say is that class's default.
    pub fn with(self, kind: SolverKind) -> Self {
        let Said { spacing, alpha_to_one, skip_prk, clip, clip_range } = self.said;
        let usual = match kind {
            SolverKind::Euler => Spacing::Linspace,
            _ => Spacing::Leading,
        };
        let clips = kind == SolverKind::Ddim && clip.unwrap_or(true);
        Self {
            kind,
            spacing: spacing.unwrap_or(usual),
            alpha_to_one: alpha_to_one.unwrap_or(kind == SolverKind::Ddim),
            skip_prk: skip_prk.unwrap_or(false),
            clip: clips.then(|| clip_range.unwrap_or(1.0)),
            ..self
        }
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
            "timestep_spacing": self.spacing,
            "steps_offset": self.offset,
        });
        match self.kind {
            SolverKind::Ddim => {
                all["set_alpha_to_one"] = self.alpha_to_one.into();
                all["clip_sample"] = self.clip.is_some().into();
                all["clip_sample_range"] = self.clip.unwrap_or(1.0).into();
            }
            SolverKind::Pndm => {
                all["set_alpha_to_one"] = self.alpha_to_one.into();
                all["skip_prk_steps"] = self.skip_prk.into();
            }
            SolverKind::Euler => {}
        }
        // What another solver would read.
        let Said { alpha_to_one, skip_prk, clip, clip_range, .. } = self.said;
        for (name, said) in [
            ("set_alpha_to_one", alpha_to_one.map(Value::from)),
            ("skip_prk_steps", skip_prk.map(Value::from)),
            ("clip_sample", clip.map(Value::from)),
            ("clip_sample_range", clip_range.map(Value::from)),
        ] {
            if let (Some(said), None) = (said, all.get(name)) {
                all[name] = said;
            }
        }
        all
    }

    /// What is wrong with the values, if anything is.
    pub fn fault(&self) -> Option<String> {
        let share = |name: &str, v: f64| {
            (!(v > 0.0 && v < 1.0))
                .then(|| format!("{name} is {v}, more than 0 and less than 1 is needed"))
        };
        share("beta_start", self.beta_start)
            .or_else(|| share("beta_end", self.beta_end))
            .or_else(|| {
                let ok = (2..=10_000).contains(&self.steps);
                (!ok).then(|| format!("num_train_timesteps is {}", self.steps))
            })
            .or_else(|| {
                (self.offset >= self.steps).then(|| format!("steps_offset is {}", self.offset))
            })
            .or_else(|| {
                let usable = self.clip.is_none_or(|c| c.is_finite() && c > 0.0);
                (!usable).then(|| "clip_sample_range is not above 0".into())
            })
    }

    /// The noise schedule that the network was trained with.
    pub fn schedule(&self) -> Schedule {
        let last = self.steps as f64 - 1.0;
        let (a, b) = (self.beta_start, self.beta_end);
        match self.betas {
            Betas::Linear => {
                Schedule::from_betas((0..self.steps).map(|t| a + (b - a) * t as f64 / last))
            }
            Betas::ScaledLinear => {
                let (a, b) = (a.sqrt(), b.sqrt());
                let beta = move |t: usize| (a + (b - a) * t as f64 / last).powi(2);
                Schedule::from_betas((0..self.steps).map(beta))
            }
        }
    }
}

/// One run of a solver, from noise to a latent.
#[derive(Debug)]
pub struct Solver {
    config: SchedulerConfig,
    schedule: Schedule,
    /// Time steps in the order of the network's calls.
    pub times: Vec<f32>,
    /// Distance between two visited time steps.
    stride: usize,
    /// Noise levels of Euler, one more than there are calls.
    sigmas: Vec<f64>,
    /// Calls of PNDM that are Runge-Kutta's.
    runge_kutta: usize,
    past: Vec<Tensor<4>>,
    held: Option<Tensor<4>>,
    sum: Option<Tensor<4>>,
}

impl Solver {
    /// A run of `n` steps, at most as many as the schedule has.
    pub fn new(config: &SchedulerConfig, n: usize) -> Self {
        let schedule = config.schedule();
        let n = n.clamp(1, config.steps);
        let visited = visited(config, n);
        let stride = config.steps / n;
        let mut solver = Self {
            config: *config,
            times: visited.iter().rev().map(|t| *t as f32).collect(),
            stride,
            sigmas: Vec::new(),
            runge_kutta: 0,
            past: Vec::new(),
            held: None,
            sum: None,
            schedule,
        };
        match config.kind {
            SolverKind::Ddim => {}
            SolverKind::Euler => {
                let sigma = |t: f64| solver.sigma(t);
                let sigmas = visited.iter().rev().map(|t| sigma(*t)).chain([0.0]);
                solver.sigmas = sigmas.collect();
            }
            SolverKind::Pndm => solver.pndm_times(&visited),
        }
        solver
    }

    /// PNDM's calls: the first steps are taken twice (PLMS) or four times (Runge-Kutta).
    fn pndm_times(&mut self, visited: &[f64]) {
        let rounded: Vec<f32> = visited.iter().map(|t| t.round() as f32).collect();
        let n = rounded.len();
        let reversed = |times: &[f32]| times.iter().rev().copied().collect::<Vec<_>>();
        if self.config.skip_prk || n < 4 {
            self.config.skip_prk = true;
            let mut times = rounded;
            if n > 1 {
                times.insert(n - 1, times[n - 2]);
            }
            self.times = reversed(&times);
            return;
        }
        let half = (self.stride / 2) as f32;
        let pairs: Vec<f32> = rounded[n - 4..].iter().flat_map(|t| [*t, t + half]).collect();
        let doubled: Vec<f32> = pairs[..7].iter().flat_map(|t| [*t, *t]).collect();
        let first = reversed(&doubled[1..13]);
        self.runge_kutta = first.len();
        self.times = first.into_iter().chain(reversed(&rounded[..n - 3])).collect();
    }

    /// Noise over signal at a time step, between two of them by interpolation.
    fn sigma(&self, t: f64) -> f64 {
        let at = |t: usize| {
            let abar = self.schedule.abar(Some(t.min(self.schedule.steps() - 1)));
            ((1.0 - abar) / abar).sqrt()
        };
        let low = t.floor();
        at(low as usize) + (t - low) * (at(low as usize + 1) - at(low as usize))
    }

    /// Standard deviation of the noise to start from.
    pub fn start(&self) -> f64 {
        match (self.config.kind, self.config.spacing) {
            (SolverKind::Euler, Spacing::Leading) => (self.sigmas[0].powi(2) + 1.0).sqrt(),
            (SolverKind::Euler, _) => self.sigmas[0],
            _ => 1.0,
        }
    }

    /// What the network is shown at call `i`.
    pub fn input(&self, i: usize, x: Tensor<4>) -> Tensor<4> {
        match self.config.kind {
            SolverKind::Euler => x / (self.sigmas[i].powi(2) + 1.0).sqrt(),
            _ => x,
        }
    }

    /// The latent after call `i`, whose prediction is `out`. `noise` is only used by DDIM with
    /// `eta` above 0.
    pub fn step(
        &mut self,
        i: usize,
        out: Tensor<4>,
        x: Tensor<4>,
        eta: f64,
        noise: impl FnOnce() -> Tensor<4>,
    ) -> Tensor<4> {
        match self.config.kind {
            SolverKind::Ddim => self.ddim(i, out, x, eta, noise),
            SolverKind::Euler => self.euler(i, out, x),
            SolverKind::Pndm if i < self.runge_kutta => self.runge_kutta_step(i, out, x),
            SolverKind::Pndm => self.multistep(i, out, x),
        }
    }

    /// Signal share at a time step that may lie before the first.
    fn abar(&self, t: i64) -> f64 {
        match usize::try_from(t) {
            Ok(t) => self.schedule.abar(Some(t.min(self.schedule.steps() - 1))),
            Err(_) if self.config.alpha_to_one => 1.0,
            Err(_) => self.schedule.abar(Some(0)),
        }
    }

    /// The latent before call `i` of DDIM, whose prediction there would be `out`, from the latent
    /// `z` after it; `guess` is what `out` was predicted from.
    pub fn back(&self, i: usize, out: Tensor<4>, guess: Tensor<4>, z: Tensor<4>) -> Tensor<4> {
        let t = self.times[i] as i64;
        let (at, to) = (self.abar(t), self.abar(t - self.stride as i64));
        let (signal, sigma) = (at.sqrt(), (1.0 - at).sqrt());
        let eps = match self.config.prediction {
            Prediction::Epsilon => out,
            Prediction::VPrediction => out * signal + guess * sigma,
        };
        let x0 = (z - eps.clone() * (1.0 - to).sqrt()) / to.sqrt();
        x0 * signal + eps * sigma
    }

    fn ddim(
        &self,
        i: usize,
        out: Tensor<4>,
        x: Tensor<4>,
        eta: f64,
        noise: impl FnOnce() -> Tensor<4>,
    ) -> Tensor<4> {
        let t = self.times[i] as i64;
        let (at, to) = (self.abar(t), self.abar(t - self.stride as i64));
        let (signal, sigma) = (at.sqrt(), (1.0 - at).sqrt());
        let (x0, eps) = match self.config.prediction {
            Prediction::Epsilon => ((x - out.clone() * sigma) / signal, out),
            Prediction::VPrediction => {
                (x.clone() * signal - out.clone() * sigma, out * signal + x * sigma)
            }
        };
        let x0 = match self.config.clip {
            Some(c) => x0.clamp(-c, c),
            None => x0,
        };
        let spread = eta * ((1.0 - to) / (1.0 - at) * (1.0 - at / to)).max(0.0).sqrt();
        let next = x0 * to.sqrt() + eps * (1.0 - to - spread * spread).max(0.0).sqrt();
        if spread > 0.0 { next + noise() * spread } else { next }
    }

    fn euler(&self, i: usize, out: Tensor<4>, x: Tensor<4>) -> Tensor<4> {
        let (sigma, next) = (self.sigmas[i], self.sigmas[i + 1]);
        let slope = match self.config.prediction {
            Prediction::Epsilon => out,
            Prediction::VPrediction => {
                let scale = sigma * sigma + 1.0;
                let x0 = x.clone() / scale - out * (sigma / scale.sqrt());
                (x.clone() - x0) / sigma
            }
        };
        x + slope * (next - sigma)
    }

    /// PNDM's transfer from time step `t` to `s` (eq. 9).
    fn transfer(&self, x: Tensor<4>, out: Tensor<4>, t: i64, s: i64) -> Tensor<4> {
        let (at, to) = (self.abar(t), self.abar(s));
        let eps = match self.config.prediction {
            Prediction::Epsilon => out,
            Prediction::VPrediction => out * at.sqrt() + x.clone() * (1.0 - at).sqrt(),
        };
        let weight = at * (1.0 - to).sqrt() + (at * (1.0 - at) * to).sqrt();
        x * (to / at).sqrt() - eps * ((to - at) / weight)
    }

    fn runge_kutta_step(&mut self, i: usize, out: Tensor<4>, x: Tensor<4>) -> Tensor<4> {
        let t = self.times[i] as i64;
        let back = if i % 2 == 1 { 0 } else { (self.stride / 2) as i64 };
        let from = self.times[i / 4 * 4] as i64;
        let sum = self.sum.take();
        let add = |share: f64, sum: Option<Tensor<4>>| match sum {
            Some(sum) => sum + out.clone() * share,
            None => out.clone() * share,
        };
        let eps = match i % 4 {
            0 => {
                self.sum = Some(add(1.0 / 6.0, sum));
                self.past.push(out.clone());
                self.held = Some(x.clone());
                out.clone()
            }
            1 | 2 => {
                self.sum = Some(add(1.0 / 3.0, sum));
                out.clone()
            }
            _ => add(1.0 / 6.0, sum),
        };
        let start = self.held.clone().unwrap_or(x);
        self.transfer(start, eps, from, t - back)
    }

    fn multistep(&mut self, i: usize, out: Tensor<4>, x: Tensor<4>) -> Tensor<4> {
        let (mut t, stride) = (self.times[i] as i64, self.stride as i64);
        let mut to = t - stride;
        // The second call of PLMS repeats the first step with the mean of both slopes.
        let again = i == 1 && self.runge_kutta == 0;
        if again {
            (t, to) = (t + stride, t);
        } else {
            let keep = self.past.len().saturating_sub(3);
            self.past.drain(..keep);
            self.past.push(out.clone());
        }
        let past = |back: usize| self.past[self.past.len() - back].clone();
        let (eps, x) = match self.past.len() {
            1 if again => ((out + past(1)) / 2.0, self.held.take().unwrap_or(x)),
            1 => {
                self.held = Some(x.clone());
                (out, x)
            }
            2 => ((past(1) * 3.0 - past(2)) / 2.0, x),
            3 => ((past(1) * 23.0 - past(2) * 16.0 + past(3) * 5.0) / 12.0, x),
            _ => {
                let sum = past(1) * 55.0 - past(2) * 59.0 + past(3) * 37.0 - past(4) * 9.0;
                (sum / 24.0, x)
            }
        };
        self.transfer(x, eps, t, to)
    }
}

/// The `n` visited time steps, ascending.
fn visited(config: &SchedulerConfig, n: usize) -> Vec<f64> {
    let last = config.steps as f64 - 1.0;
    let whole = config.kind != SolverKind::Euler;
    let times = (0..n).map(|i| match config.spacing {
        Spacing::Linspace if n == 1 => 0.0,
        Spacing::Linspace => last * i as f64 / (n - 1) as f64,
        Spacing::Leading => (i * (config.steps / n) + config.offset) as f64,
        Spacing::Trailing => {
            let ratio = config.steps as f64 / n as f64;
            (config.steps as f64 - ratio * (n - 1 - i) as f64).round_ties_even() - 1.0
        }
    });
    times.map(|t| if whole { t.round_ties_even() } else { t }).map(|t| t.clamp(0.0, last)).collect()
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
        assert_eq!(back.with(SolverKind::Ddim).clip, None);
    }

    #[test]
    fn the_picture_comes_back_from_what_is_predicted() {
        let (signal, sigma, x0, eps) = (0.8f32, 0.6f32, 1.5, -0.7);
        let z = signal * x0 + sigma * eps;
        let [e, v] = [Prediction::Epsilon, Prediction::VPrediction]
            .map(|prediction| prediction.target([signal, sigma], x0, eps));
        assert!(((z - sigma * e) / signal - x0).abs() < 1e-6);
        assert!((signal * z - sigma * v - x0).abs() < 1e-6);
    }

    #[test]
    fn a_run_of_any_length_ends_at_the_picture() {
        for (_, kind) in SolverKind::ALL {
            let config = SchedulerConfig::stable_diffusion(kind);
            for n in [1, 2, 3, 4, 20, 1000] {
                let solver = Solver::new(&config, n);
                assert!(solver.times.len() >= n);
                assert!(solver.times.is_sorted_by(|a, b| a >= b), "{kind:?} {n}");
                assert!(solver.times.iter().all(|t| (0.0..1000.0).contains(t)));
            }
        }
    }
}
