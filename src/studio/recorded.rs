//! The first pictures of shipped models, recorded: they are there before the model is.
//!
//! `tests/suite/studio_engine.rs` holds them against what the models draw, and writes them anew where
//! `SALUN_RECORD` is set.

use std::{
    io::Read,
    sync::{Arc, OnceLock},
};

use crate::engine::Opened;
use crate::wire;

/// Messages of an engine, packed. A page has those that it can afford to download first.
const RECORDED: &[&[u8]] = &[
    include_bytes!("../../assets/recorded/fashion-classifier.opened"),
    include_bytes!("../../assets/recorded/fashion-ddpm.opened"),
    #[cfg(not(target_arch = "wasm32"))]
    include_bytes!("../../assets/recorded/emoji-t2i.opened"),
];

/// What a shipped model showed when it was opened with the first seed and the quick budget.
pub fn of(model: &str) -> Option<&'static Arc<Opened>> {
    static UNPACKED: OnceLock<Vec<Arc<Opened>>> = OnceLock::new();
    let all =
        UNPACKED.get_or_init(|| RECORDED.iter().filter_map(|packed| unpack(packed)).collect());
    all.iter().find(|opened| opened.name == model)
}

fn unpack(packed: &[u8]) -> Option<Arc<Opened>> {
    let mut bytes = Vec::new();
    flate2::read::ZlibDecoder::new(packed).read_to_end(&mut bytes).ok()?;
    wire::unpack(&bytes).ok().map(Arc::new)
}

/// The packed form of what a model shows.
///
/// # Errors
/// It has no such form.
#[cfg(not(target_arch = "wasm32"))]
pub fn pack(opened: &Opened) -> crate::error::Result<Vec<u8>> {
    use std::io::Write;
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    let packed = zlib.write_all(&wire::pack(opened)?).and_then(|()| zlib.finish());
    packed.map_err(|e| crate::error::Error::Request(format!("cannot be packed: {e}")))
}
