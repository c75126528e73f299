//! The files that come with the product: inside the program, or beside it (feature `embed` off, and
//! the page).

use std::borrow::Cow;

use crate::error::Result;
use crate::job_context::JobContext;

/// Names groups of files, by their paths under `assets/`, and embeds them in a native program.
macro_rules! shipped {
    ($($(#[$doc:meta])* $name:ident = $folder:literal: $($file:literal),*;)*) => {
        $(
            $(#[$doc])*
            pub const $name: [&str; [$($file),*].len()] = [$(concat!($folder, "/", $file)),*];
        )*
        #[cfg(all(feature = "embed", not(target_arch = "wasm32")))]
        const FILES: &[(&str, &[u8])] = &[$($((
            concat!($folder, "/", $file),
            include_bytes!(concat!("../assets/", $folder, "/", $file)).as_slice(),
        ),)*)*];
    };
}

shipped! {
    /// Models of Fashion-MNIST.
    FASHION_MODELS = "models": "fashion-classifier.safetensors",
        "fashion-classifier-retrain-sneaker.safetensors", "fashion-ddpm.safetensors",
        "fashion-ddpm-retrain-sneaker.safetensors";
    /// Models of CIFAR-10, whose pictures do not come with the program.
    CIFAR_MODELS = "models": "cifar-classifier.safetensors";
    /// Training pictures and labels of Fashion-MNIST.
    FASHION_TRAIN = "data/fashion-mnist": "train.packed";
    /// Test pictures and labels of Fashion-MNIST.
    FASHION_TEST = "data/fashion-mnist": "t10k.packed";
    /// The emoji corpus.
    EMOJI = "data/emoji": "index.json", "3d.webp", "flat.webp", "mono.webp", "noto.webp",
        "blob.webp", "twemoji.webp";
    /// The text-to-image model: a diffusers folder, and the classifier that judges what it draws.
    EMOJI_T2I = "models/emoji-t2i": "model_index.json", "card.json", "judge.safetensors",
        "scheduler/scheduler_config.json", "text_encoder/config.json",
        "text_encoder/model.safetensors", "tokenizer/merges.txt",
        "tokenizer/special_tokens_map.json", "tokenizer/tokenizer_config.json",
        "tokenizer/vocab.json", "unet/config.json", "unet/diffusion_pytorch_model.safetensors",
        "vae/config.json", "vae/diffusion_pytorch_model.safetensors";
    /// What judges saw in the pictures of shipped models when they were recorded.
    KNOWN = "recorded": "emoji-t2i.known", "fashion-ddpm.known",
        "fashion-ddpm-retrain-sneaker.known";
    /// What shipped models showed when they were recorded.
    RECORDED = "recorded": "emoji-t2i.opened", "fashion-ddpm.opened", "fashion-ddpm-retrain-sneaker.opened",
        "fashion-classifier.opened", "fashion-classifier.overlap";
    /// Runs worth seeing, as they were recorded.
    GALLERY = "gallery": "cat.run", "sneaker.run", "hidden.run", "drawn.run", "style.run", "ascent.run",
        "fine-tuned.run", "neighbours.run", "share.run", "too-soon.run", "burnt.run", "edited.run";
    /// Tables of runs, over seeds.
    TABLES = "tables": "prompts/table.json", "ddpm-classwise/table.json", "classwise/table.json",
        "table1/table.json", "density/table.json", "estimators/table.json", "iu-alpha/table.json",
        "search/table.json";
}

#[cfg(not(target_arch = "wasm32"))]
mod native {
    use super::*;
    use crate::error::Error;

    /// A file by its path under `assets/`.
    ///
    /// # Errors
    /// There is no such file.
    #[cfg(feature = "embed")]
    pub fn bytes(path: &str) -> Result<Cow<'static, [u8]>> {
        let found = FILES.iter().find(|(name, _)| *name == path);
        found
            .map(|(_, bytes)| Cow::Borrowed(*bytes))
            .ok_or_else(|| Error::file(path, "does not come with the program"))
    }

    /// A file by its path in the folder of assets.
    ///
    /// # Errors
    /// There is no such folder or file.
    #[cfg(not(feature = "embed"))]
    pub fn bytes(path: &str) -> Result<Cow<'static, [u8]>> {
        let file = folder()?.join(path);
        std::fs::read(&file).map(Cow::Owned).map_err(|e| Error::file(&file, e))
    }

    /// `SALUN_ASSETS`, or the folder `assets` beside the program.
    #[cfg(not(feature = "embed"))]
    fn folder() -> Result<std::path::PathBuf> {
        if let Some(named) = std::env::var_os("SALUN_ASSETS") {
            return Ok(named.into());
        }
        let program = std::env::current_exe().and_then(std::fs::canonicalize);
        let folder =
            program.map(|p| p.with_file_name("assets")).unwrap_or_else(|_| "assets".into());
        match folder.is_dir() {
            true => Ok(folder),
            false => Err(Error::file(
                folder,
                "is not there, and this program has no models and data inside; set SALUN_ASSETS to \
                 the folder assets of its source",
            )),
        }
    }

    /// A file for one who cannot wait for it: nothing while it is on its way. Here none ever is.
    ///
    /// # Errors
    /// There is no such file.
    pub fn ask(path: &'static str) -> Result<Option<Cow<'static, [u8]>>> {
        bytes(path).map(Some)
    }

    /// Has `wake` called whenever a file has come that was asked for; here none does.
    pub fn listen(_wake: impl Fn() + 'static) {}

    /// Makes files ready for the others here; all of them are.
    ///
    /// # Errors
    /// None.
    pub async fn fetch(_: &[&'static str], _: &mut JobContext) -> Result<()> {
        Ok(())
    }
}

#[cfg(not(target_arch = "wasm32"))]
pub use native::{ask, bytes, fetch, listen};

#[cfg(target_arch = "wasm32")]
mod fetched {
    use std::{cell::RefCell, collections::HashMap};

    use js_sys::Uint8Array;
    use wasm_bindgen::prelude::*;

    use super::*;
    use crate::error::Error;

    #[wasm_bindgen(module = "/web/download.js")]
    extern "C" {
        type Download;
        #[wasm_bindgen(catch, static_method_of = Download)]
        async fn start(path: &str) -> std::result::Result<Download, JsValue>;
        /// A chunk; `undefined` at the end.
        #[wasm_bindgen(catch, method)]
        async fn next(this: &Download) -> std::result::Result<JsValue, JsValue>;
        /// Bytes that came, and that will come in all.
        #[wasm_bindgen(method, getter)]
        fn loaded(this: &Download) -> f64;
        #[wasm_bindgen(method, getter)]
        fn total(this: &Download) -> f64;
        #[wasm_bindgen(method)]
        fn cancel(this: &Download);
    }

    thread_local! {
        /// They stay: every job asks again for what it needs.
        static FILES: RefCell<HashMap<&'static str, &'static [u8]>> = RefCell::default();
        /// What was asked for by one who does not wait, and why it did not come.
        static ASKED: RefCell<HashMap<&'static str, Option<Error>>> = RefCell::default();
        static WAKE: RefCell<Option<Box<dyn Fn()>>> = RefCell::default();
    }

    /// A file for one who cannot wait for it: nothing while it is on its way.
    ///
    /// # Errors
    /// The server did not give it.
    pub fn ask(path: &'static str) -> Result<Option<Cow<'static, [u8]>>> {
        if let Ok(bytes) = bytes(path) {
            return Ok(Some(bytes));
        }
        let asked = ASKED.with_borrow(|asked| asked.get(path).cloned());
        match asked {
            Some(Some(error)) => return Err(error),
            Some(None) => return Ok(None),
            None => {}
        }
        ASKED.with_borrow_mut(|asked| asked.insert(path, None));
        wasm_bindgen_futures::spawn_local(async move {
            let come = fetch(&[path], &mut JobContext::silent()).await;
            ASKED.with_borrow_mut(|asked| asked.insert(path, come.err()));
            WAKE.with_borrow(|wake| wake.iter().for_each(|wake| wake()));
        });
        Ok(None)
    }

    /// Has `wake` called whenever a file has come that was asked for.
    pub fn listen(wake: impl Fn() + 'static) {
        WAKE.set(Some(Box::new(wake)));
    }

    /// A file by its path under `assets/`, after [`fetch`].
    ///
    /// # Errors
    /// It was not fetched.
    pub fn bytes(path: &str) -> Result<Cow<'static, [u8]>> {
        let bytes = FILES.with_borrow(|files| files.get(path).copied());
        bytes.map(Cow::Borrowed).ok_or_else(|| Error::file(path, "is not there yet"))
    }

    /// Downloads files from beside the page; files that are here are left out.
    ///
    /// # Errors
    /// The server does not give one, or cancelled.
    pub async fn fetch(paths: &[&'static str], job: &mut JobContext) -> Result<()> {
        for path in paths {
            if FILES.with_borrow(|files| files.contains_key(path)) {
                continue;
            }
            let bytes = download(path, job).await?.into_boxed_slice();
            FILES.with_borrow_mut(|files| files.insert(path, Box::leak(bytes)));
        }
        Ok(())
    }

    async fn download(path: &str, job: &mut JobContext) -> Result<Vec<u8>> {
        let failed = |e: JsValue| {
            let reason = e.dyn_ref::<js_sys::Error>().map(|e| String::from(e.message()));
            Error::file(path, reason.unwrap_or_else(|| "cannot be downloaded".into()))
        };
        let download = Download::start(path).await.map_err(failed)?;
        let name = path.rsplit('/').next().unwrap_or(path);
        job.phase(format!("Fetching {name}"), download.total() as usize);
        let (mut bytes, mut loaded) = (Vec::new(), 0);
        loop {
            let chunk = download.next().await.map_err(failed)?;
            if chunk.is_undefined() {
                return Ok(bytes);
            }
            let chunk = Uint8Array::from(chunk);
            let at = bytes.len();
            bytes.resize(at + chunk.length() as usize, 0);
            chunk.copy_to(&mut bytes[at..]);
            let now = download.loaded() as usize;
            if let Err(stopped) = job.advance(now - std::mem::replace(&mut loaded, now)).await {
                download.cancel();
                return Err(stopped);
            }
        }
    }
}

#[cfg(target_arch = "wasm32")]
pub use fetched::{ask, bytes, fetch, listen};
