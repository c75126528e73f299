//! `salun eval --before A --after B`: weights that others made forget, looked at as if it were our run.

use std::path::Path;

use super::{Client, Common, args, print};
use salun_studio::disk::output::{Output, OutputKind};
use salun_studio::engine::{Job, Outcome};
use salun_studio::error::Result;
use salun_studio::run::bundle;
use salun_studio::words::{Budget, Recipe};

/// Two weights of one network.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Of weights that others made forget")]
pub struct Pair {
    #[arg(long, value_name = "M", help = before_help(), requires_all = ["after", "data", "forget"], conflicts_with = "run")]
    before: Option<String>,
    /// The model after: a weights file or a diffusers folder of the same network; it is always audited, or
    /// attacked
    #[arg(long, value_name = "FILE", requires = "before")]
    after: Option<String>,
    /// A data set's name, or folder:PATH
    #[arg(long, value_name = "D", requires = "before")]
    data: Option<String>,
    #[command(flatten)]
    captions: args::Captions,
    #[arg(long, value_name = "F", help = args::forget_help(), requires = "before")]
    forget: Option<String>,
    /// What the weights after are called [default: their file's name]
    #[arg(long, value_name = "NAME", requires = "before")]
    method: Option<String>,
    #[arg(long, value_name = "NAME", value_parser = args::mask, help = args::masks_help(), requires = "before")]
    mask: Option<args::Masked>,
    /// Share of weights in the mask that the change is held against, from 0 to 1 [default: 0.5]
    #[arg(long, value_name = "R", value_parser = args::real("density", 0.0..=1.0), allow_negative_numbers = true, requires = "before")]
    density: Option<f64>,
    /// How much is evaluated: tiny, quick or full
    #[arg(long, value_parser = args::choice("budget", Budget::ALL), requires = "before")]
    budget: Option<Budget>,
    /// Seed of everything random [default: 1]
    #[arg(long, value_name = "N", value_parser = args::seed, allow_negative_numbers = true, requires = "before")]
    seed: Option<u64>,
    #[command(flatten)]
    own: args::Own,
}

fn before_help() -> String {
    format!("The model before. {}", args::models_help())
}

impl Pair {
    fn recipe(&self) -> Result<Recipe> {
        let given = |text: &Option<String>| text.clone().unwrap_or_default();
        let model = self.own.behind(&given(&self.before))?;
        let data = self.captions.of(&given(&self.data))?;
        let request = Recipe::new(&model, &data, &given(&self.forget));
        let mut recipe = request.met_by(&given(&self.after));
        recipe.method = self.method.clone().unwrap_or(recipe.method);
        recipe.density = self.density.unwrap_or(recipe.density);
        recipe.budget = self.budget.unwrap_or(recipe.budget);
        recipe.seed = self.seed.unwrap_or(recipe.seed);
        if let Some(mask) = &self.mask {
            (recipe.mask, recipe.mask_file) = (Some(mask.estimator), mask.file.clone());
        }
        recipe.check()?;
        Ok(recipe)
    }
}

/// Holds a pair's weights against each other; writes a run folder where one is asked for.
pub fn run(pair: &Pair, out: Option<&Path>, common: &Common) -> Result<()> {
    let recipe = pair.recipe()?;
    common.look_at(&recipe.data, &recipe.model)?;
    let out = out.map(|out| Output::new(out, OutputKind::Run, common.force)).transpose()?;
    let mut client = Client::open(common)?;
    let run = client.ask(Job::Unlearn(recipe), Outcome::try_as_unlearned)?;
    let contents = |out: Output| Ok(out.write_folder(bundle::contents(&run)?));
    let written = out.map(contents).transpose()?;
    print::json(&run.report)?;
    print::report(&run.report);
    written.map_or(Ok(()), print::written)
}
