//! Solvers: DDIM (Song et al. 2021), PNDM (Liu et al. 2022), Euler (Karras et al. 2022), DPM-Solver++ and LCM, step by
//! step.

mod dpm;
mod lcm;

use burn::tensor::Tensor;

use super::scheduler::Spacing;
use super::{Prediction, Schedule, SchedulerConfig, SolverKind};

/// One run of a solver, from noise to a latent.
#[derive(Debug)]
pub struct Solver {
    config: SchedulerConfig,
    schedule: Schedule,
    /// Time steps in the order of the network's calls.
    pub times: Vec<f32>,
    /// Distance between two visited time steps.
    stride: usize,
    /// Noise levels of Euler and DPM-Solver++, one more than there are calls.
    sigmas: Vec<f64>,
    /// Calls of PNDM that are Runge-Kutta's.
    runge_kutta: usize,
    past: Vec<Tensor<4>>,
    held: Option<Tensor<4>>,
    sum: Option<Tensor<4>>,
}

impl Solver {
    /// A run of `n` steps, at most as many as there can be ([`SchedulerConfig::most`]).
    pub fn new(config: &SchedulerConfig, n: usize) -> Self {
        let schedule = config.schedule();
        let n = n.clamp(1, config.most());
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
            SolverKind::Euler | SolverKind::Dpm => {
                let sigma = |t: f64| solver.sigma(t);
                let sigmas = visited.iter().rev().map(|t| sigma(*t)).chain([0.0]);
                solver.sigmas = sigmas.collect();
            }
            SolverKind::Pndm => solver.pndm_times(&visited),
            SolverKind::Lcm => {
                solver.times = Self::lcm_times(config.steps, config.most(), n);
            }
        }
        solver
    }

    /// PNDM's calls: the first steps are taken twice (PLMS) or four times (Runge-Kutta).
    fn pndm_times(&mut self, visited: &[f64]) {
        let rounded: Vec<f32> = visited.iter().map(|t| t.round() as f32).collect();
        let n = rounded.len();
        let reversed = |times: &[f32]| times.iter().rev().copied().collect::<Vec<_>>();
        if self.config.skip_prk() || n < 4 {
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
        match (self.config.kind, self.config.spacing()) {
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

    /// The latent after call `i`, whose prediction is `out`. `noise` is only used by LCM, and by DDIM with `eta`
    /// above 0.
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
            SolverKind::Dpm => self.dpm(i, out, x),
            SolverKind::Lcm => self.lcm(i, out, x, noise),
            SolverKind::Pndm if i < self.runge_kutta => self.runge_kutta_step(i, out, x),
            SolverKind::Pndm => self.multistep(i, out, x),
        }
    }

    /// The time step after call `i`, which may lie before the first.
    fn next(&self, i: usize) -> i64 {
        match self.config.spacing() {
            Spacing::Uniform => self.times.get(i + 1).map_or(-1, |t| *t as i64),
            _ => self.times[i] as i64 - self.stride as i64,
        }
    }

    /// Signal share at a time step that may lie before the first.
    fn abar(&self, t: i64) -> f64 {
        match usize::try_from(t) {
            Ok(t) => self.schedule.abar(Some(t.min(self.schedule.steps() - 1))),
            Err(_) if self.config.alpha_to_one() => 1.0,
            Err(_) => self.schedule.abar(Some(0)),
        }
    }

    /// Share of the signal in the variance of what the network is shown at call `i`.
    pub fn signal(&self, i: usize) -> f64 {
        match self.config.kind {
            SolverKind::Euler => 1.0 / (self.sigmas[i].powi(2) + 1.0),
            _ => self.abar(self.times[i] as i64),
        }
    }

    /// The picture without any noise as the network sees it at call `i`: what its prediction `out` for the input `x`
    /// says of x_0 (Ho et al. 2020, eq. 15; of v, Salimans and Ho 2022, appendix D).
    pub fn predicted(&self, i: usize, out: Tensor<4>, x: Tensor<4>) -> Tensor<4> {
        let at = self.signal(i);
        let (signal, sigma) = (at.sqrt(), (1.0 - at).sqrt());
        let x0 = match self.config.prediction {
            Prediction::Epsilon => (x - out * sigma) / signal,
            Prediction::VPrediction => x * signal - out * sigma,
        };
        match self.config.clip() {
            Some(c) => x0.clamp(-c, c),
            None => x0,
        }
    }

    /// The noise in `x`, whose signal share is `at`, as the network's prediction `out` has it.
    fn noise(&self, out: Tensor<4>, x: Tensor<4>, at: f64) -> Tensor<4> {
        match self.config.prediction {
            Prediction::Epsilon => out,
            Prediction::VPrediction => out * at.sqrt() + x * (1.0 - at).sqrt(),
        }
    }

    /// The latent before call `i` of DDIM, whose prediction there would be `out`, from the latent
    /// `z` after it; `guess` is what `out` was predicted from.
    pub fn back(&self, i: usize, out: Tensor<4>, guess: Tensor<4>, z: Tensor<4>) -> Tensor<4> {
        let t = self.times[i] as i64;
        let (at, to) = (self.abar(t), self.abar(self.next(i)));
        let (signal, sigma) = (at.sqrt(), (1.0 - at).sqrt());
        let eps = self.noise(out, guess, at);
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
        let (at, to) = (self.signal(i), self.abar(self.next(i)));
        let (signal, sigma) = (at.sqrt(), (1.0 - at).sqrt());
        let x0 = self.predicted(i, out.clone(), x.clone());
        let mut eps = self.noise(out, x.clone(), at);
        if self.config.clip().is_some() && self.config.noise_of_clipped {
            eps = (x - x0.clone() * signal) / sigma;
        }
        let (spread, direction) = ddim_weights(at, to, eta);
        let next = x0 * to.sqrt() + eps * direction;
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
        let eps = self.noise(out, x.clone(), at);
        let weight = at * (1.0 - to).sqrt() + (at * (1.0 - at) * to).sqrt();
        x * (to / at).sqrt() - eps * ((to - at) / weight)
    }

    fn runge_kutta_step(&mut self, i: usize, out: Tensor<4>, x: Tensor<4>) -> Tensor<4> {
        let t = self.times[i] as i64;
        let back = if i % 2 == 1 { 0 } else { (self.stride / 2) as i64 };
        let from = self.times[i / 4 * 4] as i64;
        let place = i % 4;
        let share = if matches!(place, 1 | 2) { 1.0 / 3.0 } else { 1.0 / 6.0 };
        let part = out.clone() * share;
        let sum = self.sum.take().map_or(part.clone(), |sum| sum + part);
        if place == 0 {
            self.past.push(out.clone());
            self.held = Some(x.clone());
        }
        let eps = if place == 3 {
            sum
        } else {
            self.sum = Some(sum);
            out
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

/// What fresh noise and the predicted one are multiplied by in a step of the DDIM family from one signal
/// share to another (Song et al. 2021, eq. 12 and 16; docs/methods.md#models). `eta` 0 is DDIM, 1 is ancestral
/// sampling.
fn ddim_weights(at: f64, to: f64, eta: f64) -> (f64, f64) {
    let spread = eta * ((1.0 - to) / (1.0 - at) * (1.0 - at / to)).max(0.0).sqrt();
    (spread, (1.0 - to - spread * spread).max(0.0).sqrt())
}

/// The `n` visited time steps, ascending.
fn visited(config: &SchedulerConfig, n: usize) -> Vec<f64> {
    let last = config.steps as f64 - 1.0;
    let whole = config.kind != SolverKind::Euler;
    let spacing = config.spacing();
    // Of one time step more it leaves the first out.
    let (n, first) = if config.kind == SolverKind::Dpm { (n + 1, 1) } else { (n, 0) };
    let times = (first..n).map(|i| match spacing {
        Spacing::Linspace if n == 1 => 0.0,
        Spacing::Linspace => last * i as f64 / (n - 1) as f64,
        Spacing::Leading => (i * (config.steps / n) + config.offset) as f64,
        Spacing::Uniform => (i * config.steps / n) as f64,
        Spacing::Trailing => {
            let ratio = config.steps as f64 / (n - first) as f64;
            (config.steps as f64 - ratio * (n - 1 - i) as f64).round_ties_even() - 1.0
        }
    });
    times.map(|t| if whole { t.round_ties_even() } else { t }).map(|t| t.clamp(0.0, last)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (signal, noise, direction) of x_s = signal · x0 + noise · z + direction · eps.
    fn step(t: usize, s: Option<usize>, eta: f64) -> [f64; 3] {
        let schedule = Schedule::linear();
        let (at, to) = (schedule.abar(Some(t)), schedule.abar(s));
        let (noise, direction) = ddim_weights(at, to, eta);
        [to.sqrt(), noise, direction]
    }

    #[test]
    fn golden_12_8() {
        let near = |a: f64, b: f64| (a - b).abs() < 1e-6;
        let [signal, noise, direction] = step(990, Some(980), 0.0);
        assert!(near(signal, 0.007684) && noise == 0.0 && near(direction, 0.999970));
        let [_, noise, direction] = step(990, Some(980), 1.0);
        assert!(near(noise, 0.425065) && near(direction, 0.905130));
        let [signal, _, direction] = step(500, Some(490), 0.0);
        assert!(near(signal, 0.293251) && near(direction, 0.956036));
        let [_, noise, direction] = step(500, Some(490), 1.0);
        assert!(near(noise, 0.307407) && near(direction, 0.905265));
        let [_, noise, direction] = step(10, Some(0), 1.0);
        assert!(near(noise, 0.009770) && near(direction, 0.002133));
    }

    #[test]
    fn uniform_steps_descend_to_the_image() {
        let solver = Solver::new(&SchedulerConfig::ddpm(true), 100);
        assert_eq!((solver.times[0], solver.next(0)), (990.0, 980));
        assert_eq!((solver.times[99], solver.next(99)), (0.0, -1));
        assert_eq!(solver.abar(-1), 1.0);
        assert_eq!(Solver::new(&SchedulerConfig::ddpm(true), 3).times, [666.0, 333.0, 0.0]);
    }

    #[test]
    fn a_run_of_any_length_ends_at_the_picture() {
        for (_, kind) in SolverKind::ALL {
            let config = SchedulerConfig::stable_diffusion(kind);
            for n in [1, 2, 3, 4, 20, 1000] {
                let solver = Solver::new(&config, n);
                assert!(solver.times.len() >= n.min(config.most()));
                assert!(solver.times.is_sorted_by(|a, b| a >= b), "{kind:?} {n}");
                assert!(solver.times.iter().all(|t| (0.0..1000.0).contains(t)));
            }
        }
    }
}
