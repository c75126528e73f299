//! The browser's entry on the page: a canvas, and the same studio with its engine in a worker.

use std::{
    cell::RefCell,
    path::PathBuf,
    sync::{Arc, mpsc},
};

use image::RgbaImage;
use js_sys::Uint8Array;
use wasm_bindgen::prelude::*;
use web_sys::HtmlCanvasElement;

use crate::engine::{Engine, Event};
use crate::error::{Error, Result};
use crate::run::bundle;
use crate::studio::{Given, Host, Keeper, Parcel, Recalled, Studio};
use crate::wire;

unsafe extern "C" {
    fn __wasm_call_ctors();
}

#[wasm_bindgen(module = "/web/host.js")]
extern "C" {
    /// Puts a request into the page's address.
    fn show_link(query: &str);
    /// Whether the person asked the system for less motion.
    fn prefers_calm() -> bool;
    /// Opens the browser's file dialog.
    fn ask_file();
    /// Shows what the camera sees; pictures of it come to [`Page::open_picture`].
    fn ask_camera();
    /// Remembers a file in the browser's own file system, or forgets it.
    fn remember(name: &str, bytes: &[u8]);
    fn forget(name: &str);
    /// Asks for what an earlier sitting left, or lets go of that.
    fn recall();
    fn discard_earlier();
    /// Hands a file to the person.
    fn save_file(name: &str, bytes: &[u8]);
    /// The code of the browser's language.
    fn language() -> String;
    /// A setting that was kept under a name.
    fn setting(name: &str) -> Option<String>;
    /// Keeps a setting under a name, where the browser has a place for it.
    fn keep_setting(name: &str, text: &str);
    /// Has the browser ask before the page is left, or not any more.
    fn hold_page(on: bool);
    /// Says that the page cannot go on, why, and offers to start again.
    fn stopped(title: &str, why: &str);
}

/// Runs once, when the module is loaded.
#[wasm_bindgen(start)]
pub fn prepare() {
    // SAFETY: called once, before anything else. Without it the linker wraps every export so that
    // each call from the page runs all constructors again.
    unsafe { __wasm_call_ctors() };
    crate::platform::listen();
}

/// The studio on a page.
#[wasm_bindgen]
pub struct Page {
    files: mpsc::Sender<(String, Arc<[u8]>)>,
    pictures: mpsc::Sender<Given>,
    memory: mpsc::Sender<Recalled>,
    /// Files of an earlier sitting, until all are there.
    recalled: RefCell<Vec<(String, Vec<u8>)>>,
    events: mpsc::Sender<Event>,
    context: egui::Context,
    runner: eframe::WebRunner,
}

#[wasm_bindgen]
impl Page {
    /// Shows the studio on the canvas. `address` is the page's own, `link` what comes after its
    /// question mark; `post` sends bytes to the engine's worker.
    ///
    /// # Errors
    /// The browser cannot draw on the canvas.
    pub async fn open(
        canvas: HtmlCanvasElement,
        address: String,
        link: String,
        embedded: bool,
        post: js_sys::Function,
    ) -> std::result::Result<Page, JsValue> {
        let runner = eframe::WebRunner::new();
        // After the runner, which takes the place of what was there before.
        std::panic::set_hook(Box::new(|panic| {
            console_error_panic_hook::hook(panic);
            stopped("The studio failed", &panic.to_string());
        }));
        let (engine, events) = Engine::new(move |bytes| {
            // A worker that is gone has said so.
            let _ = post.call1(&JsValue::NULL, &Uint8Array::from(&*bytes));
        });
        let (files, inbox) = mpsc::channel();
        let (pictures, shown) = mpsc::channel();
        let (memory, told_of) = mpsc::channel();
        let host = Host {
            address,
            on_link: Some(Box::new(show_link)),
            ask_file: Some(Box::new(ask_file)),
            files: Some(inbox),
            pictures: Some(shown),
            ask_camera: Some(Box::new(ask_camera)),
            on_unsaved: Some(Box::new(hold_page)),
            memory: Some(told_of),
            embedded,
            calm: prefers_calm(),
            language: Some(language()),
            lost: None,
        };
        let studio = Studio::kept(Box::new(engine), Arc::new(PageKeeper)).in_host(host, &link);
        // What was recorded of the first model is on its way before the first frame.
        let _ = studio.state.session().seen();
        let (keep, context) = mpsc::channel();
        let app =
            move |cc: &eframe::CreationContext| -> std::result::Result<Box<dyn eframe::App>, _> {
                // The receiver lives until the runner has started.
                let _ = keep.send(cc.egui_ctx.clone());
                Ok(Box::new(studio))
            };
        // Nothing that is drawn comes from a tensor's memory, so the canvas needs no device that it
        // shares with the engine.
        let options = eframe::WebOptions { renderer: eframe::Renderer::Glow, ..Default::default() };
        runner.start(canvas, options, Box::new(app)).await?;
        let context = context.recv().map_err(|_| told(Error::Request("no canvas".into())))?;
        let recalled = RefCell::default();
        Ok(Page { files, pictures, memory, recalled, events, context, runner })
    }

    /// Takes a packed event of the engine.
    ///
    /// # Errors
    /// It is none.
    pub fn hear(&self, event: &[u8]) -> std::result::Result<(), JsValue> {
        // The studio lives as long as the page.
        let _ = self.events.send(wire::unpack(event).map_err(told)?);
        self.context.request_repaint();
        Ok(())
    }

    /// Opens a weights file that was picked or dropped.
    pub fn open_file(&self, name: String, bytes: Vec<u8>) {
        // The studio lives as long as the page.
        let _ = self.files.send((name, bytes.into()));
        self.context.request_repaint();
    }

    /// Takes a picture that was dropped, picked or taken: 4 bytes a pixel, row by row; none where the browser
    /// cannot read it.
    pub fn open_picture(&self, name: String, width: u32, height: u32, rgba: Vec<u8>) {
        let picture = RgbaImage::from_raw(width, height, rgba).filter(|p| !p.is_empty());
        let unread = || Error::file(&name, "is no picture that this browser reads");
        let picture = picture.ok_or_else(unread);
        // The studio lives as long as the page.
        let _ = self.pictures.send((name, picture));
        self.context.request_repaint();
    }

    /// Takes a file of an earlier sitting, and after the last of them none.
    pub fn recalled(&self, name: Option<String>, bytes: Vec<u8>) {
        if let Some(name) = name {
            return self.recalled.borrow_mut().push((name, bytes));
        }
        self.remembers(Recalled::Files(self.recalled.take()));
    }

    /// Hears that an earlier sitting left about so many bytes.
    pub fn earlier(&self, bytes: f64) {
        self.remembers(Recalled::Left(bytes as usize));
    }

    /// Hears why nothing can be remembered here.
    pub fn forgetful(&self, why: String) {
        self.remembers(Recalled::Failed(why));
    }

    fn remembers(&self, told: Recalled) {
        // The studio lives as long as the page.
        let _ = self.memory.send(told);
        self.context.request_repaint();
    }

    /// What the studio shows, as JSON; see [`crate::studio::Summary`].
    pub fn summary(&self) -> Option<String> {
        let studio = self.runner.app_mut::<Studio>()?;
        serde_json::to_string(&studio.summary()).ok()
    }

    /// Takes over what a link asks for.
    pub fn follow(&self, link: &str) {
        if let Some(mut studio) = self.runner.app_mut::<Studio>() {
            studio.follow(link);
        }
        self.context.request_repaint();
    }

    /// The mask of the finished run, as a safetensors file.
    pub fn mask(&self) -> Option<Vec<u8>> {
        let studio = self.runner.app_mut::<Studio>()?;
        let (_, run) = studio.state.finished().next()?;
        run.mask.as_ref()?.encode().ok()
    }
}

/// Keeps work as downloads, settings in the browser's storage, a sitting in the browser's own file system.
struct PageKeeper;

impl Keeper for PageKeeper {
    /// Hands the files of a run folder to the person as one archive, a single file as it is.
    fn save(&self, parcel: Parcel) -> Result<PathBuf> {
        match parcel {
            Parcel::Run(run) => {
                let name = bundle::name(run) + ".zip";
                save_file(&name, &bundle::archive(run)?);
                Ok(name.into())
            }
            Parcel::File(name, bytes) => {
                save_file(name, bytes);
                Ok(name.into())
            }
        }
    }

    fn setting(&self, name: &str) -> Option<String> {
        setting(name)
    }

    fn keep_setting(&self, name: &str, text: &str) {
        keep_setting(name, text);
    }

    fn remember(&self, name: &str, bytes: Vec<u8>) -> Result<()> {
        remember(name, &bytes);
        Ok(())
    }

    fn forget(&self, name: &str) {
        forget(name);
    }

    fn recall(&self) -> Result<Option<Vec<(String, Vec<u8>)>>> {
        recall();
        Ok(None)
    }

    fn discard_earlier(&self, _: Option<&[String]>) {
        discard_earlier();
    }
}

/// An error as the page knows them.
pub(crate) fn told(error: Error) -> JsValue {
    js_sys::Error::new(&error.to_string()).into()
}
