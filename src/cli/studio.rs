//! No command: the studio, or the demo where there is no display.

use std::path::{Path, PathBuf};

use eframe::egui_wgpu::{WgpuSetup, WgpuSetupExisting};
use salun_studio::{
    engine::Engine,
    error::{Error, Result},
    gpu::device,
    run::{
        bundle, folder,
        output::{Kind, Output},
    },
    studio::{self, Parcel, Studio},
};

use super::{args::Common, demo, print};

/// Where the studio saves its runs.
const RUNS: &str = "salun-runs";

/// Opens the studio.
pub fn run(common: &Common) -> Result<()> {
    if !has_display() {
        if !common.quiet {
            let why = "no display found (neither DISPLAY nor WAYLAND_DISPLAY is set)";
            print::note(&format!("salun: {why}; running salun demo"));
        }
        return demo::run(&demo::Args::default(), common);
    }
    window(common, |studio| Box::new(studio))
}

/// Opens the window with the studio, or what is made of it.
///
/// # Errors
/// No device or no window can be opened.
pub fn window(common: &Common, app: impl FnOnce(Studio) -> Box<dyn eframe::App>) -> Result<()> {
    let compute = device::open(common.device)?;
    // The window draws on the device that the engine computes on.
    let setup = compute.setup.clone().map(|s| {
        let (instance, adapter, device, queue) = (s.instance, s.adapter, s.device, s.queue);
        WgpuSetup::Existing(WgpuSetupExisting { instance, adapter, device, queue })
    });
    let engine = Engine::spawn(compute);
    let studio = Studio::new(Box::new(engine), Box::new(save));
    studio::run(app(studio), setup)
        .map_err(|e| Error::Device(format!("the window cannot be opened ({e}); try salun demo")))
}

/// Whether a window can be opened.
pub fn has_display() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|v| !v.is_empty());
    !cfg!(target_os = "linux") || set("DISPLAY") || set("WAYLAND_DISPLAY")
}

/// Writes a run to the first free `salun-runs/<task>-<forget>-<mask>-<n>`, a file beside it, and says
/// where that is: a window does not show the folder that it was started in.
fn save(parcel: Parcel) -> Result<PathBuf> {
    let runs = std::path::absolute(RUNS).map_err(|e| Error::write(Path::new(RUNS), e))?;
    let runs = runs.as_path();
    std::fs::create_dir_all(runs).map_err(|e| Error::write(runs, e))?;
    let free = |stem: &str, end: &str| {
        let mut places = (1..).map(|n| runs.join(format!("{stem}-{n}{end}")));
        places.find(|p| !p.exists()).unwrap_or_else(|| runs.join(stem))
    };
    let place = match parcel {
        Parcel::Run(run) => folder::write(run, &free(&bundle::name(run), ""), false)?,
        Parcel::File(name, bytes) => {
            let dot = name.rfind('.').unwrap_or(name.len());
            let place = free(&name[..dot], &name[dot..]);
            Output::file(&place, Kind::Own, false)?.write(bytes.to_vec())?
        }
    };
    Ok(place)
}
