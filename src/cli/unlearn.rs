//! `salun unlearn`: one run, from a recipe, from flags, or from both.

use std::path::{Path, PathBuf};

use super::{Client, Common, args, kept, print};
use salun_studio::data::{NAMES, forget};
use salun_studio::disk::output::{Output, OutputKind};
use salun_studio::disk::{files, output};
use salun_studio::engine::{Found, Job, Outcome, StateFile};
use salun_studio::error::{Error, Result};
use salun_studio::models::registry;
use salun_studio::run::{Link, bundle, folder};
use salun_studio::words::{Budget, Recipe, Redirect};

/// Forget: one unlearning run, written as a run folder
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A recipe, or a link from the studio; the flags below override what it says
    recipe: Option<PathBuf>,
    #[arg(long, value_name = "M", help = args::models_help())]
    model: Option<String>,
    #[command(flatten)]
    own: args::Own,
    /// A data set's name, folder:PATH, or NAME+folder:PATH with pictures of one's own beside it; of a
    /// text-to-image model emoji, folder:PATH, or made:FILE.txt for prompts, a line each, that the model draws by
    /// itself
    #[arg(long, value_name = "D")]
    data: Option<String>,
    #[command(flatten)]
    captions: args::Captions,
    #[arg(long, value_name = "F", help = args::forget_help())]
    forget: Option<String>,
    #[arg(long, value_name = "NAME", help = args::methods_help())]
    method: Option<String>,
    /// Share of weights that may change, from 0 to 1 [default: 0.5]
    #[arg(long, value_name = "R", value_parser = args::real("density", 0.0..=1.0), allow_negative_numbers = true)]
    density: Option<f64>,
    #[arg(long, value_name = "NAME", value_parser = args::mask, help = args::masks_help())]
    mask: Option<args::Masked>,
    /// Passes over the data (classification)
    #[arg(long, value_name = "N", value_parser = args::whole("epochs", 1..=10_000), allow_negative_numbers = true)]
    epochs: Option<usize>,
    /// Go on from a run's folder, from its end or from the update behind the folder's name, with what is said here
    #[arg(long, value_name = "DIR@N", conflicts_with_all = ["recipe", "model", "data", "forget"])]
    branch: Option<String>,
    /// End with this update of the run, before its last
    #[arg(long, value_name = "N", value_parser = args::whole("until", 1..=10_000_000), allow_negative_numbers = true)]
    until: Option<usize>,
    /// Updates; instead of --epochs
    #[arg(long, value_name = "N", conflicts_with = "epochs", value_parser = args::whole("steps", 1..=10_000_000), allow_negative_numbers = true)]
    steps: Option<usize>,
    /// Learning rate
    #[arg(long, value_parser = args::above_zero("lr"), allow_negative_numbers = true)]
    lr: Option<f64>,
    /// Pictures in an update
    #[arg(long, value_name = "N", value_parser = args::whole("batch", 1..=4096), allow_negative_numbers = true)]
    batch: Option<usize>,
    /// A knob of the method, as often as needed; `salun info` lists them
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// The same as --set alpha=VALUE
    #[arg(long, value_parser = args::real("alpha", 0.0..=1e6), allow_negative_numbers = true)]
    alpha: Option<f64>,
    /// Where the forgotten goes (generation: next, random, null, noise or a class; prompts: next, random, null, noise or any other prompt)
    #[arg(long, value_name = "CLASS")]
    redirect: Option<Redirect>,
    /// How much is trained on and evaluated: tiny, quick or full
    #[arg(long, value_parser = args::choice("budget", Budget::ALL))]
    budget: Option<Budget>,
    /// End with an audit of what the model still holds (classification), or with attacks that try to bring it back (prompts); always with --budget full
    #[arg(long)]
    audit: bool,
    /// Seed of everything random [default: 1]
    #[arg(long, value_name = "N", value_parser = args::seed, allow_negative_numbers = true)]
    seed: Option<u64>,
    /// Go on from the state that a killed run left beside --out; what it was asked for need not be said again
    #[arg(long)]
    resume: bool,
    /// The run folder to write; the state of a run under way is kept beside it
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

impl Args {
    /// The recipe of a link. It says which data only by the model: of one's own, its card does.
    fn linked(&self, link: &str) -> Result<Recipe> {
        let link = Link::parse(link)?;
        if link.leaves_to_lesson() {
            let right = "a lesson has no recipe; it is opened by salun --lesson NAME";
            return Err(Error::argument("link", &link.lesson, right));
        }
        let recipe = link.recipe;
        let own = registry::shipped(&recipe.model).is_none();
        if !own || self.data.is_some() || registry::is_latent(&recipe.model) {
            return Ok(recipe);
        }
        let data = registry::open(&recipe.model)?.card.data;
        if data.is_empty() {
            let right = "it does not say which data; name it with --data";
            return Err(Error::argument("link", &recipe.model, right));
        }
        Ok(Recipe { data, ..recipe })
    }

    /// The run that this one goes on from, as its recipe tells it, and its folder.
    fn parent(&self) -> Result<(Recipe, PathBuf)> {
        let named = self.branch.as_deref().unwrap_or_default();
        let (dir, until) = match named.rsplit_once('@') {
            Some((dir, step)) if !Path::new(named).exists() => {
                let right = || Error::argument("branch", named, "write DIR@N, N being an update");
                (dir, Some(step.parse().map_err(|_| right())?))
            }
            _ => (named, None),
        };
        let run = folder::read(Path::new(dir))?;
        let recipe = run.recipe.within(&std::path::absolute(dir).unwrap_or_default());
        Ok((Recipe { until: until.or(recipe.until), ..recipe }, dir.into()))
    }

    /// The recipe that is asked for; `parent`: that of the run that it goes on from.
    fn recipe(&self, parent: Option<&Recipe>, state: &Path) -> Result<Recipe> {
        let said = self.model.is_some() || self.data.is_some() || self.forget.is_some();
        let mut recipe = match &self.recipe {
            _ if let Some(parent) = parent => parent.clone(),
            None if self.resume && !said => Found::open(state)?.recipe().clone(),
            Some(link) if link.to_string_lossy().contains('?') && !link.exists() => {
                self.linked(&link.to_string_lossy())?
            }
            Some(path) => {
                let text = files::read_text(path)?;
                let recipe = Recipe::parse(&text, &path.to_string_lossy())?;
                // Its paths are from where it lies, or else from here.
                match path.parent().and_then(|folder| std::path::absolute(folder).ok()) {
                    Some(folder) => recipe.with_pictures(&folder).within(&folder),
                    None => recipe,
                }
            }
            None => {
                let data = format!("{} or folder:PATH", NAMES.join(", "));
                for (name, given, right) in [
                    ("model", &self.model, "a shipped model's name or a weights file"),
                    ("data", &self.data, &data),
                    ("forget", &self.forget, forget::HELP),
                ] {
                    let needed = || format!("--{name} is needed without a recipe: {right}");
                    given.as_ref().ok_or_else(|| Error::Request(needed()))?;
                }
                Recipe::new("", "", "")
            }
        };
        if parent.is_some() {
            recipe = recipe.whole().going_on(&recipe);
        }
        recipe.until = self.until.or(recipe.until);
        recipe.model = self.own.behind(self.model.as_ref().unwrap_or(&recipe.model))?;
        recipe.data = self.captions.of(self.data.as_ref().unwrap_or(&recipe.data))?;
        recipe.forget = self.forget.clone().unwrap_or(recipe.forget);
        if self.method.as_ref().is_some_and(|method| *method != recipe.method) {
            // Another method's knobs mean nothing to this one.
            recipe.knobs.clear();
        }
        if self.method.is_some() {
            // What others met is to be met by it.
            recipe = recipe.to_be_met();
        }
        recipe.method = self.method.clone().unwrap_or(recipe.method);
        recipe.density = self.density.unwrap_or(recipe.density);
        recipe.redirect = self.redirect.clone().unwrap_or(recipe.redirect);
        recipe.budget = self.budget.unwrap_or(recipe.budget);
        recipe.seed = self.seed.unwrap_or(recipe.seed);
        if let Some(mask) = &self.mask {
            (recipe.mask, recipe.mask_file) = (Some(mask.estimator), mask.file.clone());
        }
        if self.epochs.is_some() || self.steps.is_some() {
            (recipe.epochs, recipe.steps) = (self.epochs, self.steps);
        }
        recipe.lr = self.lr.or(recipe.lr);
        recipe.batch = self.batch.or(recipe.batch);
        recipe.audit = self.audit.then_some(true).or(recipe.audit);
        if let Some(alpha) = self.alpha {
            recipe.set(&format!("alpha={alpha}"))?;
        }
        for knob in &self.set {
            recipe.set(knob)?;
        }
        recipe.check()?;
        Ok(recipe)
    }
}

/// Runs the command.
pub fn run(args: &Args, common: &Common) -> Result<()> {
    let parent = args.branch.is_some().then(|| args.parent()).transpose()?;
    let state = kept::beside(&args.out, "state");
    output::clear(&state);
    let recipe = args.recipe(parent.as_ref().map(|(recipe, _)| recipe), &state)?;
    common.look_at(&recipe.data, &recipe.model)?;
    let out = Output::new(&args.out, OutputKind::Run, common.force)?;
    if args.resume {
        Found::open(&state)?.of(&recipe)?;
    } else {
        kept::begin(&state, common.force)?;
    }
    let mut client = Client::open(common)?;
    if let Some((parent, dir)) = &parent {
        // Without its snapshots, or on another kind of device, its updates are made again.
        if let Some(past) = folder::past(dir)? {
            let job = Job::Remember { recipe: parent.whole(), past, model: None };
            client.ask(job, Outcome::try_as_kept)?;
        }
    }
    let file = StateFile { path: state.clone(), resume: args.resume, at_stop: true };
    let run = client.ask(Job::UnlearnKept(recipe, file), Outcome::try_as_unlearned);
    if let (Err(Error::Cancelled), Ok(found)) = (&run, Found::open(&state)) {
        print::remark(&format!("update {} is kept; --resume goes on from it", found.step()));
    }
    if matches!(run, Err(Error::Diverged(_))) {
        // It would again.
        kept::remove(&state)?;
    }
    let run = run?;
    let written = out.write_folder(bundle::contents(&run)?);
    let whole = written.is_ok();
    print::json(&run.report)?;
    print::report(&run.report);
    print::written(written)?;
    if whole { kept::remove(&state) } else { Ok(()) }
}
