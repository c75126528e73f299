//! No command: the studio, or the demo where there is no display.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use clap::Parser;
use eframe::egui_wgpu::{WgpuSetup, WgpuSetupExisting};
use serde::{Deserialize, Serialize};

use super::{Common, demo, print, signals};
use salun_studio::disk::output::{Made, Output, OutputKind};
use salun_studio::disk::{files, output};
use salun_studio::engine::{Engine, Run};
use salun_studio::error::{Error, Result};
use salun_studio::gpu::device;
use salun_studio::models::registry;
use salun_studio::run::{Link, Recovery, bundle, folder, recovery};
use salun_studio::studio;
use salun_studio::studio::{Files, Host, Keeper, Parcel, Studio};
use salun_studio::words::Recipe;

/// Opens the studio.
pub fn run(common: &Common, file: Option<&Path>) -> Result<()> {
    let link = file.map(asked).transpose()?.unwrap_or_default();
    if !has_display() {
        let why = "no display found (neither DISPLAY nor WAYLAND_DISPLAY is set)";
        print::remark(&format!("salun: {why}; running salun demo"));
        signals::listen();
        return demo::run(&demo::Args::parse_from(["salun demo"]), common);
    }
    window(common, Arc::new(RunKeeper::new()), &link, |studio| Box::new(studio))
}

/// The link that opens a file: a model, or a recipe's request.
fn asked(file: &Path) -> Result<String> {
    if !file.exists() {
        let commands = <super::Cli as clap::CommandFactory>::command();
        let names: Vec<String> = commands.get_subcommands().map(|c| c.get_name().into()).collect();
        let known = names.iter().map(String::as_str).chain(["a file to open"]);
        return Err(Error::unknown("command", &file.to_string_lossy(), known));
    }
    let whole = std::path::absolute(file).map_err(|e| Error::file(file, e))?;
    let text = whole.to_str().ok_or_else(|| Error::file(file, "has a name that is no text"))?;
    if whole.extension().is_some_and(|end| end == "toml") {
        let recipe = Recipe::parse(&files::read_text(&whole)?, text)?;
        let recipe = recipe.within(whole.parent().unwrap_or(Path::new(".")));
        // What others made is no method of the window's.
        let request = recipe.clone().to_be_met();
        let query = Link { recipe: request, at: None, run: false }.query();
        let taken = Link::parse(&query)?.recipe;
        let taken =
            Recipe { data: recipe.data.clone(), fingerprint: recipe.fingerprint.clone(), ..taken };
        if taken != recipe {
            print::note(
                "Note: the window takes of a recipe what a link holds: model, forget set, method, mask and \
                 numbers; salun unlearn runs the whole",
            );
        }
        return Ok(query);
    }
    if whole.is_dir() && !registry::is_latent(text) && !whole.join("model.safetensors").is_file() {
        let right = "is neither a run folder nor a diffusers folder; a model is trained on a folder of \
                     pictures by: salun train fashion-classifier --data folder:PATH --out own.safetensors";
        return Err(Error::file(file, right));
    }
    Ok(Link { recipe: Recipe::new(text, "", ""), at: None, run: false }.query())
}

/// Opens the window with the studio, or what is made of it.
///
/// # Errors
/// No device or no window can be opened.
pub fn window(
    common: &Common,
    keeper: Arc<dyn Keeper>,
    link: &str,
    app: impl FnOnce(Studio) -> Box<dyn eframe::App>,
) -> Result<()> {
    let compute = device::open(common.device)?;
    // The window draws on the device that the engine computes on.
    let setup = compute.setup.clone().map(|s| {
        let (instance, adapter, device, queue) = (s.instance, s.adapter, s.device, s.queue);
        WgpuSetup::Existing(WgpuSetupExisting { instance, adapter, device, queue })
    });
    let engine = Engine::spawn(compute);
    #[cfg(feature = "dialogs")]
    let dialog = super::dialog::native();
    #[cfg(not(feature = "dialogs"))]
    let dialog = None;
    let host = Host { dialog, ..Host::default() };
    let studio = Studio::kept(Box::new(engine), keeper).in_host(host, link);
    studio::run(app(studio), setup)
        .map_err(|e| Error::Device(format!("the window cannot be opened ({e}); try salun demo")))
}

/// Whether a window can be opened.
pub fn has_display() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|v| !v.is_empty());
    !cfg!(target_os = "linux") || set("DISPLAY") || set("WAYLAND_DISPLAY")
}

/// Where a person's runs are saved, and where they are kept until then.
struct RunKeeper {
    folder: Mutex<PathBuf>,
    recovery: Recovery,
    /// The sitting before, where it can be brought back.
    earlier: Option<PathBuf>,
}

/// What is remembered from one sitting to the next.
#[derive(Serialize, Deserialize)]
struct Remembered {
    /// The folder that runs were saved in last.
    folder: PathBuf,
}

/// The file of it, in the program's own folder.
const REMEMBERED: &str = "studio.json";
/// The folder for runs in a person's documents.
const RUNS: &str = "SalUn";

impl RunKeeper {
    fn new() -> Self {
        let remembered = files::home().ok().and_then(|home| {
            let bytes = std::fs::read(home.join(REMEMBERED)).ok()?;
            serde_json::from_slice::<Remembered>(&bytes).ok()
        });
        let documents =
            || dirs::document_dir().or_else(dirs::home_dir).or(std::env::current_dir().ok());
        let remembered = remembered.map(|r| r.folder).filter(|folder| folder.is_dir());
        let folder = remembered.unwrap_or_else(|| documents().unwrap_or_default().join(RUNS));
        let earlier = recovery::remembered();
        Self { folder: Mutex::new(folder), recovery: Recovery::default(), earlier }
    }

    fn now(&self) -> PathBuf {
        self.folder.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Remembers the folder once something could be saved there.
    fn remember(&self) {
        let folder = self.now();
        let write = |home: PathBuf| {
            std::fs::create_dir_all(&home).map_err(|e| Error::write(&home, e))?;
            output::replace(&home.join(REMEMBERED), &bundle::json(&Remembered { folder })?)
        };
        // Not remembered, it is asked for again.
        let _ = files::home().and_then(write);
    }
}

impl Keeper for RunKeeper {
    /// Writes a run to the first free `<task>-<forget>-<mask>-<n>`, a file beside it, and says where that
    /// is: a window does not show the folder that it was started in.
    fn save(&self, parcel: Parcel) -> Result<PathBuf> {
        let folder = self.now();
        Made::folders(&folder)
            .and_then(|_made| match parcel {
                Parcel::Run(run) => folder::write_free(run, &folder),
                Parcel::File(name, bytes) => {
                    let kind = OutputKind::Own;
                    output::first(&folder.join(name), kind, false, |place| {
                        Output::new(place, kind, false)?.write_files(vec![bytes.to_vec()])
                    })
                }
            })
            .inspect(|_| self.remember())
            .map_err(|error| elsewhere(&error))
    }

    fn folder(&self) -> Option<PathBuf> {
        Some(self.now())
    }

    fn set_folder(&self, folder: PathBuf) {
        *self.folder.lock().unwrap_or_else(PoisonError::into_inner) = folder;
    }

    fn keep(&self, run: &Run) -> Result<Option<PathBuf>> {
        self.recovery.keep(run).map(Some)
    }

    fn adopt(&self, kept: &Path) -> Result<PathBuf> {
        let saved = recovery::adopt(kept, &self.now());
        saved.inspect(|_| self.remember()).map_err(|error| elsewhere(&error))
    }

    fn release(&self, kept: &Path) {
        self.recovery.release(kept);
    }

    fn left(&self) -> Vec<PathBuf> {
        recovery::left()
    }

    fn remember(&self, name: &str, bytes: Vec<u8>) -> Result<()> {
        self.recovery.remember(name, &bytes)
    }

    fn forget(&self, name: &str) {
        self.recovery.forget(name);
    }

    fn earlier(&self) -> Option<usize> {
        self.earlier.as_deref().map(recovery::remembered_bytes)
    }

    fn recall(&self) -> Result<Option<Files>> {
        self.earlier.as_deref().map(recovery::recall).transpose()
    }

    fn discard_earlier(&self, brought: Option<&[String]>) {
        self.earlier.iter().for_each(|sitting| recovery::discard(sitting, brought));
    }

    fn end(&self, remembers: bool) {
        self.recovery.end(remembers);
    }
}

/// What a person can do in a window about a place that cannot be written.
fn elsewhere(error: &Error) -> Error {
    let text = error.to_string();
    let text = text.strip_suffix("; choose another --out").unwrap_or(&text);
    Error::Request(format!("{text}; choose another with Export, Run folders to…"))
}
