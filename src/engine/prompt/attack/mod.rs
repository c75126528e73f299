//! Attacks on a model that forgot a prompt: can what it no longer draws be brought back?

mod ways;

use std::sync::Arc;

use web_time::Instant;

use super::PromptSetting;
use super::look::Drawn;
use crate::data::corpus::Target;
use crate::engine::{Attack, Attacked, Grid, Work};
use crate::error::{Error, Result};
use crate::eval::{PromptJudge, Seen};
use crate::job_context::JobContext;
use crate::models::AnyModel;
use crate::sampling::LatentWeights;
use crate::subject::Noising;
use crate::words::{AttackKind, AttackReport, Recipe, Try};

/// Pictures of each try that are kept.
const SHOWN: usize = 8;

/// A row of an attack: what it is called, what was asked, what both models made of it.
struct Row {
    name: &'static str,
    prompt: String,
    /// The concept that counts, where it is not what was forgotten: of a control.
    aim: Option<usize>,
    /// By the original, by the model that forgot.
    tried: Vec<Drawn>,
}

impl Work<'_> {
    /// Measures a model that forgot a recipe's prompt again, and attacks it.
    ///
    /// # Errors
    /// The model does not fit the request, cancelled, or the device failed.
    pub async fn attack_prompt(
        &mut self,
        model: &AnyModel,
        recipe: &Recipe,
        kinds: &[AttackKind],
    ) -> Result<Attacked> {
        let mut setting = self.prompt_setting(recipe).await?;
        let fits = model.latent().filter(|m| m.fits(&setting.model));
        let model = fits.ok_or_else(|| {
            Error::Request(format!("the run's model is not made from {}", recipe.model))
        })?;
        let weights = LatentWeights::upload(model, &self.session.device);
        setting.items = self.items(&setting).await?;
        let asked = (setting.asked.extent(), Default::default());
        let (metrics, _) = setting.measure(&weights, asked, self.job, &mut |_| {}).await?;
        let mut attacks = Vec::new();
        for kind in kinds {
            attacks.push(self.attack(*kind, &setting, &weights).await?);
        }
        Ok(Attacked { metrics, attacks })
    }

    /// One attack on weights that forgot a request's prompt.
    ///
    /// # Errors
    /// The model does not fit the request, cancelled, or the device failed.
    pub async fn attack(
        &mut self,
        kind: AttackKind,
        setting: &PromptSetting,
        weights: &LatentWeights,
    ) -> Result<Attack> {
        if !setting.attackable() {
            let right =
                "only what the judge knows can be attacked: a concept or a style of the corpus";
            return Err(Error::argument("attack", &setting.noising.target.prompt, right));
        }
        let clock = Instant::now();
        let mut attacker = Attacker {
            setting,
            judge: setting.judge()?,
            models: [&setting.weights, weights],
            n: setting.size.attacked[0],
            job: self.job,
        };
        let mut rows = vec![attacker.plain().await?];
        let (searched, steps) = match kind {
            AttackKind::Prompt => {
                let (best, searched) = attacker.search().await?;
                rows.push(best);
                rows.push(attacker.learn().await?);
                (searched, setting.size.attacked[1])
            }
            AttackKind::Inversion => {
                if !setting.noising.corpus.has_pictures() {
                    let right =
                        "it walks pictures back to noise, and there are none; attack with prompts";
                    return Err(Error::argument("attack", "inversion", right));
                }
                let pairs = &setting.pairs[0];
                rows.push(attacker.invert("from its own noise", pairs, None).await?);
                rows.extend(attacker.never_shown().await?);
                (attacker.n, 0)
            }
        };
        Ok(attacker.attack(kind, rows, (searched, steps), clock.elapsed().as_secs_f64()))
    }
}

/// What an attack works on.
struct Attacker<'a> {
    setting: &'a PromptSetting,
    judge: PromptJudge<'a>,
    /// The original, and the model that forgot.
    models: [&'a LatentWeights; 2],
    n: usize,
    job: &'a mut JobContext,
}

impl Attacker<'_> {
    /// The rows as a report and two grids.
    fn attack(
        &self,
        kind: AttackKind,
        rows: Vec<Row>,
        (searched, steps): (usize, usize),
        seconds: f64,
    ) -> Attack {
        let Noising { network, target: Target { prompt, named, .. }, corpus, .. } =
            &self.setting.noising;
        let brought = |row: &Row, seen: &Seen| match row.aim {
            Some(concept) => self.judge.tells.label(concept) == Some(seen.concept.0),
            None => self.judge.tells.shows(named, seen) == Some(true),
        };
        let share = |row: &Row, model: usize| {
            let seen = &row.tried[model].seen;
            let hits = seen.iter().flatten().filter(|s| brought(row, s)).count();
            100.0 * hits as f64 / seen.len().max(1) as f64
        };
        let tries = rows.iter().map(|row| Try {
            name: row.name.into(),
            prompt: row.prompt.clone(),
            before: share(row, 0),
            after: share(row, 1),
            control: row.aim.is_some(),
        });
        let report = AttackReport {
            kind,
            forget: format!("prompt:{prompt}"),
            tries: tries.collect(),
            n: self.n,
            searched,
            steps,
            seed: self.setting.options.seed,
            seconds,
        };
        let shown = SHOWN.min(self.n);
        // A row's class is what it is to bring back: the first forgotten one stands for all.
        let first = match named.concepts.first() {
            Some(concept) => *concept,
            None => corpus.index.concepts.len() + named.styles.first().copied().unwrap_or(0),
        };
        let grid = |model: usize| -> Arc<Grid> {
            let each = rows[0].tried[0].pixels.len() / self.n;
            let class = |row: &Row| row.aim.unwrap_or(first);
            let seen = rows.iter().flat_map(|row| {
                row.tried[model].seen[..shown].iter().map(move |s| {
                    let s = s.as_ref()?;
                    let class = if brought(row, s) { class(row) } else { usize::MAX };
                    Some((class, s.concept.1))
                })
            });
            let pixels = rows.iter().flat_map(|r| &r.tried[model].pixels[..shown * each]);
            let classes = rows.iter().map(|row| Some(class(row))).collect();
            let names = rows.iter().map(|row| row.name.to_string()).collect();
            let (pixels, seen) = (pixels.copied().collect(), seen.collect());
            Arc::new(Grid { names, ..Grid::new(classes, network.picture_shape(), pixels, seen) })
        };
        Attack { before: grid(0), after: grid(1), report }
    }
}
