//! Which data something was made of is known, and what lies in a folder and is not used is said.

use std::{fs, path::Path};

use crate::binary::{Ran, Scratch, ended, send, started};

const UNLEARN: &str = "unlearn --model own.safetensors --data folder:mine --forget class:a --budget tiny \
                       --steps 2 --batch 8 --method ga";
const TRAIN: &str = "train fashion-classifier --data folder:mine --width 4 --batch 8 --seed 3";

fn with_pictures(name: &str) -> Scratch {
    let scratch = Scratch::new(name);
    scratch.pictures("mine", 40);
    scratch
}

/// A model of one's own, on pictures of one's own.
fn trained(name: &str) -> Scratch {
    let scratch = with_pictures(name);
    done(scratch.run(&format!("{TRAIN} --steps 5 --out own.safetensors")));
    scratch
}

fn done(ran: Ran) -> Ran {
    assert_eq!(ran.status, Some(0), "{ran:?}");
    ran
}

fn refused(ran: &Ran, words: &[&str]) {
    assert_eq!(ran.status, Some(2), "{ran:?}");
    for word in words {
        assert!(ran.stderr.contains(word), "no '{word}' in {ran:?}");
    }
}

/// The picture files of a class, in order.
fn of_class(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    files
}

/// What is done to a folder, how, and a word of what is said of it.
type Change = (&'static str, fn(&Path), &'static str);

/// The ways in which a folder of pictures is not what it was.
fn changes() -> [Change; 5] {
    [
        (
            "a picture deleted",
            |dir| fs::remove_file(&of_class(&dir.join("a"))[0]).unwrap(),
            "pictures",
        ),
        ("a class renamed", |dir| fs::rename(dir.join("a"), dir.join("z")).unwrap(), "classes"),
        (
            "a picture replaced",
            |dir| {
                let [a, b] = ["a", "b"].map(|class| of_class(&dir.join(class))[0].clone());
                fs::copy(b, a).unwrap();
            },
            "others",
        ),
        (
            "a picture renamed",
            |dir| fs::rename(&of_class(&dir.join("a"))[0], dir.join("a/other.png")).unwrap(),
            "others",
        ),
        (
            "a class added",
            |dir| {
                fs::create_dir(dir.join("new")).unwrap();
                for file in of_class(&dir.join("a")) {
                    fs::copy(&file, dir.join("new").join(file.file_name().unwrap())).unwrap();
                }
            },
            "classes",
        ),
    ]
}

#[test]
fn a_recipe_and_a_run_are_tied_to_their_data() {
    let scratch = trained("tied");
    done(scratch.run(&format!("{UNLEARN} --out run")));
    done(scratch.run("unlearn run/recipe.toml --out again"));
    let weights = |run: &str| fs::read(scratch.path(run).join("model.safetensors")).unwrap();
    assert_eq!(weights("run"), weights("again"));
    for (what, change, words) in changes() {
        let _ = fs::remove_dir_all(scratch.path("mine"));
        scratch.pictures("mine", 40);
        done(scratch.run("eval --run run"));
        change(&scratch.path("mine"));
        refused(&scratch.run("unlearn run/recipe.toml --out third"), &[words, "mine"]);
        refused(&scratch.run("eval --run run"), &[words]);
        assert!(!scratch.path("third").exists(), "{what}");
    }
    // Of the same name elsewhere.
    fs::create_dir(scratch.path("elsewhere")).unwrap();
    scratch.pictures("elsewhere/mine", 40);
    change_first(&scratch.path("elsewhere/mine"));
    let line = ["unlearn", "../run/recipe.toml", "--data", "folder:mine", "--out", "run"];
    let mut command = scratch.salun(&line);
    command.current_dir(scratch.path("elsewhere"));
    assert_eq!(Ran::of(command.output().unwrap()).status, Some(2));
    // A recipe of before there were fingerprints still runs.
    fs::remove_dir_all(scratch.path("mine")).unwrap();
    scratch.pictures("mine", 40);
    change_first(&scratch.path("mine"));
    let recipe = fs::read_to_string(scratch.path("run/recipe.toml")).unwrap();
    let (old, _) = recipe.split_once("[fingerprint]").unwrap();
    scratch.put("old.toml", old);
    done(scratch.run("unlearn old.toml --out old"));
    // So does one that names the request before it, which is met first.
    let before = old.replace("\n\n", "\n").trim_end().to_string();
    let after = before.replace("seed = 1", "seed = 2") + "\n[[after]]\n" + &before + "\n";
    scratch.put("two.toml", after);
    done(scratch.run("unlearn two.toml --out two"));
}

#[test]
fn a_folder_that_has_changed_since_its_model_was_trained_is_told() {
    let scratch = trained("told");
    let before = done(scratch.run(&format!("{UNLEARN} --out run")));
    assert!(!before.stderr.contains("has changed"), "{before:?}");
    change_first(&scratch.path("mine"));
    let ran = done(scratch.run(&format!("{UNLEARN} --out again")));
    let words =
        "folder:mine has changed since own.safetensors was trained: it had 80 pictures, now 79";
    assert!(ran.stderr.contains(words), "{ran:?}");
    let report = fs::read_to_string(scratch.path("again/report.json")).unwrap();
    assert!(report.contains(words));
}

#[test]
fn a_picture_is_for_training_or_for_tests_whatever_lies_beside_it() {
    let scratch = with_pictures("stays");
    let parts = || {
        let data = salun_studio::data::open(&format!("folder:{}", scratch.path("mine").display()));
        let data = data.unwrap();
        let split = data.split(1);
        split.train.iter().map(|&i| data.names[i].clone()).collect::<Vec<_>>()
    };
    let before = parts();
    for gone in ["a/3.png", "a/17.png", "b/0.png"] {
        fs::remove_file(scratch.path("mine").join(gone)).unwrap();
        let now = parts();
        let left: Vec<_> = before.iter().filter(|n| now.contains(n)).collect();
        assert_eq!(left.len(), now.len(), "nothing became a training picture");
        let lost = before.iter().filter(|n| !now.contains(n));
        assert!(lost.clone().all(|n| !scratch.path("mine").join(n).exists()), "{gone}");
    }
}

fn change_first(folder: &Path) {
    fs::remove_file(&of_class(&folder.join("a"))[0]).unwrap();
}

#[test]
#[cfg(unix)]
fn a_state_goes_on_with_its_own_data_only() {
    let scratch = with_pictures("state-data");
    let line = format!("{TRAIN} --steps 100000 --out own.safetensors");
    let running = started(scratch.salun(&line.split(' ').collect::<Vec<_>>()));
    send(&running.0, "-INT");
    ended(running);
    assert!(scratch.path("own.safetensors.state").is_file());
    for (_, change, words) in changes() {
        let _ = fs::remove_dir_all(scratch.path("mine"));
        scratch.pictures("mine", 40);
        change(&scratch.path("mine"));
        let ran = scratch.run(&format!("{line} --resume"));
        refused(&ran, &["another run", words]);
    }
}

#[test]
fn a_run_on_other_data_is_no_retrain() {
    let scratch = trained("against");
    done(scratch.run(&format!("{UNLEARN} --out run")));
    done(scratch.run("eval --run run --against run"));
    let names = ["a", "b"];
    for name in names {
        fs::rename(scratch.path("mine").join(name), scratch.path("mine").join(format!("{name}2")))
            .unwrap();
    }
    done(scratch.run(&format!("{TRAIN} --steps 5 --out other.safetensors")));
    let other = UNLEARN.replace("own.", "other.").replace("class:a", "class:a2");
    done(scratch.run(&format!("{other} --out other")));
    refused(&scratch.run("eval --run other --against run"), &["run on other data", "classes"]);
    // Nor is a model forgotten on classes that it was not trained on.
    refused(
        &scratch.run(&format!("{} --out x", UNLEARN.replace("class:a", "class:a2"))),
        &["other classes"],
    );
}

#[test]
fn what_is_not_used_is_said() {
    let scratch = trained("not-used");
    done(scratch.run(&format!("{UNLEARN} --out mine/run1")));
    scratch.put("mine/notes.txt", "mine");
    fs::create_dir_all(scratch.path("mine/a/from-phone")).unwrap();
    for file in of_class(&scratch.path("mine/b")) {
        let to = scratch.path("mine/a/from-phone").join(file.file_name().unwrap());
        fs::copy(file, to).unwrap();
    }
    scratch.put("mine/a/notes.txt", "mine");
    scratch.put("mine/b/scan.tiff", "II*\0");
    fs::copy(scratch.path("mine/a/1.png"), scratch.path("mine/b/cut.png")).unwrap();
    let png = fs::read(scratch.path("mine/b/cut.png")).unwrap();
    scratch.put("mine/b/cut.png", &png[..png.len() / 2]);
    for folder in [".ipynb_checkpoints", "__MACOSX", ".empty"] {
        fs::create_dir(scratch.path("mine").join(folder)).unwrap();
    }
    fs::copy(scratch.path("mine/a/1.png"), scratch.path("mine/.ipynb_checkpoints/1.png")).unwrap();
    let ran = done(scratch.run(&format!("{UNLEARN} --out mine/run2")));
    for words in [
        "'run1' is a run folder and not used",
        "'.ipynb_checkpoints' is hidden and not used",
        "'__MACOSX' is the system's and not used",
        "1 file beside the class folders is not used",
        "3 files cannot be read: 1 TXT (notes.txt), 1 damaged (cut.png), 1 TIFF (scan.tiff)",
    ] {
        assert!(ran.stderr.contains(words), "no '{words}' in {ran:?}");
    }
    let checked = done(scratch.run("data check folder:mine --json"));
    let checked: serde_json::Value = serde_json::from_str(&checked.stdout).unwrap();
    assert_eq!(checked["classes"], 2);
    assert_eq!(checked["notes"].as_array().unwrap().len(), 7, "{checked}");
    // 40 of each, and 40 in a folder of one.
    assert_eq!(checked["train"].as_u64().unwrap() + checked["test"].as_u64().unwrap(), 120);
}

#[test]
fn a_folder_that_is_divided_already_stays_so() {
    let scratch = Scratch::new("divided");
    scratch.pictures("mine/train", 20);
    scratch.pictures("mine/val", 5);
    scratch.pictures("mine/test", 3);
    let checked = done(scratch.run("data check folder:mine --json"));
    let checked: serde_json::Value = serde_json::from_str(&checked.stdout).unwrap();
    assert_eq!([&checked["train"], &checked["test"]], [40, 10], "{checked}");
    let notes = checked["notes"].to_string();
    assert!(notes.contains("'val' is the part for tests") && notes.contains("'test' is not used"));

    // Tiny ImageNet: pictures a level deeper, test pictures named in a table.
    for class in ["n01", "n02"] {
        fs::create_dir_all(scratch.path("tiny/train").join(class)).unwrap();
        fs::rename(
            scratch.path("mine/train").join(if class == "n01" { "a" } else { "b" }),
            scratch.path("tiny/train").join(class).join("images"),
        )
        .unwrap();
    }
    fs::create_dir_all(scratch.path("tiny/val")).unwrap();
    fs::rename(scratch.path("mine/val/a"), scratch.path("tiny/val/images")).unwrap();
    let lines = (0..5).map(|i| format!("{i}.png\tn0{}\t0\t0\t27\t27\n", 1 + i % 2));
    scratch.put("tiny/val/val_annotations.txt", lines.collect::<String>());
    let checked = done(scratch.run("data check folder:tiny --json"));
    let checked: serde_json::Value = serde_json::from_str(&checked.stdout).unwrap();
    assert_eq!([&checked["classes"], &checked["train"], &checked["test"]], [2, 40, 5], "{checked}");
}

#[test]
fn a_picture_is_turned_as_its_camera_says() {
    let scratch = Scratch::new("turned");
    scratch.pictures("mine", 4);
    // A JPEG whose left half is white, and the header of a camera that was held upright (Exif 6).
    let picture =
        image::GrayImage::from_fn(32, 32, |x, _| image::Luma([if x < 16 { 255 } else { 0 }]));
    let mut jpeg = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut jpeg, image::ImageFormat::Jpeg).unwrap();
    let jpeg = jpeg.into_inner();
    let exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let length = (exif.len() as u16 + 2).to_be_bytes();
    let turned = [&jpeg[..2], &[0xff, 0xe1], &length, exif, &jpeg[2..]].concat();
    let names: Vec<String> = (0..30).map(|i| format!("mine/a/{i}.jpg")).collect();
    for name in &names {
        scratch.put(name, &turned);
    }
    let data = salun_studio::data::open(&format!("folder:{}", scratch.path("mine").display()));
    let data = data.unwrap();
    let at = data.names.iter().position(|name| name.ends_with(".jpg")).unwrap();
    let picture = data.train.picture(at);
    assert!(picture[..28 * 10].iter().all(|&p| p > 200), "white is at the top");
    assert!(picture[28 * 18..].iter().all(|&p| p < 50));
}

#[test]
fn a_shape_in_the_alpha_channel_alone_is_seen() {
    for (value, ground) in [(0, "white"), (255, "black")] {
        let scratch = Scratch::new(&format!("alpha-{value}"));
        for (class, wide) in [("bar", 4), ("box", 20)] {
            fs::create_dir_all(scratch.path("mine").join(class)).unwrap();
            for i in 0..6 {
                let picture = image::RgbaImage::from_fn(28, 28, |x, y| {
                    let inside = x.abs_diff(14) < wide / 2 + i % 2 && y.abs_diff(14) < 10;
                    image::Rgba([value, value, value, if inside { 255 } else { 0 }])
                });
                picture.save(scratch.path("mine").join(class).join(format!("{i}.png"))).unwrap();
            }
        }
        let checked = done(scratch.run("data check folder:mine"));
        assert!(checked.stdout.contains(&format!("laid on {ground}")), "{checked:?}");
        let data = salun_studio::data::open(&format!("folder:{}", scratch.path("mine").display()));
        let data = data.unwrap();
        let bright = |i: usize| data.train.picture(i).iter().filter(|&&p| p > 127).count();
        let [first, last] = [bright(0), bright(data.train.len() - 1)];
        assert_ne!(first, last, "the shapes differ");
    }
}

#[test]
fn names_that_are_nearly_one_are_told_apart() {
    let scratch = Scratch::new("near");
    scratch.pictures("mine", 10);
    fs::rename(scratch.path("mine/a"), scratch.path("mine/Cat")).unwrap();
    fs::rename(scratch.path("mine/b"), scratch.path("mine/cat")).unwrap();
    done(scratch.run(&format!("{TRAIN} --steps 2 --out own.safetensors")));
    let unlearn = "unlearn --model own.safetensors --data folder:mine --budget tiny --steps 1 --batch 4 \
                   --method ga";
    refused(&scratch.run(&format!("{unlearn} --forget class:CAT --out x")), &["Cat, cat"]);
    done(scratch.run(&format!("{unlearn} --forget class:cat --out run")));
}

#[test]
#[cfg(target_os = "linux")]
fn names_that_are_no_text_stay_apart() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
    let scratch = Scratch::new("latin-classes");
    scratch.pictures("mine", 10);
    let dir = scratch.path("mine");
    fs::rename(dir.join("a"), dir.join(OsStr::from_bytes(b"caf\xe9"))).unwrap();
    fs::rename(dir.join("b"), dir.join(OsStr::from_bytes(b"caf\xe8"))).unwrap();
    let checked = done(scratch.run("data check folder:mine --json"));
    let checked: serde_json::Value = serde_json::from_str(&checked.stdout).unwrap();
    assert_eq!(checked["class_names"], serde_json::json!(["caf\\xE8", "caf\\xE9"]));
}

#[test]
fn an_ending_that_says_another_format_is_refused() {
    let scratch = trained("endings");
    let mask = "saliency --model own.safetensors --data folder:mine --forget class:a --budget tiny";
    for (line, out, right) in [
        (format!("{TRAIN} --steps 2"), "new.pth", ".safetensors"),
        (format!("{TRAIN} --steps 2"), "new.onnx", ".safetensors"),
        (mask.to_string(), "mask.pt", ".safetensors"),
        (mask.to_string(), "mask.npz", ".safetensors"),
        ("sample --model fashion-ddpm --n 1 --steps 2".into(), "sheet.jpg", ".png"),
        ("sample --model fashion-ddpm --n 1 --steps 2".into(), "sheet.pdf", ".png"),
    ] {
        let names = scratch.names();
        refused(&scratch.run(&format!("{line} --out {out}")), &[out, right]);
        assert_eq!(scratch.names(), names);
    }
}

#[test]
fn a_link_is_read_as_it_was_passed_on() {
    let scratch = trained("links-passed");
    let link =
        "https://lab.example/?model=own.safetensors&forget=class%3Aa&budget=tiny&steps=1&method=ga";
    for (n, given) in [
        link.to_string(),
        format!("{link}&fbclid=IwAR0abc"),
        format!("{link}&utm_source=mail&utm_medium=x"),
        link.replace('&', "&amp;"),
        format!("{link}."),
        format!("<{link}>"),
    ]
    .iter()
    .enumerate()
    {
        let out = format!("run-{n}");
        let ran = Ran::of(scratch.salun(&["unlearn", given, "--out", &out]).output().unwrap());
        done(ran);
        // Its data is the model's own.
        let recipe = fs::read_to_string(scratch.path(&out).join("recipe.toml")).unwrap();
        assert!(recipe.contains("data = \"folder:/") && recipe.contains("/mine\""), "{recipe}");
    }
    // A file is a file, whatever its name is like.
    fs::create_dir(scratch.path("forget bar?")).unwrap();
    fs::copy(scratch.path("run-0/recipe.toml"), scratch.path("forget bar?/recipe.toml")).unwrap();
    let mut command = scratch.salun(&["unlearn", "forget bar?/recipe.toml", "--out", "again"]);
    done(Ran::of(command.output().unwrap()));
}

#[test]
fn a_run_folder_is_what_its_report_was_written_with() {
    let scratch = trained("sealed");
    let unlearn = "unlearn --model own.safetensors --data folder:mine --forget class:a --budget tiny \
                   --steps 2 --batch 8";
    done(scratch.run(&format!("{unlearn} --out run")));
    done(scratch.run(&format!("{unlearn} --seed 2 --out other")));
    let copy = |to: &str| {
        let to = scratch.path(to);
        let _ = fs::remove_dir_all(&to);
        fs::create_dir(&to).unwrap();
        for file in of_class(&scratch.path("run")) {
            fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
        }
        to
    };
    fs::create_dir(scratch.path("moved")).unwrap();
    copy("moved/run");
    done(scratch.run("eval --run moved/run"));
    let flip = |dir: &Path| {
        let path = dir.join("mask.safetensors");
        let mut bytes = fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(path, bytes).unwrap();
    };
    let from_other = |name: &'static str| {
        let other = scratch.path("other");
        move |dir: &Path| {
            fs::copy(other.join(name), dir.join(name)).unwrap();
        }
    };
    let edited = |dir: &Path| {
        let path = dir.join("recipe.toml");
        let text = fs::read_to_string(&path).unwrap().replace("class:a", "class:b");
        fs::write(path, text).unwrap();
    };
    let original = scratch.path("own.safetensors");
    type Way = Box<dyn Fn(&Path)>;
    let ways: [(&str, Way); 8] = [
        ("mask.safetensors: is not the run's", Box::new(flip)),
        (
            "mask.safetensors: is missing",
            Box::new(|d| fs::remove_file(d.join("mask.safetensors")).unwrap()),
        ),
        (
            "mask.safetensors: is not",
            Box::new(|d| fs::write(d.join("mask.safetensors"), "").unwrap()),
        ),
        ("is not the run's", Box::new(from_other("report.json"))),
        ("recipe.toml: is not the run's", Box::new(from_other("recipe.toml"))),
        ("model.safetensors: is not the run's", Box::new(from_other("model.safetensors"))),
        (
            "model.safetensors: is not the run's",
            Box::new(move |d| {
                fs::copy(&original, d.join("model.safetensors")).unwrap();
            }),
        ),
        ("recipe.toml: is not the run's", Box::new(edited)),
    ];
    for (words, way) in ways {
        way(&copy("edited"));
        refused(&scratch.run("eval --run edited"), &[words]);
    }
}
