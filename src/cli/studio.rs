//! No command: the studio, or the demo where there is no display.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use clap::Parser;
use eframe::egui_wgpu::{WgpuSetup, WgpuSetupExisting};
use serde::{Deserialize, Serialize};

use super::{Common, demo, print, signals};
use salun_studio::disk::output::{Made, Output, OutputKind};
use salun_studio::disk::{files, output};
use salun_studio::engine::{Engine, Run};
use salun_studio::error::{Error, Result};
use salun_studio::gpu::device::{self, Compute};
use salun_studio::models::registry;
use salun_studio::platform;
use salun_studio::run::{Link, Recovery, bundle, folder, recovery};
use salun_studio::studio;
use salun_studio::studio::lesson::Lesson;
use salun_studio::studio::{Closed, Host, Keeper, Parcel, Studio};
use salun_studio::words::Recipe;

/// Opens the studio, with a file or a link, or with a lesson; `lost` is the device that a window before this one drew
/// on until it was lost.
pub fn run(
    common: &Common,
    file: Option<&Path>,
    lesson: Option<&str>,
    lost: Option<&str>,
) -> Result<()> {
    let link = match (file, lesson) {
        (Some(_), Some(_)) => {
            let why = "a lesson brings its own model; give --lesson alone, or a link with lesson=NAME in it";
            return Err(Error::Request(why.into()));
        }
        (Some(file), None) => asked(file)?,
        (None, Some(name)) => format!("lesson={}", Lesson::find(name)?.name),
        (None, None) => String::new(),
    };
    if !has_display() {
        let why = "no display found (neither DISPLAY nor WAYLAND_DISPLAY is set)";
        print::remark(&format!("salun: {why}; running salun demo"));
        signals::listen();
        return demo::run(&demo::Args::parse_from(["salun demo"]), common);
    }
    let compute = match lost {
        Some(name) => device::on_cpu(format!("{name} was lost")),
        None => device::open(common.device)?,
    };
    let asked = Arc::new(Mutex::new(String::new()));
    let latest = asked.clone();
    let on_link = move |link: &str| *locked(&latest) = link.into();
    let lost = lost.map(String::from);
    let host = Host { on_link: Some(Box::new(on_link)), lost: lost.clone(), ..Host::default() };
    match window(compute, host, Arc::new(RunKeeper::new()), &link, |studio| Box::new(studio))? {
        Closed::ByPerson => Ok(()),
        // Once: else the program would start for ever.
        Closed::Lost(name) if lost.is_none() => start_again(&name, &locked(&asked)),
        Closed::Lost(name) => Err(Error::Device(format!("{name} was lost once more"))),
    }
}

/// Has the program begin anew in place of this one, with the same request: the device that the window drew on was
/// lost. It offers to bring the sitting back.
fn start_again(lost: &str, request: &str) -> Result<()> {
    let failed = |e| Error::Device(format!("{lost} was lost, start the studio again ({e})"));
    let mut again = Command::new(std::env::current_exe().map_err(failed)?);
    again.args(["--lost", lost, &format!("?{request}")]);
    // What takes this one's place has its terminal, and finds its sitting ended.
    #[cfg(unix)]
    return Err(failed(std::os::unix::process::CommandExt::exec(&mut again)));
    #[cfg(not(unix))]
    again.spawn().map(drop).map_err(failed)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The link that opens a file: a model, or a recipe's request; or the link itself that stands there.
fn asked(file: &Path) -> Result<String> {
    let text = file.to_string_lossy();
    if text.contains('?') && !file.exists() {
        let link = Link::parse(&text)?;
        if !link.lesson.is_empty() {
            Lesson::find(&link.lesson)?;
        }
        return Ok(link.query());
    }
    if !file.exists() {
        let commands = <super::Cli as clap::CommandFactory>::command();
        let names: Vec<String> = commands.get_subcommands().map(|c| c.get_name().into()).collect();
        let known = names.iter().map(String::as_str).chain(["a file or a link to open"]);
        return Err(Error::unknown("command", &text, known));
    }
    let whole = std::path::absolute(file).map_err(|e| Error::file(file, e))?;
    let text = whole.to_str().ok_or_else(|| Error::file(file, "has a name that is no text"))?;
    if whole.extension().is_some_and(|end| end == "toml") {
        let recipe = Recipe::parse(&files::read_text(&whole)?, text)?;
        let recipe = recipe.within(whole.parent().unwrap_or(Path::new(".")));
        // What others made is no method of the window's.
        let request = recipe.clone().to_be_met();
        let query = Link::of(request).query();
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
    Ok(Link::of(Recipe::new(text, "", "")).query())
}

/// Opens the window with the studio, or what is made of it.
///
/// # Errors
/// No window can be opened.
pub fn window(
    compute: Compute,
    host: Host,
    keeper: Arc<dyn Keeper>,
    link: &str,
    app: impl FnOnce(Studio) -> Box<dyn eframe::App>,
) -> Result<Closed> {
    // The window draws on the device that the engine computes on.
    let setup = compute.setup.clone().map(|s| {
        let (instance, adapter, device, queue) = (s.instance, s.adapter, s.device, s.queue);
        WgpuSetup::Existing(WgpuSetupExisting { instance, adapter, device, queue })
    });
    // A window that is drawn on the same cores comes first.
    let engine = Engine::spawn_with(compute, platform::give_way);
    #[cfg(feature = "dialogs")]
    let dialog = super::dialog::native();
    #[cfg(not(feature = "dialogs"))]
    let dialog = None;
    let host = Host { dialog, language: language(), ..host };
    let studio = Studio::kept(Box::new(engine), keeper).in_host(host, link);
    studio::run(app(studio), setup)
        .map_err(|e| Error::Device(format!("the window cannot be opened ({e}); try salun demo")))
}

/// The code of the language that the system was told to speak, where it says so in its environment.
fn language() -> Option<String> {
    let said = |name| std::env::var(name).ok().filter(|code| !code.is_empty());
    ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().find_map(said)
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

/// Under which name that is remembered.
const STUDIO: &str = "studio";
/// The folder for runs in a person's documents.
const RUNS: &str = "SalUn";

impl RunKeeper {
    fn new() -> Self {
        let remembered = std::fs::read(setting_file(STUDIO).unwrap_or_default()).ok();
        let remembered =
            remembered.and_then(|bytes| serde_json::from_slice::<Remembered>(&bytes).ok());
        let documents =
            || dirs::document_dir().or_else(dirs::home_dir).or(std::env::current_dir().ok());
        let remembered = remembered.map(|r| r.folder).filter(|folder| folder.is_dir());
        let folder = remembered.unwrap_or_else(|| documents().unwrap_or_default().join(RUNS));
        let earlier = recovery::remembered();
        Self { folder: Mutex::new(folder), recovery: Recovery::default(), earlier }
    }

    fn now(&self) -> PathBuf {
        locked(&self.folder).clone()
    }

    /// Remembers the folder once something could be saved there.
    fn remember_folder(&self) {
        let json = bundle::json(&Remembered { folder: self.now() }).ok();
        if let Some(text) = json.and_then(|json| String::from_utf8(json).ok()) {
            self.keep_setting(STUDIO, &text);
        }
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
            .inspect(|_| self.remember_folder())
            .map_err(|error| elsewhere(&error))
    }

    fn folder(&self) -> Option<PathBuf> {
        Some(self.now())
    }

    fn set_folder(&self, folder: PathBuf) {
        *locked(&self.folder) = folder;
    }

    fn keep(&self, run: &Run) -> Result<Option<PathBuf>> {
        self.recovery.keep(run).map(Some)
    }

    fn adopt(&self, kept: &Path) -> Result<PathBuf> {
        let saved = recovery::adopt(kept, &self.now());
        saved.inspect(|_| self.remember_folder()).map_err(|error| elsewhere(&error))
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

    fn recall(&self) -> Result<Option<Vec<(String, Vec<u8>)>>> {
        self.earlier.as_deref().map(recovery::recall).transpose()
    }

    fn state(&self, recipe: &Recipe) -> Option<PathBuf> {
        self.recovery.state(recipe).ok()
    }

    fn interrupted(&self) -> Vec<PathBuf> {
        recovery::interrupted()
    }

    fn take_state(&self, earlier: &Path, recipe: &Recipe) -> PathBuf {
        self.recovery.take_state(earlier, recipe)
    }

    fn forget_state(&self, state: &Path) {
        recovery::forget_state(state);
    }

    fn discard_earlier(&self, brought: Option<&[String]>) {
        self.earlier.iter().for_each(|sitting| recovery::discard(sitting, brought));
    }

    fn end(&self, remembers: bool) {
        self.recovery.end(remembers);
    }

    fn setting(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(setting_file(name).ok()?).ok()
    }

    fn keep_setting(&self, name: &str, text: &str) {
        let write = |place: PathBuf| {
            let home = place.parent().unwrap_or(Path::new("."));
            std::fs::create_dir_all(home).map_err(|e| Error::write(home, e))?;
            output::replace(&place, text.as_bytes())
        };
        // Not kept, it is asked for again.
        let _ = setting_file(name).and_then(write);
    }
}

/// The file of a setting, in the program's own folder.
fn setting_file(name: &str) -> Result<PathBuf> {
    Ok(files::home()?.join(format!("{name}.json")))
}

/// What a person can do in a window about a place that cannot be written.
fn elsewhere(error: &Error) -> Error {
    let text = error.to_string();
    let text = text.strip_suffix("; choose another --out").unwrap_or(&text);
    Error::Request(format!("{text}; choose another with Export, Run folders to…"))
}
