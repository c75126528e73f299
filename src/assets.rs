//! The files that come with the product: inside the program, or, for the page, beside it.

use std::borrow::Cow;

use crate::{error::Result, monitor::Monitor};

/// Names groups of files, by their paths under `assets/`, and embeds them in a native program.
macro_rules! shipped {
    ($($(#[$doc:meta])* $name:ident = $folder:literal: $($file:literal),*;)*) => {
        $(
            $(#[$doc])*
            pub const $name: [&str; [$($file),*].len()] = [$(concat!($folder, "/", $file)),*];
        )*
        #[cfg(not(target_arch = "wasm32"))]
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
    FASHION_TRAIN = "data/fashion-mnist": "train-images-idx3-ubyte.gz",
        "train-labels-idx1-ubyte.gz";
    /// Test pictures and labels of Fashion-MNIST.
    FASHION_TEST = "data/fashion-mnist": "t10k-images-idx3-ubyte.gz",
        "t10k-labels-idx1-ubyte.gz";
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
}

#[cfg(not(target_arch = "wasm32"))]
mod embedded {
    use std::io::Read;

    use super::*;
    use crate::error::Error;

    /// A file by its path under `assets/`.
    ///
    /// # Errors
    /// There is no such file.
    pub fn bytes(path: &str) -> Result<Cow<'static, [u8]>> {
        let found = FILES.iter().find(|(name, _)| *name == path);
        found
            .map(|(_, bytes)| Cow::Borrowed(*bytes))
            .ok_or_else(|| Error::file(path, "does not come with the program"))
    }

    /// What is in a gzipped file, up to `limit` bytes.
    ///
    /// # Errors
    /// The file is damaged.
    pub fn unpacked(path: &str, limit: usize) -> Result<Vec<u8>> {
        let mut unpacked = Vec::with_capacity(limit);
        flate2::read::GzDecoder::new(&*bytes(path)?)
            .take(limit as u64)
            .read_to_end(&mut unpacked)
            .map_err(|e| Error::file(path, e))?;
        Ok(unpacked)
    }

    /// Makes files ready for the others here; all of them are.
    pub async fn fetch(_: &[&'static str], _: &mut Monitor) -> Result<()> {
        Ok(())
    }
}

#[cfg(not(target_arch = "wasm32"))]
pub use embedded::{bytes, fetch, unpacked};

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
        /// A chunk, unpacked; `undefined` at the end.
        #[wasm_bindgen(catch, method)]
        async fn next(this: &Download) -> std::result::Result<JsValue, JsValue>;
        /// Bytes that came, and that will come in all, packed as they are.
        #[wasm_bindgen(method, getter)]
        fn loaded(this: &Download) -> f64;
        #[wasm_bindgen(method, getter)]
        fn total(this: &Download) -> f64;
        #[wasm_bindgen(method)]
        fn cancel(this: &Download);
    }

    thread_local! {
        /// Nothing in place of a file that was unpacked into something larger.
        static FILES: RefCell<HashMap<&'static str, Option<Vec<u8>>>> = RefCell::default();
    }

    fn missing(path: &str) -> Error {
        Error::file(path, "is not there yet")
    }

    /// A file by its path under `assets/`, after [`fetch`].
    ///
    /// # Errors
    /// It was not fetched.
    pub fn bytes(path: &str) -> Result<Cow<'static, [u8]>> {
        let bytes = FILES.with_borrow(|files| files.get(path).cloned());
        bytes.flatten().map(Cow::Owned).ok_or_else(|| missing(path))
    }

    /// What is in a gzipped file, up to `limit` bytes; the file is forgotten here.
    ///
    /// # Errors
    /// It was not fetched.
    pub fn unpacked(path: &str, limit: usize) -> Result<Vec<u8>> {
        let taken = FILES.with_borrow_mut(|files| files.get_mut(path).and_then(Option::take));
        let mut bytes = taken.ok_or_else(|| missing(path))?;
        bytes.truncate(limit);
        Ok(bytes)
    }

    /// Downloads files from beside the page, unpacked on the way; files that are here are left out.
    ///
    /// # Errors
    /// The server does not give one, or cancelled.
    pub async fn fetch(paths: &[&'static str], monitor: &mut Monitor) -> Result<()> {
        for path in paths {
            if FILES.with_borrow(|files| files.contains_key(path)) {
                continue;
            }
            let bytes = download(path, monitor).await?;
            FILES.with_borrow_mut(|files| files.insert(path, Some(bytes)));
        }
        Ok(())
    }

    async fn download(path: &str, monitor: &mut Monitor) -> Result<Vec<u8>> {
        let failed = |e: JsValue| {
            let reason = e.dyn_ref::<js_sys::Error>().map(|e| String::from(e.message()));
            Error::file(path, reason.unwrap_or_else(|| "cannot be downloaded".into()))
        };
        let download = Download::start(path).await.map_err(failed)?;
        let name = path.rsplit('/').next().unwrap_or(path);
        monitor.phase(format!("Fetching {name}"), download.total() as usize);
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
            if let Err(stopped) = monitor.advance(now - std::mem::replace(&mut loaded, now)).await {
                download.cancel();
                return Err(stopped);
            }
        }
    }
}

#[cfg(target_arch = "wasm32")]
pub use fetched::{bytes, fetch, unpacked};
