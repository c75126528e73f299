//! The state of a run under way: what one that was killed goes on from, and ends with the same bytes.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use web_time::{Duration, Instant};

use super::{LogLine, Past, Request};
use crate::error::{Error, Result, ensure};
use crate::gpu::{self, DeviceInfo, DeviceKind};
use crate::job_context::JobContext;
use crate::models::delta::Snapshots;
use crate::models::stream::Vector;
use crate::models::{Bits, InFile};
use crate::saliency::Mask;
use crate::unlearn::Unlearner;
use crate::words::{Format, Recipe, difference};

/// Where the description lies in the file's metadata, and the tensors of the mask's words and of the weights on the way.
const ABOUT: &str = "salun-run-state";
const MASK: &str = "mask";
const SNAPSHOTS: &str = "snapshots";
/// How often a state is kept; and so many times what keeping it takes at the least.
const EVERY: Duration = Duration::from_secs(30);
const TIMES: u32 = 20;
/// A run whose last update is so near is made again rather than kept, while it is measured.
const LITTLE: Duration = Duration::from_secs(3);

/// When a state is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// After an update.
    Update,
    /// After the last one.
    End,
    /// After the last one that a stop left time for.
    Stop,
}

/// Where the state of a run is kept, whether to go on from what is there, and whether it is kept at a stop, too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StateFile {
    pub path: PathBuf,
    pub resume: bool,
    pub at_stop: bool,
}

/// What a state says of itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct About {
    format: Format,
    /// As TOML: a number is read back to its last bit.
    recipe: String,
    /// [`crate::models::HostWeights::hash`] of what the run changes.
    original: String,
    /// What its sums are made by: elsewhere they have other bits.
    sums: String,
    step: usize,
    log: Vec<LogLine>,
}

/// The state of a run that ended before its last update.
pub struct Found {
    recipe: Recipe,
    about: About,
    file: InFile<'static>,
    path: PathBuf,
}

impl Found {
    /// Reads a state's description; its weights stay where they are.
    ///
    /// # Errors
    /// The file is missing, damaged, or no state of a run.
    pub fn open(path: &Path) -> Result<Self> {
        let bad = |reason: String| Error::file(path, reason);
        let other = || bad("is not the state of a run".into());
        let file = InFile::open(disk::open(path)?, path)?.ok_or_else(other)?;
        let about = file.metadata().remove(ABOUT).ok_or_else(other)?;
        let about = serde_json::from_str::<About>(&about)
            .map_err(|e| bad(format!("its description cannot be read ({e})")))?;
        let ordered = about.log.iter().map(|line| line.step).eq(1..=about.step);
        ensure(ordered && about.step > 0, || bad("its log is not that of its updates".into()))?;
        let recipe = Recipe::parse(&about.recipe, &path.to_string_lossy())?;
        Ok(Self { recipe, about, file, path: path.into() })
    }

    /// What the run was asked for.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// A line for each of its updates.
    pub fn log(&self) -> &[LogLine] {
        &self.about.log
    }

    /// How many updates it had made.
    pub fn step(&self) -> usize {
        self.about.step
    }

    /// The same, if it is the state of the run that is `asked` for.
    ///
    /// # Errors
    /// It is another's; what differs is named.
    pub fn of(self, asked: &Recipe) -> Result<Self> {
        let plain = |recipe: &Recipe| Recipe { fingerprint: None, ..recipe.clone() };
        match difference(&plain(&self.recipe), &plain(asked)) {
            None => Ok(self),
            Some(what) => {
                let reason = format!("is the state of another run: {what}");
                Err(Error::file(&self.path, reason))
            }
        }
    }

    /// The run's mask, where one was `made` for it again: another device's scores may choose a few other weights.
    ///
    /// # Errors
    /// The state has none, or one of another size.
    pub fn mask(&mut self, made: Mask) -> Result<Mask> {
        let bytes = self.file.bytes(|name| name == MASK)?.remove(MASK).unwrap_or_default();
        let words = bytes.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word));
        let n = made.bits.len();
        let bits =
            (4 * n.div_ceil(32) == bytes.len()).then(|| Bits::from_words(words.collect(), n));
        let bits = bits.filter(|bits| bits.ones() == made.k);
        let other = || Error::file(&self.path, "has no mask of this run's size");
        Ok(Mask { bits: bits.ok_or_else(other)?, ..made })
    }

    /// Has a run that has just begun go on from here; `now` is what its own state would say.
    async fn resume(
        mut self,
        now: &About,
        unlearner: &mut Unlearner,
        past: &mut Past,
        job: &mut JobContext,
    ) -> Result<()> {
        let then = &self.about;
        let bad = |reason: &str| Error::file(&self.path, reason);
        ensure(then.original == now.original, || bad("is of other weights than this model's"))?;
        ensure(then.step <= unlearner.steps(), || bad("is of more updates than the run has"))?;
        if then.sums != now.sums {
            job.note(format!(
                "the run was begun by {} and goes on by {}: it ends with other bits than one that was never stopped",
                then.sums, now.sums
            ));
        }
        let bytes = self.file.bytes(|name| name == SNAPSHOTS)?.remove(SNAPSHOTS);
        if let Some(bytes) = bytes {
            let found = Snapshots::decode(&bytes, &self.path)?.until(then.step);
            ensure(found.is_like(&past.snapshots), || bad("has the steps of another run"))?;
            past.snapshots = found;
        }
        past.log = then.log.clone();
        let step = then.step;
        unlearner.resume(step, &mut |name, n| self.file.vector(name, n)).await?;
        job.note(format!("goes on after update {step}"));
        Ok(())
    }
}

/// A run on its way: its past, and its state, which is kept now and then.
pub struct UnderWay<'a> {
    /// Seconds that it took so far.
    pub seconds: f64,
    pub past: Past,
    safe: Option<Safekeeping<'a>>,
}

impl<'a> UnderWay<'a> {
    /// Before the first update.
    pub fn new(past: Past, safe: Option<Safekeeping<'a>>) -> Self {
        Self { seconds: 0.0, past, safe }
    }

    /// Goes on from the state that was found, where one was; whether it was.
    ///
    /// # Errors
    /// The model or the mask is another than it was, or a vector is not as it should be.
    pub async fn resume(
        &mut self,
        unlearner: &mut Unlearner,
        job: &mut JobContext,
    ) -> Result<bool> {
        let Some(safe) = &mut self.safe else { return Ok(false) };
        let Some(found) = safe.found.take() else { return Ok(false) };
        found.resume(&safe.about, unlearner, &mut self.past, job).await?;
        self.seconds = self.past.log.last().map_or(0.0, |line| line.seconds);
        safe.about.step = unlearner.step;
        Ok(true)
    }

    /// Keeps the state where that is due. A run whose state cannot be kept goes on, and that is said.
    pub fn keep(&mut self, unlearner: &mut Unlearner, at: At, job: &mut JobContext) {
        let Some(safe) = self.safe.as_mut().filter(|safe| safe.due(at, unlearner.step)) else {
            return;
        };
        if let Err(why) = safe.keep(unlearner, &self.past) {
            job.note(format!("{why}; the run goes on, and its state is not kept"));
            self.safe = None;
        }
    }
}

/// Where and as what the state of a run is kept.
pub struct Safekeeping<'a> {
    file: &'a StateFile,
    mask: Option<&'a Mask>,
    about: About,
    found: Option<Found>,
    /// When it was kept, and how long that took.
    kept: Instant,
    took: Duration,
}

impl<'a> Safekeeping<'a> {
    /// Of a run on a device before its first update, or of one that goes on from what was `found`.
    ///
    /// # Errors
    /// The recipe has no form as text.
    pub fn of(
        file: &'a StateFile,
        (request, asked, mask): (&Request, &Recipe, Option<&'a Mask>),
        found: Option<Found>,
        device: &DeviceInfo,
    ) -> Result<Self> {
        let fingerprint = request.asked().recipe.fingerprint.clone();
        let by = match device.kind {
            DeviceKind::Cpu => format!("a CPU with {}", gpu::instructions()),
            _ => device.label(),
        };
        let about = About {
            format: Format,
            recipe: Recipe { fingerprint, ..asked.clone() }.to_toml()?,
            original: request.original().hash(),
            sums: format!("{by}, version {}", env!("CARGO_PKG_VERSION")),
            step: 0,
            log: Vec::new(),
        };
        Ok(Self { file, mask, about, found, kept: Instant::now(), took: Duration::ZERO })
    }

    fn due(&self, at: At, step: usize) -> bool {
        let least = match at {
            At::Update => EVERY.max(self.took * TIMES),
            At::End => LITTLE.max(self.took * TIMES),
            At::Stop if self.file.at_stop => Duration::ZERO,
            At::Stop => return false,
        };
        step > self.about.step && self.kept.elapsed() >= least
    }

    /// Keeps the state; the one before it stays until this one is whole.
    fn keep(&mut self, unlearner: &mut Unlearner, past: &Past) -> Result<()> {
        let begun = Instant::now();
        let about = About { step: unlearner.step, log: past.log.clone(), ..self.about.clone() };
        let about = serde_json::to_string(&about).map_err(|e| Error::Request(e.to_string()))?;
        let snapshots = past.snapshots.encode()?;
        let words = |mask: &Mask| mask.bits.words().iter().flat_map(|w| w.to_le_bytes()).collect();
        let mask = self.mask.map(|mask| Vector::of_bytes(MASK, words(mask)));
        let mut vectors = unlearner.vectors();
        vectors.extend(mask);
        vectors.extend(snapshots.map(|bytes| Vector::of_bytes(SNAPSHOTS, bytes)));
        disk::write(&self.file.path, &vectors, (ABOUT, about))?;
        drop(vectors);
        self.about.step = unlearner.step;
        (self.kept, self.took) = (Instant::now(), begun.elapsed());
        Ok(())
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod disk {
    use std::path::Path;

    use crate::disk::{files, output};
    use crate::error::{Error, Result, ensure};
    use crate::models::Source;
    use crate::models::stream::{self, Vector};

    pub fn open(path: &Path) -> Result<Box<dyn Source>> {
        let none = "there is no state to go on from; the run is to begin anew, without --resume";
        ensure(path.exists(), || Error::file(path, none))?;
        Ok(Box::new(files::open(path)?))
    }

    pub fn write(path: &Path, vectors: &[Vector], about: (&str, String)) -> Result<()> {
        output::replace_by(path, |path| stream::write(path, vectors, about))
    }
}

/// A page has no files.
#[cfg(target_arch = "wasm32")]
mod disk {
    use std::path::Path;

    use crate::error::{Error, Result};
    use crate::models::Source;
    use crate::models::stream::Vector;

    fn none<T>(path: &Path) -> Result<T> {
        Err(Error::file(path, "a page keeps no states of runs"))
    }

    pub fn open(path: &Path) -> Result<Box<dyn Source>> {
        none(path)
    }

    pub fn write(path: &Path, _: &[Vector], _: (&str, String)) -> Result<()> {
        none(path)
    }
}
