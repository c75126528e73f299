//! Wrong requests and broken files end in one line, the right status, and no output at all.

use std::{fs, path::Path};

use safetensors::{Dtype, SafeTensors};

use crate::binary::{Ran, Scratch, bytes};
use salun_studio::models::{Architecture, Model, checkpoint};

/// Runs a command line that must fail with status 2, one line that has these words, and nothing
/// written.
fn refused(scratch: &Scratch, line: &str, words: &str) {
    let before = scratch.names();
    let ran = scratch.run(line);
    check(&ran, line, words);
    assert_eq!(scratch.names(), before, "left behind by: {line}");
}

fn check(ran: &Ran, line: &str, words: &str) {
    assert_eq!(ran.status, Some(2), "{line}\n{ran:?}");
    assert_eq!(ran.stdout, "", "{line}\n{ran:?}");
    let complaints = ran.complaints();
    assert_eq!(complaints.len(), 1, "{line}\n{ran:?}");
    assert!(complaints[0].starts_with("salun: "), "{line}\n{ran:?}");
    assert!(complaints[0].contains(words), "{line}: no '{words}' in\n{ran:?}");
    assert!(!ran.stderr.contains("panicked"), "{line}\n{ran:?}");
}

/// The common part of a command line on the tiny classifier.
const SALIENCY: &str =
    "saliency --model tiny.safetensors --data fashion-mnist --out mask.safetensors";
const UNLEARN: &str = "unlearn --model tiny.safetensors --data fashion-mnist --out run";
const TRAIN: &str = "train fashion-classifier --data fashion-mnist --out new.safetensors";
const SAMPLE: &str = "sample --model unet.safetensors --out sheet.png";

fn with_models(name: &str) -> Scratch {
    let scratch = Scratch::new(name);
    scratch.put("tiny.safetensors", bytes(&scratch.classifier()));
    scratch.put("unet.safetensors", bytes(&scratch.diffusion()));
    scratch
}

#[test]
fn wrong_words_on_the_command_line() {
    let scratch = Scratch::new("words");
    for (line, words) in [
        ("frobnicate", "frobnicate"),
        ("--lesson densty", "unknown lesson 'densty'; did you mean 'density'?"),
        ("--lesson 9", "unknown lesson '9'; valid: forget-set, saliency"),
        ("--lesson density info", "--lesson is the studio's"),
        ("--lesson density ?lesson=mask", "a lesson brings its own model"),
        ("?lesson=densty", "did you mean 'density'?"),
        ("?hide=timelin", "unknown control to hide 'timelin'; did you mean 'timeline'?"),
        ("unlearn ?lesson=density --out r", "a lesson has no recipe"),
        ("demo --bogus", "--bogus"),
        ("info extra", "extra"),
        ("info --device tpu", "unknown device 'tpu'; did you mean 'gpu'? valid: auto, gpu, cpu"),
        ("demo --task text-to-picture", "unknown task 'text-to-picture'"),
        ("train text-to-image --data fashion-mnist --out w", "valid: emoji, emoji:PATH"),
        ("train text-to-image --data emoji --epochs 2 --out w", "--epochs is not for"),
        ("train text-to-image --data emoji:none --out w", "none/index.json"),
        ("train fashion-classifier --data fashion-mnist --concepts 9 --out w", "--concepts"),
        ("data build cats --out d", "unknown data set to build 'cats'"),
        ("demo --task classfy", "did you mean 'classify'?"),
        ("demo --forget Sneeker", "did you mean 'Sneaker'?"),
        ("demo --forget 10", "unknown class '10'"),
        ("demo --seed x", "seed 'x'"),
        ("demo --seed -1", "seed '-1'"),
        ("demo --budget huge", "unknown budget 'huge'"),
        ("data", "subcommand"),
        ("data fetch cifar", "unknown data set 'cifar'"),
        ("data check fashion", "did you mean 'fashion-mnist'?"),
        ("data check cifar10", "cifar10 is not on this machine; run: salun data fetch cifar10"),
        ("data check fashion-mnist@4001", "a multiple of 10 from 20 to 60000"),
        ("data check svhn@10", "run: salun data fetch svhn --from FOLDER"),
        ("data fetch svhn", "get the official files"),
        ("data fetch svhn --from none", "none: has no train_32x32.mat"),
        ("data fetch cifar10 --from .", "has no data_batch_1.bin"),
        ("train cifar-classifier --data cifar10 --out w", "run: salun data fetch cifar10"),
        ("train fashion-swin --data fashion-mnist --width 16 --out w", "a multiple of 12"),
        ("export --model fashion-classifier --out w", ".pth, .pt or .safetensors"),
        ("export --model nothing --out w.pth", "unknown model 'nothing'"),
        ("train", "required"),
        ("train resnet --data fashion-mnist --out w", "unknown model to train 'resnet'"),
        ("train fashion-classifier --data mnist --out w", "unknown data set 'mnist'"),
        ("train fashion-classifier --data fashion-mnist", "--out"),
        ("train fashion-classifier --data fashion-mnist --out w.json", "w.json"),
        ("eval", "--run"),
        ("eval --run none", "none: is not a run folder"),
        ("eval --run .", "recipe.toml"),
        ("saliency --model nothing --data fashion-mnist --forget class:0 --out m", "'nothing'"),
        ("saliency --model none.safetensors --data fashion-mnist --forget class:0 --out m", "none"),
        ("sample --model nothing --out s.png", "unknown model 'nothing'"),
        ("unlearn --data fashion-mnist --forget class:0 --out run", "--model is needed"),
        ("unlearn none.toml --out run", "none.toml"),
    ] {
        refused(&scratch, line, words);
    }
}

/// What never ends is not read.
#[cfg(unix)]
#[test]
fn devices_are_no_files() {
    let scratch = with_models("devices");
    for line in [
        "unlearn /dev/zero --out run",
        &format!("{SALIENCY} --forget indices:/dev/zero"),
        "sample --model /dev/zero.safetensors --out s.png",
    ] {
        refused(&scratch, line, "/dev/zero");
    }
}

#[test]
fn wrong_values_for_training() {
    let scratch = Scratch::new("training");
    for (arguments, words) in [
        ("--steps 0", "steps '0'"),
        ("--epochs 0", "epochs '0'"),
        ("--epochs 1.5", "epochs '1.5'"),
        ("--steps 3 --epochs 3", "--epochs"),
        ("--batch 0", "batch '0'"),
        ("--batch 99999", "batch '99999'"),
        ("--lr 0", "lr '0'"),
        ("--lr nan", "lr 'nan'"),
        ("--lr -1", "lr '-1'"),
        ("--width 0", "width '0'"),
        ("--width 5", "width '5'"),
        ("--seed 18446744073709551616", "seed"),
        ("--retain class:Nope", "unknown class 'Nope'"),
        ("--retain random:100%", "nothing to retain"),
        ("--retain hardest:10%", "indices:FILE"),
        ("--resume", "no state to resume"),
    ] {
        refused(&scratch, &format!("{TRAIN} {arguments}"), words);
    }
}

#[test]
fn wrong_values_for_unlearning_and_pictures() {
    let scratch = with_models("values");
    scratch.put("indices.txt", "1 2 three");
    scratch.put("far.txt", "99999999");
    scratch.put("mask", "not a mask");
    for (arguments, words) in [
        ("--forget class:Sneaker --density 1.5", "density '1.5'"),
        ("--forget class:Sneaker --density -0.1", "density '-0.1'"),
        ("--forget class:Sneaker --density nan", "density 'nan'"),
        ("--forget class:Sneaker --density half", "density 'half'"),
        ("--forget class:Sneaker --estimator magic", "unknown mask 'magic'"),
        ("--forget class:Sneaker --estimator none", "it makes no mask"),
        ("--forget class:Snekaer", "did you mean 'Sneaker'?"),
        ("--forget Sneaker", "class:NAME"),
        ("--forget random:0", "nothing to forget"),
        ("--forget random:100%", "nothing to retain"),
        ("--forget random:101%", "0% to 100%"),
        ("--forget indices:none.txt", "none.txt"),
        ("--forget indices:indices.txt", "'three' is not an index"),
        ("--forget indices:far.txt", "99999999"),
        ("--forget items:1,two", "'two' is no item"),
        ("--forget items:9-1", "'9-1' is backwards"),
        ("--forget items:60000", "item 60000 is not in the training part"),
        ("--forget hardest:101%", "0% to 100%"),
        ("--forget easiest:all", "0% to 100%"),
        ("--estimator fisher", "--forget is needed"),
        ("--forget class:Bag --overlap colours", "unknown overlap 'colours'"),
        ("--forget class:Bag --overlap classes", "leave out --forget"),
        ("--forget class:Bag --overlap seeds --seeds 1", "seeds '1'"),
        ("--overlap estimators", "--forget is needed"),
        ("--forget clas:7", "unknown kind of forget set 'clas'"),
    ] {
        refused(&scratch, &format!("{SALIENCY} {arguments}"), words);
    }
    for (arguments, words) in [
        ("--forget class:Sneaker --method forgetting", "unknown method 'forgetting'"),
        ("--forget class:Sneaker --mask mask", "not a whole safetensors file"),
        ("--forget class:Sneaker --mask nowhere", "unknown mask 'nowhere'"),
        ("--forget class:Sneaker --steps 0", "steps '0'"),
        ("--forget class:Sneaker --alpha nan", "alpha 'nan'"),
        ("--forget class:Sneaker --budget all", "unknown budget 'all'"),
        ("--forget random:0%", "nothing to forget"),
        ("--forget class:Sneaker --data cifar10", "--data"),
    ] {
        refused(&scratch, &format!("{UNLEARN} {arguments}"), words);
    }
    let redirect =
        "unlearn --model unet.safetensors --data fashion-mnist --forget class:7 --out run";
    refused(&scratch, &format!("{redirect} --redirect Nope"), "Nope");
    refused(&scratch, &format!("{redirect} --method ft --alpha 0"), "unknown knob 'alpha'");
    let hardest = redirect.replace("class:7", "hardest:10%");
    refused(&scratch, &hardest, "only a classifier has a loss for each picture");
    for (arguments, words) in [
        ("--n 0", "n '0'"),
        ("--n many", "n 'many'"),
        ("--steps 0", "steps '0'"),
        ("--steps 5000", "steps '5000'"),
        ("--guidance nan", "guidance 'nan'"),
        ("--guidance -1", "guidance '-1'"),
        ("--eta 2", "eta '2'"),
        ("--class Nope", "unknown class 'Nope'"),
        ("--prompt cat", "a text-to-image model is a diffusers folder"),
        ("--prompt cat --scheduler heun", "unknown scheduler 'heun'"),
    ] {
        refused(&scratch, &format!("{SAMPLE} {arguments}"), words);
    }
    refused(&scratch, "sample --model tiny.safetensors --out s.png", "diffusion model is needed");
}

/// Name, shape, and type with bytes.
type NamedTensor = (String, Vec<usize>, (Dtype, Vec<u8>));

/// A weights file with one thing about it changed.
struct Forged {
    card: Option<String>,
    tensors: Vec<NamedTensor>,
}

impl Forged {
    fn new(model: &Model) -> Self {
        let file = bytes(model);
        let (_, head) = SafeTensors::read_metadata(&file).unwrap();
        let tensors = SafeTensors::deserialize(&file).unwrap();
        let tensors = tensors.iter().map(|(name, view)| {
            (name.to_string(), view.shape().to_vec(), (view.dtype(), view.data().to_vec()))
        });
        Self {
            card: head.metadata().as_ref().unwrap().get("salun").cloned(),
            tensors: tensors.collect(),
        }
    }

    fn tensor(&mut self, name: &str) -> &mut NamedTensor {
        self.tensors.iter_mut().find(|t| t.0 == name).unwrap()
    }

    fn card(&mut self, from: &str, to: &str) {
        let card = self.card.as_mut().unwrap();
        assert!(card.contains(from), "{card}");
        *card = card.replace(from, to);
    }

    fn write(self) -> Vec<u8> {
        checkpoint::write(&self.tensors, self.card.map(|card| ("salun", card))).unwrap()
    }
}

#[test]
fn broken_weights() {
    let scratch = Scratch::new("weights");
    let model = scratch.classifier();
    let whole = bytes(&model);
    let forged = |change: &dyn Fn(&mut Forged)| {
        let mut file = Forged::new(&model);
        change(&mut file);
        file.write()
    };
    let header = |length: u64| [&length.to_le_bytes(), &whole[8..]].concat();
    let length = u64::from_le_bytes(whole[..8].try_into().unwrap());
    let mut cases = vec![
        (b"just some words".to_vec(), "safetensors"),
        (vec![0; 4096], "safetensors"),
        (header(u64::MAX), "safetensors"),
        (header(1 << 40), "safetensors"),
        (header(length - 1), "safetensors"),
        (header(length + 1), "safetensors"),
        (forged(&|f| f.tensors.retain(|t| t.0 != "fc.bias")), "tensor 'fc.bias': is missing"),
        (
            forged(&|f| f.tensors.push(("spy".into(), vec![1], (Dtype::U8, vec![0])))),
            "tensor 'spy'",
        ),
        (
            forged(&|f| f.tensor("conv1.weight").2.1[..4].copy_from_slice(&f32::NAN.to_le_bytes())),
            "tensor 'conv1.weight': value 0 is not a finite number",
        ),
        (
            forged(&|f| {
                f.tensor("bn1.running_var").2.1[4..8].copy_from_slice(&f32::INFINITY.to_le_bytes());
            }),
            "tensor 'bn1.running_var': value 1 is not a finite number",
        ),
        (forged(&|f| f.tensor("fc.bias").2.0 = Dtype::I32), "tensor 'fc.bias': has number format"),
        (
            forged(&|f| {
                let bias = f.tensor("fc.bias");
                bias.1 = vec![5];
                bias.2 = (Dtype::F64, bias.2.1.clone());
            }),
            "tensor 'fc.bias'",
        ),
        (forged(&|f| f.tensor("fc.bias").1 = vec![2, 5]), "tensor 'fc.bias': has shape"),
        (forged(&|f| f.card("{", "")), "model card"),
        (forged(&|f| f.card("\"width\":4", "\"width\":4000000000000")), "model card"),
        (forged(&|f| f.card("\"width\":4", "\"width\":0")), "model card"),
        (forged(&|f| f.card("\"width\":4", "\"width\":-4")), "model card"),
        (forged(&|f| f.card("\"width\":4", "\"width\":8")), "has shape"),
        (forged(&|f| f.card("\"classes\":10", "\"classes\":0")), "model card"),
        (forged(&|f| f.card("\"channels\":1", "\"channels\":99")), "model card"),
        (forged(&|f| f.card("\"kind\":\"resnet\"", "\"kind\":\"oracle\"")), "model card"),
        (
            forged(&|f| {
                f.card = None;
                f.tensors.retain(|t| t.0 != "conv1.weight");
            }),
            "no model card",
        ),
    ];
    for cut in [0, 4, 8, 100, whole.len() / 2, whole.len() - 1] {
        cases.push((whole[..cut].to_vec(), "safetensors"));
    }
    let unet = scratch.diffusion();
    let Architecture::Unet(_) = &unet.card.architecture else { panic!() };
    let mut absurd = Forged::new(&unet);
    absurd.card("\"resolution\":28", "\"resolution\":1000000000");
    cases.push((absurd.write(), "model card"));
    let mut other = Forged::new(&model);
    other.card = Forged::new(&unet).card;
    cases.push((other.write(), "tensor '"));

    for (number, (file, words)) in cases.into_iter().enumerate() {
        scratch.put("tiny.safetensors", &file);
        let before = scratch.names();
        let ran = scratch.run(&format!("{SALIENCY} --forget class:Sneaker"));
        let what = format!("case {number}, {} bytes", file.len());
        check(&ran, &what, words);
        check(&ran, &what, "tiny.safetensors");
        assert_eq!(scratch.names(), before, "{what}");
    }
    fs::remove_file(scratch.path("tiny.safetensors")).unwrap();
    fs::create_dir(scratch.path("tiny.safetensors")).unwrap();
    refused(&scratch, &format!("{SALIENCY} --forget class:Sneaker"), "tiny.safetensors");
}

#[test]
fn a_text_to_image_model_of_another_size_than_the_corpus_is_shown_it_at_its_own() {
    let scratch = Scratch::new("sizes");
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/latent/pipeline");
    let line = format!("unlearn --model {model} --data emoji --budget tiny --steps 1 --out run");
    let arguments = line.split(' ').chain(["--forget", "prompt:a cat"]).collect::<Vec<_>>();
    Ran::of(scratch.salun(&arguments).output().unwrap()).succeeds();
    // What is wrong with the words is said before its weights are read, which may take a minute.
    copy(Path::new(model), &scratch.path("bare"));
    fs::remove_file(scratch.path("bare/vae/diffusion_pytorch_model.safetensors")).unwrap();
    let line = "unlearn --model bare --data emoji --out other --forget prompt:";
    check(&scratch.run(line), line, "the prompt is empty");
}

/// Copies a folder.
fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).unwrap()),
        }
    }
}

#[test]
fn broken_recipes_and_run_folders() {
    let scratch = with_models("recipes");
    let good = "model = \"tiny.safetensors\"\ndata = \"fashion-mnist\"\nforget = \"class:7\"\n";
    for (text, words) in [
        ("just words", "recipe.toml"),
        ("model = 3", "recipe.toml"),
        ("model = \"tiny.safetensors\"", "missing field"),
        (&format!("{good}colour = \"red\""), "colour"),
        (&format!("{good}density = \"half\""), "density"),
        (&format!("{good}density = 7"), "density '7'"),
        (&format!("{good}steps = 0"), "steps '0'"),
        (&format!("{good}steps = -3"), "recipe.toml"),
        (&format!("{good}seed = \"x\""), "seed"),
        (&format!("{good}mask = \"magic\""), "magic"),
        (&format!("{good}method = \"magic\""), "unknown method 'magic'"),
        (&format!("{good}lr = nan"), "lr 'NaN'"),
        (&format!("{good}[sampling]\nsteps = 9999\nguidance = 2\neta = 0\nseed = 1"), "9999"),
    ] {
        scratch.put("recipe.toml", text);
        refused(&scratch, "unlearn recipe.toml --out run", words);
    }
    scratch.put("recipe.toml", [0xff, 0xfe, 0x00]);
    refused(&scratch, "unlearn recipe.toml --out run", "recipe.toml");

    scratch.put("recipe.toml", good);
    refused(&scratch, "eval --run .", "report.json");
    scratch.put("report.json", "{\"task\":");
    refused(&scratch, "eval --run .", "report.json");
    scratch.put("report.json", "[]");
    refused(&scratch, "eval --run .", "report.json");
}

#[test]
fn outputs_that_must_not_be_written() {
    let scratch = with_models("outputs");
    scratch.put("there", "mine");
    fs::create_dir(scratch.path("folder")).unwrap();
    fs::write(scratch.path("folder/notes.txt"), "mine").unwrap();
    let parts = "--model tiny.safetensors --data fashion-mnist --forget class:Sneaker";
    for (line, words) in [
        (format!("saliency {parts} --out there"), "there is already there"),
        (format!("saliency {parts} --out folder"), "already there"),
        (format!("saliency {parts} --out folder --force"), "is a folder"),
        (format!("saliency {parts} --out no/where/mask"), "there is no folder 'no/where'"),
        (format!("saliency {parts} --out /proc/mask"), "/proc/mask"),
        (format!("saliency {parts} --out mask.json"), "mask.json"),
        (format!("saliency {parts} --out /"), "/"),
        (format!("unlearn {parts} --out there"), "already there"),
        (format!("unlearn {parts} --out there --force"), "is a file"),
        (format!("unlearn {parts} --out folder"), "already there"),
        (format!("unlearn {parts} --out folder --force"), "is not a run folder"),
        (format!("unlearn {parts} --out no/where"), "there is no folder 'no'"),
        (format!("unlearn {parts} --out /proc/run"), "/proc/run"),
        ("demo --out there".into(), "already there"),
        ("demo --out folder --force".into(), "is not a demo's folder"),
        ("demo --out no/where".into(), "there is no folder 'no'"),
        ("train fashion-classifier --data fashion-mnist --out there".into(), "already there"),
        ("sample --model unet.safetensors --out there".into(), "already there"),
    ] {
        refused(&scratch, &line, words);
    }
    assert_eq!(fs::read_to_string(scratch.path("there")).unwrap(), "mine");
    assert_eq!(fs::read_to_string(scratch.path("folder/notes.txt")).unwrap(), "mine");
}

#[test]
fn folders_of_pictures_that_cannot_be_used() {
    let scratch = Scratch::new("folders");
    scratch.pictures("one", 3);
    fs::remove_dir_all(scratch.path("one/b")).unwrap();
    scratch.pictures("broken", 3);
    for i in 0..3 {
        fs::write(scratch.path(&format!("broken/b/{i}.png")), "not a picture").unwrap();
    }
    scratch.pictures("empty", 3);
    fs::remove_dir_all(scratch.path("empty/b")).unwrap();
    fs::create_dir(scratch.path("empty/b")).unwrap();
    scratch.put("file", "");
    for (folder, words) in [
        ("none", "none"),
        ("file", "file"),
        ("one", "1 sub-folder;"),
        ("broken", "0 of 3 files are readable"),
        ("empty", "0 of 0 files are readable"),
    ] {
        refused(&scratch, &format!("data check folder:{folder}"), words);
        let train = format!("train fashion-classifier --data folder:{folder} --out w --steps 1");
        refused(&scratch, &train, words);
    }
}

#[test]
fn states_of_training_that_cannot_be_resumed() {
    let scratch = Scratch::new("states");
    let resume = format!("{TRAIN} --steps 4 --batch 8 --width 4 --resume");
    for state in [b"".as_slice(), b"12345678", b"{}{}{}{}{}{}", &[0xff; 64]] {
        scratch.put("new.safetensors.state", state);
        refused(&scratch, &resume, "new.safetensors.state");
    }
    scratch.put("new.safetensors.state", bytes(&scratch.classifier()));
    refused(&scratch, &resume, "is not a state of such a training run");
    refused(&scratch, &format!("{TRAIN} --steps 4"), "pass --resume to go on from it");
}
