//! What a text-to-image model's jobs hold in memory at their height, thing by thing, before anything is allocated.

use serde::Serialize;

use super::Plan;
use super::method::{Losses, Order};
use crate::error::{Error, Result, ensure};
use crate::gpu::cpu::par;
use crate::models::latent::{LatentNetwork, is_cross_attention};
use crate::saliency::{KEPT, PART};
use crate::train::{Rule, shards};
use crate::words::{Estimator, Recipe, gib};

/// Bytes of a number.
const F32: u64 = 4;
/// Bytes of main memory that the program takes before it does anything: its code, the corpus and the judge.
const PROGRAM: u64 = 112 << 20;
/// Densities that are tried where a run is too large.
const DENSITIES: [f64; 3] = [0.25, 0.1, 0.05];

/// Bytes that one thing takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Held {
    pub what: &'static str,
    /// In main memory.
    pub host: u64,
    /// On a GPU.
    pub device: u64,
}

/// What a job holds at its height.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Need {
    pub job: &'static str,
    pub held: Vec<Held>,
}

impl Need {
    /// Bytes of main memory.
    pub fn host(&self) -> u64 {
        self.held.iter().map(|held| held.host).sum()
    }

    /// Bytes on a GPU.
    pub fn device(&self) -> u64 {
        self.held.iter().map(|held| held.device).sum()
    }

    /// The things with what each takes, the largest first, for a person.
    pub fn listed(&self, of: impl Fn(&Held) -> u64) -> String {
        let mut held: Vec<_> =
            self.held.iter().map(|held| (of(held), held.what)).filter(|(n, _)| *n > 0).collect();
        held.sort_by_key(|(n, _)| std::cmp::Reverse(*n));
        let each = held.iter().map(|(n, what)| format!("{what} {:.2}", gib(*n)));
        each.collect::<Vec<_>>().join(", ")
    }
}

/// What a run of updates is about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Updates {
    pub batch: usize,
    /// Share of weights that may change, among those that may at all.
    pub density: f64,
    /// Whether only the layers that read the prompt may change.
    pub attention: bool,
    /// Latents that are scored; none where the mask comes without gradients.
    pub scored: usize,
    /// Numbers that the optimiser keeps of a free weight.
    pub moments: u64,
    /// Sets of gradients: of the forget and of the retain set.
    pub sets: u64,
    /// Whether the two must not be summed before the method has seen them.
    pub apart: bool,
    /// Whether state is kept of free weights alone.
    pub packed: bool,
    /// Whether the method looks at the gradients of frozen weights, too.
    pub weighs_all: bool,
}

impl Updates {
    /// Those of a recipe, whose plan this is.
    pub fn of(plan: &Plan, recipe: &Recipe) -> Self {
        let given = matches!(plan.estimator, Estimator::None | Estimator::Given);
        let looks = plan.estimator.base().looks() && !given;
        let rule = plan.preset.map_or(Rule::ADAM, |preset| preset.rule);
        Self {
            batch: plan.batch,
            // How many a given mask frees is not known before it is read.
            density: if given { 1.0 } else { recipe.density },
            attention: plan.attention(),
            scored: if looks { recipe.budget.sizes().score[plan.how.task as usize] } else { 0 },
            moments: if matches!(rule, Rule::Adam { .. }) { 2 } else { 1 },
            sets: if plan.alpha > 0.0 { 2 } else { 1 },
            apart: plan.how.order == Order::Drawn(Losses::Pair),
            packed: !plan.knobs.on("drift"),
            weighs_all: (plan.method.work)(&plan.knobs).weighs_all(),
        }
    }
}

/// A model's networks, on the CPU or on a GPU.
#[derive(Debug, Clone, Copy)]
pub struct Memory<'a> {
    pub network: &'a LatentNetwork,
    pub cpu: bool,
}

impl Memory<'_> {
    /// Every job, in the order of a run.
    pub fn jobs(&self, updates: &Updates) -> Vec<Need> {
        let mask = (updates.scored > 0).then(|| self.mask(updates));
        let before = std::iter::once(self.drawing()).chain(mask);
        before.chain(self.run(updates)).collect()
    }

    /// A picture, drawn with guidance.
    pub fn drawing(&self) -> Need {
        self.need("draw", vec![("a picture", 0, self.network.drawing())])
    }

    /// Scores of all weights of the U-Net.
    pub fn mask(&self, updates: &Updates) -> Need {
        let n = F32 * self.weights();
        let most = self.network.unet.activations().together();
        let (parts, together) = self.parts(updates.scored.min(PART).min(most));
        // Beside the sum, which a batch's first gradient becomes: on a GPU a batch's, also as one vector.
        let more = match (self.cpu, self.is_heavy()) {
            (false, _) => 2,
            (true, true) => u64::from(shards::are_together(1, self.weights() as usize)),
            (true, false) => parts - 1 + u64::from(updates.scored > PART),
        };
        let scores = if self.cpu { 0 } else { n };
        let held = vec![
            ("the sum of gradients", 0, n),
            ("gradients", 0, more * n),
            // With guidance, under two conditions.
            ("activations", 0, self.network.learning(2 * together)),
            ("scores", scores, 0),
        ];
        self.need("mask", held)
    }

    /// Updates, and what comes after them.
    pub fn run(&self, updates: &Updates) -> Vec<Need> {
        let weights = self.weights();
        let (n, free) = (F32 * weights, self.free(updates));
        let (parts, mut together) = self.parts(updates.batch);
        let mut sets = updates.sets;
        if self.is_heavy() && !updates.apart {
            // Both losses are one graph.
            together *= sets as usize;
            sets = 1;
        }
        // A number for each of them is kept of a small network alone.
        let scores = if n <= KEPT { n } else { 0 };
        let masked = updates.density < 1.0 || updates.attention;
        // A bit a weight, once as it is and once by parameters.
        let mask = if masked { weights / 4 } else { 0 };
        // The CPU keeps state of what is free alone.
        let packed = self.cpu && updates.packed;
        let flags = if masked && !packed { weights / 8 } else { 0 };
        let [trained, moments] = match (packed, masked) {
            (true, true) => [n, F32 * free * updates.moments],
            (true, false) => [n, n * updates.moments],
            (false, _) => [n, n * updates.moments],
        };
        let gradient = if packed && masked && !updates.weighs_all { F32 * free } else { n };
        // A network that is not walked back by blocks has every weight's gradient before it is packed.
        let walked = if self.is_heavy() { gradient } else { n };
        let updating = vec![
            ("trained weights", 0, trained),
            ("gradients", 0, walked * parts + gradient * (sets - 1)),
            ("the optimiser's moments", 0, moments),
            ("the mask", mask, flags),
            ("activations", 0, self.network.learning(together)),
            ("scores", scores, if self.cpu { 0 } else { scores }),
        ];
        let measuring = vec![
            ("changed weights", n, if self.cpu { 0 } else { n }),
            ("the change", scores, 0),
            ("the mask", mask, 0),
            ("a picture", 0, self.network.drawing()),
            ("scores", scores, 0),
        ];
        let writing = vec![
            ("changed weights", n, 0),
            ("the change", scores, 0),
            ("the mask", mask, 0),
            ("the files", self.all(), 0),
            ("scores", scores, 0),
        ];
        vec![
            self.need("update", updating),
            self.need("measure", measuring),
            self.need("write", writing),
        ]
    }

    /// Refuses a mask that takes more memory than is `there`, with the weights that are open.
    ///
    /// # Errors
    /// It does: with what it takes, what there is, and what would fit.
    pub fn scoring(&self, updates: &Updates, there: u64) -> Result<()> {
        let need = self.mask(updates);
        let right = || refusal("the mask", &need, there, "--mask magnitude needs no gradients");
        ensure(updates.scored == 0 || need.host() <= there, right)
    }

    /// Refuses a run that takes more memory than is `there`, with the weights that are open.
    ///
    /// # Errors
    /// It does: with what it takes, what there is, and what would fit.
    pub fn fitting(&self, updates: &Updates, there: u64) -> Result<()> {
        self.scoring(updates, there)?;
        let height = |updates: &Updates| {
            let largest = self.run(updates).into_iter().max_by_key(Need::host);
            largest.unwrap_or_else(|| self.drawing())
        };
        let need = height(updates);
        ensure(need.host() <= there, || {
            let fits = self.smaller(updates).find(|u| height(u).host() <= there);
            let right = match fits {
                Some(fits) => {
                    let takes = gib(height(&fits).host());
                    format!("{} would fit, with {takes:.1} GiB", said(updates, &fits))
                }
                None => "no smaller batch and no lower density would fit".into(),
            };
            refusal("the run", &need, there, &right)
        })
    }

    /// What could be asked for instead, the nearest first.
    fn smaller(&self, asked: &Updates) -> impl Iterator<Item = Updates> {
        let halves = |n: usize| Some(n / 2).filter(|n| *n > 0);
        let batches = std::iter::successors(Some(asked.batch), move |n| halves(*n)).skip(1);
        let asked = *asked;
        let less = DENSITIES.into_iter().filter(move |density| *density < asked.density);
        let batches = batches.map(move |batch| Updates { batch, ..asked });
        batches.chain(less.map(move |density| Updates { batch: 1, density, ..asked }))
    }

    /// Bytes of all three networks' weights.
    fn all(&self) -> u64 {
        F32 * self.network.layouts.iter().map(|layout| layout.n() as u64).sum::<u64>()
    }

    /// Weights that are scored and trained.
    fn weights(&self) -> u64 {
        self.network.layouts[1].n() as u64
    }

    /// How many of them may change.
    fn free(&self, updates: &Updates) -> u64 {
        let layout = &self.network.layouts[1];
        let may = |name: &str| !updates.attention || is_cross_attention(name);
        let n: usize = layout.params.iter().filter(|e| may(&e.name)).map(|e| e.n()).sum();
        (n as f64 * updates.density) as u64
    }

    /// Whether blocks are computed again for the gradient.
    fn is_heavy(&self) -> bool {
        self.network.unet.activations().is_heavy()
    }

    /// Gradients that a batch has at once, and how many of its items are on the way.
    fn parts(&self, batch: usize) -> (u64, usize) {
        let most = self.network.unet.activations().together();
        if !self.cpu {
            return (1, batch.min(most));
        }
        let size = shards::part(batch).min(most).max(1);
        let parts = batch.div_ceil(size);
        match shards::are_together(parts, self.weights() as usize) {
            true => (parts as u64, batch.min(par::threads() * size)),
            false => (1, size),
        }
    }

    /// With the weights of all three networks.
    fn need(&self, job: &'static str, held: Vec<(&'static str, u64, u64)>) -> Need {
        let all = self.all();
        // On the CPU the weights that compute are those in main memory.
        let weights = ("weights", all, if self.cpu { 0 } else { all });
        let held = [("the program", PROGRAM, 0), weights].into_iter().chain(held).map(
            |(what, host, device)| {
                let (host, device) = if self.cpu { (host + device, 0) } else { (host, device) };
                Held { what, host, device }
            },
        );
        Need { job, held: held.filter(|held| held.host + held.device > 0).collect() }
    }
}

/// What takes more memory than there is, and what would be right.
fn refusal(what: &str, need: &Need, there: u64, right: &str) -> Error {
    let [takes, there] = [need.host(), there].map(gib);
    Error::Request(format!(
        "{what} takes about {takes:.1} GiB of memory where it is largest, to {} ({}), {there:.1} GiB are free; \
         {right}",
        need.job,
        need.listed(|held| held.host)
    ))
}

/// What of a run is another, as arguments.
fn said(asked: &Updates, other: &Updates) -> String {
    let batch = (other.batch != asked.batch).then(|| format!("--batch {}", other.batch));
    let density = (other.density != asked.density).then(|| format!("--density {}", other.density));
    let said: Vec<String> = batch.into_iter().chain(density).collect();
    said.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network() -> std::sync::Arc<LatentNetwork> {
        crate::models::open_latent("emoji-t2i").unwrap().network
    }

    const ASKED: Updates = Updates {
        batch: 64,
        density: 0.5,
        attention: false,
        scored: 32,
        moments: 2,
        sets: 2,
        apart: false,
        packed: true,
        weighs_all: false,
    };

    #[test]
    fn state_is_counted_for_what_is_free_alone() {
        let network = network();
        let of = |cpu| Memory { network: &network, cpu };
        let update = |updates: Updates, cpu| of(cpu).run(&updates).remove(0);
        let held = |need: &Need, what| need.held.iter().find(|h| h.what == what).copied().unwrap();
        let n = 4 * network.layouts[1].n() as u64;
        let what = "the optimiser's moments";
        let half = held(&update(ASKED, true), what).host;
        assert!(half.abs_diff(n) <= 8, "{half} of {n}");
        assert_eq!(held(&update(Updates { density: 1.0, ..ASKED }, true), what).host, 2 * n);
        assert_eq!(held(&update(ASKED, false), what).device, 2 * n);
        let few = update(Updates { attention: true, ..ASKED }, true);
        assert!(held(&few, what).host < half / 4);
        // On the CPU nothing is on a device.
        assert!(of(true).jobs(&ASKED).iter().all(|need| need.device() == 0));
        let [host, device] = [Need::host, Need::device].map(|of_| of_(&of(false).drawing()));
        assert!(host - PROGRAM < device, "weights, and a picture on the device alone");
    }

    #[test]
    fn a_refusal_says_what_would_fit() {
        let network = network();
        let memory = Memory { network: &network, cpu: true };
        let unscored = Updates { scored: 0, ..ASKED };
        let height = memory.jobs(&unscored).iter().map(Need::host).max().unwrap_or_default();
        assert!(memory.fitting(&unscored, height).is_ok());
        let error = memory.fitting(&unscored, height - 1).unwrap_err().to_string();
        assert!(error.contains("to update (") && error.contains("activations"), "{error}");
        assert!(error.contains("; --batch 32 would fit, with "), "{error}");
        let error = memory.fitting(&unscored, 1000).unwrap_err().to_string();
        assert!(error.ends_with("no smaller batch and no lower density would fit"), "{error}");
        assert!(!error.contains('\n') && error.len() < 400, "{error}");
        let error = memory.scoring(&ASKED, 1000).unwrap_err().to_string();
        assert!(error.ends_with("--mask magnitude needs no gradients"), "{error}");
        assert!(memory.scoring(&unscored, 1000).is_ok());
    }
}
