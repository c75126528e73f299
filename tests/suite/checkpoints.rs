//! Weights from PyTorch: they give the same logits, and a file that was tampered with gives an
//! error, whatever was done to it, without running anything of it and without much memory.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    io::{Cursor, Write},
    path::Path,
};

use burn::tensor::{Device, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use safetensors::SafeTensors;
use zip::{CompressionMethod, ZipArchive, ZipWriter, write::SimpleFileOptions};

use crate::common::{card, fresh, packed};
use salun_studio::models::torch::{Format, export};
use salun_studio::models::weights::read;
use salun_studio::models::{
    Architecture, Mode, Model, Pass, Precision, Stored, SwinConfig, VggConfig, checkpoint,
};

/// What a file may cost besides twice its size: the objects of the longest pickle.
const SLACK: usize = 16 << 20;

thread_local! {
    /// Bytes that this thread has, and the most that it has had.
    static NOW: Cell<usize> = const { Cell::new(0) };
    static MOST: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, counting for each thread by itself.
struct Counting;

/// Counts what comes to this thread.
fn grow(size: usize) {
    NOW.with(|now| {
        now.set(now.get().saturating_add(size));
        MOST.with(|most| most.set(most.get().max(now.get())));
    });
}

// SAFETY: every call is the system allocator's own; counting touches plain cells.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        NOW.with(|now| now.set(now.get().saturating_sub(layout.size())));
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Both are there while one is copied to the other.
        grow(size);
        NOW.with(|now| now.set(now.get().saturating_sub(layout.size())));
        // SAFETY: as the caller promises.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// What decoding gives, and the most memory that it took.
fn decode(bytes: &[u8]) -> (salun_studio::error::Result<Model>, usize) {
    let before = NOW.get();
    MOST.set(before);
    let result = checkpoint::decode(bytes, Path::new("model.pth"));
    (result, MOST.get().saturating_sub(before))
}

fn official() -> Vec<u8> {
    packed("resnet_official.pth")
}

/// Logits of pictures [n, c, s, s].
fn logits(model: &Model, x: &[f32], side: usize) -> Vec<f32> {
    let device = Device::flex();
    let weights = model.weights.upload(&device);
    let net = model.classifier().unwrap();
    let [c, _] = model.card.architecture.channels_and_classes();
    let x = Tensor::<4>::from_data(
        TensorData::new(x.to_vec(), [x.len() / (c * side * side), c, side, side]),
        &device,
    );
    pollster::block_on(read(net.forward(&Pass::new(&weights, Mode::Eval), x))).unwrap()
}

fn close(got: &[f32], expected: &[f32]) {
    assert_eq!(got.len(), expected.len());
    for (a, b) in got.iter().zip(expected) {
        assert!((a - b).abs() < 1e-4, "{a} for {b}");
    }
}

#[test]
fn a_checkpoint_in_the_official_format_gives_pytorchs_logits() {
    let (model, most) = decode(&official());
    let model = model.unwrap();
    assert!(most < 2 * official().len(), "{most} bytes");
    assert_eq!((&*model.card.data, &*model.card.classes[3]), ("cifar10", "cat"));
    let Architecture::Resnet(config) = &model.card.architecture else { panic!() };
    assert_eq!((config.width, config.mean[0], config.std[2]), (4, 0.4914, 0.2616));
    let bytes = packed("resnet_official.safetensors");
    let expected = SafeTensors::deserialize(&bytes).unwrap();
    let values = |name: &str| Stored::of(&expected.tensor(name).unwrap()).values().unwrap();
    close(&logits(&model, &values("x"), 32), &values("logits"));
}

/// A small model of each kind, with fresh weights.
fn models() -> Vec<Model> {
    let (mean, std) = (vec![0.5, 0.25], vec![0.25, 0.5]);
    let vgg = VggConfig { width: 4, channels: 2, classes: 7, mean: mean.clone(), std: std.clone() };
    let swin = SwinConfig {
        embed: 6,
        depths: vec![1, 2],
        heads: vec![3, 6],
        patch: 2,
        window: 4,
        drop_path: 0.0,
        channels: 2,
        classes: 7,
        // What an import without statistics assumes.
        mean: vec![0.5; 2],
        std: vec![0.25; 2],
    };
    let resnet =
        salun_studio::models::ResnetConfig { width: 4, channels: 2, classes: 7, mean, std };
    let classes: Vec<String> = (0..7).map(|c| format!("class {c}")).collect();
    [Architecture::Resnet(resnet), Architecture::Vgg(vgg), Architecture::Swin(swin)]
        .map(|architecture| fresh(card(architecture, "unknown", classes.clone()), 3))
        .into()
}

#[test]
fn what_is_exported_is_read_back_bit_for_bit() {
    for model in models() {
        for format in [Format::Pth, Format::Safetensors] {
            let bytes = export::encode(&model, format, false).unwrap();
            let (again, most) = decode(&bytes);
            let again = again.unwrap();
            assert!(most < 2 * bytes.len() + SLACK, "{most} for {}", bytes.len());
            assert_eq!(again.card.architecture, model.card.architecture);
            assert_eq!(again.weights.hash(), model.weights.hash());
        }
        let bare = export::state_dict(&model, true);
        assert!(bare.iter().all(|(name, ..)| !name.starts_with("normalize")));
    }
}

#[test]
fn half_precision_of_both_kinds_and_doubles_are_read() {
    use safetensors::Dtype;
    let model = &models()[0];
    for (dtype, tolerance) in [(Dtype::F16, 1e-3), (Dtype::BF16, 8e-3), (Dtype::F64, 0.0)] {
        let mut tensors = export::state_dict(model, false);
        for (_, _, (kind, bytes)) in tensors.iter_mut().filter(|t| t.2.0 == Dtype::F32) {
            let values = bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
            *bytes = match dtype {
                Dtype::F16 => values.flat_map(|v| half::f16::from_f32(v).to_le_bytes()).collect(),
                Dtype::BF16 => values.flat_map(|v| half::bf16::from_f32(v).to_le_bytes()).collect(),
                _ => values.flat_map(|v| f64::from(v).to_le_bytes()).collect(),
            };
            *kind = dtype;
        }
        let bytes = checkpoint::write(&tensors, None).unwrap();
        let (again, _) = decode(&bytes);
        let again = again.unwrap();
        for (a, b) in again.weights.values.iter().zip(&model.weights.values) {
            assert!((a - b).abs() <= tolerance * b.abs() + 1e-7, "{dtype:?}: {a} for {b}");
        }
    }
}

#[test]
fn names_of_other_codes_and_wrappers_are_understood() {
    let model = &models()[0];
    let mut tensors = export::state_dict(model, false);
    for (name, ..) in &mut tensors {
        *name =
            format!("module.{}", name.replace("downsample", "shortcut").replace("fc.", "linear."));
    }
    let (again, _) = decode(&checkpoint::write(&tensors, None).unwrap());
    assert_eq!(again.unwrap().weights.hash(), model.weights.hash());
}

/// What `tests/peers/checkpoints.py` wrote.
fn of_pytorch(name: &str) -> salun_studio::error::Result<Model> {
    decode(&packed(&format!("{name}.pth"))).0
}

#[test]
fn what_training_leaves_around_the_weights_is_passed_over() {
    let extras = of_pytorch("extras").unwrap();
    let values = &extras.weights.values;
    assert_eq!((&values[..4], values.len()), (&[-0.375, -0.25, -0.125, 0.0][..], 11_318));
    let note = "it holds weights under state_dict, model_ema; those under state_dict are taken";
    assert_eq!(extras.card.notes, [note]);
    assert!(extras.card.assumed.classes && extras.card.assumed.normalisation);
    let nested = of_pytorch("extras-nested").unwrap();
    assert_eq!(nested.weights.hash(), extras.weights.hash());
    assert!(nested.card.notes.is_empty());
    let error = of_pytorch("extras-module").unwrap_err().to_string();
    let words = "under 'model' it holds a whole '__main__.Net'";
    assert!(error.contains(words) && !error.contains('\n'), "{error}");
}

#[test]
fn weights_of_other_networks_are_named() {
    let file = |names: &[(&str, &[usize])]| {
        let tensor = |(name, shape): &(&str, &[usize])| {
            let n: usize = shape.iter().product();
            (name.to_string(), shape.to_vec(), (safetensors::Dtype::F32, vec![0; 4 * n]))
        };
        checkpoint::write(&names.iter().map(tensor).collect::<Vec<_>>(), None).unwrap()
    };
    let stem: (&str, &[usize]) = ("conv1.weight", &[4, 3, 3, 3]);
    for (bytes, words) in [
        (file(&[stem, ("layer1.0.conv3.weight", &[1])]), "a ResNet-50 or deeper"),
        (file(&[stem, ("layer1.2.conv1.weight", &[1])]), "such as ResNet-34"),
        (
            file(&[("conv1.weight", &[4, 3, 7, 7]), ("layer1.0.conv1.weight", &[1])]),
            "a ResNet for ImageNet (its first convolution is 7 x 7)",
        ),
        (file(&[("patch_embed.proj.weight", &[1]), ("layers.0.x", &[1])]), "timm's Swin"),
        (file(&[("blocks.0.attn.qkv.weight", &[1]), ("cls_token", &[1])]), "(ViT)"),
        (file(&[("model.diffusion_model.x", &[1]), ("z", &[1])]), "single-file Stable Diffusion"),
        (file(&[("down_blocks.0.x", &[1]), ("time_embedding.x", &[1])]), "--unet"),
        (file(&[("temb.dense.0.weight", &[1]), ("z", &[1])]), "a DDPM U-Net without classes"),
        (file(&[("a", &[1])]), "of its 1 tensors the first are a"),
        (b"<!DOCTYPE html><html>".to_vec(), "a saved web page"),
        (b"\x89HDF\r\n\x1a\n".to_vec(), "Keras"),
        (Vec::new(), "is empty"),
    ] {
        refused("another network", &bytes, words);
    }
    let scratch = crate::binary::Scratch::new("pointer");
    scratch.put("own.pth", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n");
    let ran = scratch.run("export --model own.pth --out x.pth");
    assert!(ran.stderr.contains("is a Git LFS pointer"), "{ran:?}");
}

/// The entries of an archive; all but the pickle are the weights.
pub fn entries(archive: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = ZipArchive::new(Cursor::new(archive)).unwrap();
    (0..archive.len())
        .map(|i| {
            let mut file = archive.by_index(i).unwrap();
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut file, &mut bytes).unwrap();
            (file.name().unwrap().to_string(), bytes)
        })
        .collect()
}

pub fn archive(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, bytes) in entries {
        zip.start_file(name.as_str(), options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// The official checkpoint with another pickle.
fn with_pickle(change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut entries = entries(&official());
    let pickle = entries.iter_mut().find(|(name, _)| name.ends_with("data.pkl")).unwrap();
    change(&mut pickle.1);
    archive(&entries)
}

fn replace(bytes: &mut Vec<u8>, from: &[u8], to: &[u8]) {
    let at = bytes.windows(from.len()).position(|w| w == from).expect("it is there");
    bytes.splice(at..at + from.len(), to.iter().copied());
}

/// Decodes a file that must be refused with these words.
fn refused(what: &str, bytes: &[u8], words: &str) {
    let (result, most) = decode(bytes);
    let error = result.expect_err(what).to_string();
    assert!(error.contains(words), "{what}: no '{words}' in: {error}");
    assert!(!error.contains('\n') && error.len() < 600, "{what}: {error}");
    assert!(most < 2 * bytes.len() + SLACK, "{what}: {most} bytes for {}", bytes.len());
}

#[test]
fn evil_pickles_are_refused_and_not_run() {
    let witness = std::env::temp_dir().join(format!("salun-evil-{}", std::process::id()));
    let command = format!("touch {}", witness.display());
    let text = |t: &str| [b"X", &(t.len() as u32).to_le_bytes()[..], t.as_bytes()].concat();
    let call = |name: &[u8]| [b"\x80\x02c", name, b"\n", &text(&command)[..], b"\x85R."].concat();
    for (name, words) in [
        (&b"os\nsystem"[..], "holds a whole 'os.system'"),
        (b"posix\nsystem", "holds a whole 'posix.system'"),
        (b"builtins\nexec", "holds a whole 'builtins.exec'"),
        (b"subprocess\nPopen", "holds a whole 'subprocess.Popen'"),
        (b"torch\nload", "holds a whole 'torch.load'"),
        (b"torch.hub\nload", "holds a whole 'torch.hub.load'"),
        (b"numpy.core.multiarray\n_reconstruct", "_reconstruct'"),
        (b"a\x1b[31mb\nc", "nothing of it was run"),
    ] {
        refused("a call", &with_pickle(|p| *p = call(name)), words);
    }
    // Among good tensors, at their end.
    let before_the_end = with_pickle(|p| {
        p.pop();
        p.extend(&call(b"os\nsystem")[2..]);
    });
    refused("a call after tensors", &before_the_end, "holds a whole 'os.system'");
    let instance = with_pickle(|p| *p = b"\x80\x02(ios\nsystem\n.".to_vec());
    refused("an old-style instance", &instance, "opcode 0x69");
    assert!(!witness.exists());
}

#[test]
fn forged_descriptions_are_refused() {
    let storage = |from: &'static [u8], to: &'static [u8]| with_pickle(|p| replace(p, from, to));
    for (what, bytes, words) in [
        ("another number format", storage(b"FloatStorage", b"DoubleStorage"), "numbers of 8"),
        ("no format of numbers", storage(b"FloatStorage", b"FancyStorage"), "FancyStorage"),
        (
            "an entry that is not there",
            storage(b"X\x01\x00\x00\x000", b"X\x01\x00\x00\x00?"),
            "missing",
        ),
        // The stem's [4, 3, 3, 3]: its storage has 108 numbers.
        ("a longer storage", storage(b"Kl", b"K\xff"), "bytes for 255 numbers"),
        (
            "a larger shape",
            storage(b"(K\x04K\x03K\x03K\x03t", b"(K\x05K\x03K\x03K\x03t"),
            "goes beyond",
        ),
        (
            "a huge shape",
            storage(b"(K\x04K\x03K\x03K\x03t", b"(J\xff\xff\xff\x7fK\x03K\x03K\x03t"),
            "goes beyond",
        ),
        ("nothing at all", with_pickle(|p| *p = b"\x80\x02N.".to_vec()), "no dictionary"),
        ("no tensors", with_pickle(|p| *p = b"\x80\x02}.".to_vec()), "holds no tensors"),
        (
            "a list within itself",
            with_pickle(|p| *p = b"\x80\x02]q\x00h\x00a.".to_vec()),
            "no dictionary",
        ),
        (
            "deep nesting",
            with_pickle(|p| {
                *p = [vec![b']'; 150_000], vec![b'a'; 149_999], b".".to_vec()].concat();
            }),
            "more than 100000 opcodes",
        ),
        ("many objects", with_pickle(|p| *p = vec![b']'; 1 << 20]), "more than 100000 opcodes"),
    ] {
        refused(what, &bytes, words);
    }
    let mut without = entries(&official());
    without.retain(|(name, _)| !name.ends_with("data.pkl"));
    refused("no pickle", &archive(&without), "no data.pkl");
    let mut twice = entries(&official());
    twice.retain(|(name, _)| !name.ends_with("data/3"));
    refused("a missing entry", &archive(&twice), "is missing");
}

/// A tiny file whose tensors all claim the same few bytes, or bytes that unpack to many.
#[test]
fn small_files_cannot_claim_much_memory() {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    zip.start_file("archive/data.pkl", options).unwrap();
    zip.write_all(b"\x80\x02}.").unwrap();
    let mut bomb = zip.finish().unwrap().into_inner();
    // The method and the sizes as both headers of the entry give them.
    let central = bomb.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
    for (method, sizes) in [(8, 18), (central + 10, central + 20)] {
        bomb[method] = 8;
        bomb[sizes + 4..sizes + 8].copy_from_slice(&u32::MAX.wrapping_sub(9).to_le_bytes());
    }
    refused("a packed entry", &bomb, "PyTorch file");

    // Every tensor is a view of one storage: much from little.
    let Architecture::Resnet(config) = models().remove(0).card.architecture else { panic!() };
    let config = salun_studio::models::ResnetConfig { width: 8, ..config };
    let layout = Architecture::Resnet(config).build().1;
    let entries = || layout.params.iter().chain(&layout.buffers);
    let most: usize = entries().map(salun_studio::models::WeightEntry::n).max().unwrap();
    let text = |t: &str| [b"X", &(t.len() as u32).to_le_bytes()[..], t.as_bytes()].concat();
    let sizes = |n: &[usize]| -> Vec<u8> {
        let each = n.iter().flat_map(|n| [b"J", &(*n as u32).to_le_bytes()[..]].concat());
        [vec![b'('], each.collect(), vec![b't']].concat()
    };
    let tensor = |name: &str, shape: &[usize]| {
        let strides: Vec<usize> =
            (0..shape.len()).map(|a| shape[a + 1..].iter().product()).collect();
        [
            text(name),
            b"ctorch._utils\n_rebuild_tensor_v2\n((".to_vec(),
            text("storage"),
            b"ctorch\nFloatStorage\n".to_vec(),
            text("0"),
            text("cpu"),
            [b"J", &(most as u32).to_le_bytes()[..]].concat(),
            b"tQK\x00".to_vec(),
            sizes(shape),
            sizes(&strides),
            b"\x89NtR".to_vec(),
        ]
        .concat()
    };
    let tensors: Vec<u8> = entries().flat_map(|e| tensor(&e.name, &e.shape)).collect();
    let pickle = [&b"\x80\x02}("[..], &tensors, b"u."].concat();
    let claims = archive(&[
        ("archive/data.pkl".into(), pickle),
        ("archive/data/0".into(), vec![0; 4 * most]),
    ]);
    refused("much from little", &claims, "bytes do not");
}

#[test]
fn the_old_format_is_refused_with_what_to_do() {
    let old = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.";
    refused("the old format", old, "torch.save(torch.load(FILE), FILE)");
}

/// Flips, cuts and overwritten lengths: an error, or, where nothing that counts was hit, the very
/// same weights.
#[test]
fn a_hundred_damaged_files_end_in_an_error_or_change_nothing() {
    let whole = official();
    let right = decode(&whole).0.unwrap().weights.hash();
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
    let pickle = whole.windows(8).position(|w| w == b"data.pkl").unwrap();
    let central = whole.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
    let mut errors = 0;
    for case in 0..120 {
        let mut bytes = whole.clone();
        match case % 6 {
            0 => bytes.truncate(rng.random_range(0..whole.len())),
            1 => {
                let at = rng.random_range(0..whole.len());
                bytes[at] ^= 1 << rng.random_range(0..8);
            }
            2 => {
                let at = rng.random_range(pickle..pickle + 4000);
                bytes[at] = rng.random();
            }
            3 => {
                let at = rng.random_range(central..whole.len() - 8);
                let huge: u64 = if rng.random() { u64::MAX } else { 1 << 40 };
                bytes[at..at + 8].copy_from_slice(&huge.to_le_bytes());
            }
            4 => {
                let at = rng.random_range(0..whole.len() - 64);
                bytes.drain(at..at + rng.random_range(1..64));
            }
            _ => {
                let at = rng.random_range(0..whole.len() - 256);
                bytes[at..at + 256].fill(rng.random());
            }
        }
        let (result, most) = decode(&bytes);
        assert!(most < 2 * whole.len() + SLACK, "case {case}: {most} bytes");
        match result {
            Ok(model) => assert_eq!(model.weights.hash(), right, "case {case}"),
            Err(error) => {
                errors += 1;
                assert!(!error.to_string().contains('\n'), "case {case}: {error}");
            }
        }
    }
    assert!(errors >= 90, "only {errors} of 120 were found");
}

/// The same for safetensors, which has no checksums: damage of the numbers cannot be seen, damage
/// of the rest is.
#[test]
fn damaged_safetensors_end_in_an_error_or_are_read() {
    let model = &models()[2];
    let whole = checkpoint::encode(model, Precision::Full).unwrap();
    let head = 8 + u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(2);
    for case in 0..60 {
        let mut bytes = whole.clone();
        match case % 3 {
            0 => bytes.truncate(rng.random_range(0..whole.len())),
            1 => bytes[rng.random_range(0..8)] = rng.random(),
            _ => bytes[rng.random_range(8..head)] ^= 1 << rng.random_range(0..7),
        }
        let (result, most) = decode(&bytes);
        assert!(most < 2 * whole.len() + SLACK, "case {case}: {most} bytes");
        if case % 3 == 0 {
            assert!(result.is_err(), "case {case}");
        }
    }
}
