//! What commands write is whole or not there, and nothing that a person keeps is lost by it.

use std::{fs, path::Path};

use crate::binary::{Ran, Scratch, bytes};
use salun_studio::disk::output::{Beside, Output, OutputKind};
use salun_studio::error::Error;

const RUN: &str = "unlearn --model tiny.safetensors --data fashion-mnist@200 --forget class:Sneaker \
                   --method ga --budget tiny --steps 1 --batch 8";

fn with_run(name: &str) -> Scratch {
    let scratch = Scratch::new(name);
    scratch.put("tiny.safetensors", bytes(&scratch.classifier()));
    let ran = scratch.run(&format!("{RUN} --out run"));
    assert_eq!(ran.status, Some(0), "{ran:?}");
    scratch
}

/// Every file below a folder with its bytes, in order.
fn tree(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(at) = folders.pop() {
        for entry in fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().display().to_string();
                all.push((name, fs::read(path).unwrap()));
            }
        }
    }
    all.sort();
    all
}

/// A command line that is refused with these words, and leaves all as it was.
fn refused(scratch: &Scratch, line: &str, words: &[&str]) {
    let before = tree(&scratch.0);
    let ran = scratch.run(line);
    assert_eq!(ran.status, Some(2), "{line}\n{ran:?}");
    for word in words {
        assert!(ran.stderr.contains(word), "{line}: no '{word}' in\n{ran:?}");
    }
    let (before, after) = (before, tree(&scratch.0));
    let names = |t: &[(String, Vec<u8>)]| t.iter().map(|(n, _)| n.clone()).collect::<Vec<_>>();
    assert_eq!(names(&before), names(&after), "{line}");
    assert!(before == after, "{line}");
}

#[test]
fn force_replaces_one_thing_of_its_kind_and_nothing_else() {
    let scratch = with_run("force");
    fs::create_dir(scratch.path("runs")).unwrap();
    for name in ["a", "b", "c", "d"] {
        let copy = scratch.path("runs").join(name);
        fs::create_dir(&copy).unwrap();
        for file in fs::read_dir(scratch.path("run")).unwrap().map(Result::unwrap) {
            fs::copy(file.path(), copy.join(file.file_name())).unwrap();
        }
    }
    fs::create_dir_all(scratch.path("pictures/cat")).unwrap();
    scratch.put("pictures/cat/1.png", "a picture");
    scratch.put("thesis.safetensors", "chapter one");
    scratch.put("mine.safetensors", bytes(&scratch.classifier()));
    scratch.put("mine.json", "{\"mine\": true}");
    scratch.put("photo.png", "not a PNG");
    scratch.put("slides.pth", [&b"PK\x03\x04"[..], &[0; 26], b"ppt/slides.xml"].concat());
    let train = "train fashion-classifier --data fashion-mnist@200 --width 4 --steps 1 --batch 8";
    let saliency = "saliency --model tiny.safetensors --data fashion-mnist@200 --forget \
                    class:Sneaker --budget tiny";
    for (line, words) in [
        (format!("{RUN} --out runs"), ["runs", "4 runs (a, b, c and 1 more)"]),
        (format!("{RUN} --out pictures"), ["is not a run folder", "it holds cat"]),
        (format!("{RUN} --out tiny.safetensors"), ["is a file", "--force replaces nothing else"]),
        ("demo --budget tiny --out runs".into(), ["runs", "4 runs"]),
        ("demo --budget tiny --out run".into(), ["run:", "is not a demo's folder"]),
        (format!("{saliency} --overlap seeds --out run"), ["run:", "a comparison of masks"]),
        (format!("{saliency} --out tiny.safetensors"), ["tiny.safetensors", "is not a mask"]),
        (format!("{train} --out thesis.safetensors"), ["thesis", "is not a weights file"]),
        (format!("{train} --out run"), ["run:", "is a folder, not a weights file"]),
        (format!("{train} --out mine.safetensors"), ["mine.json", "is not a model card"]),
        ("export --model tiny.safetensors --out thesis.safetensors".into(), ["thesis", "weights"]),
        ("export --model tiny.safetensors --out slides.pth".into(), ["slides", "a weights file"]),
        (
            "sample --model fashion-ddpm --n 1 --steps 1 --class 1 --out photo.png".into(),
            ["photo.png", "is not a PNG picture"],
        ),
        ("table density --out run".into(), ["run", "is not a table's folder"]),
    ] {
        refused(&scratch, &format!("{line} --force"), &words);
    }
}

#[test]
fn what_a_command_did_not_write_stays_in_the_folder_that_it_replaces() {
    let scratch = with_run("stays");
    scratch.put("run/notes.txt", "mine");
    scratch.put("run/mask.safetensors", "of another method");
    fs::create_dir_all(scratch.path("run/figures/for paper")).unwrap();
    scratch.put("run/figures/for paper/1.svg", "<svg/>");
    #[cfg(unix)]
    std::os::unix::fs::symlink("../tiny.safetensors", scratch.path("run/original")).unwrap();
    let before = fs::read(scratch.path("run/report.json")).unwrap();
    let ran = scratch.run(&format!("{RUN} --seed 2 --out run --force"));
    assert_eq!(ran.status, Some(0), "{ran:?}");
    assert_ne!(fs::read(scratch.path("run/report.json")).unwrap(), before);
    for (name, content) in [("notes.txt", "mine"), ("figures/for paper/1.svg", "<svg/>")] {
        assert_eq!(fs::read_to_string(scratch.path("run").join(name)).unwrap(), content);
    }
    #[cfg(unix)]
    assert!(fs::symlink_metadata(scratch.path("run/original")).unwrap().is_symlink());
    // Gradient ascent without a mask writes none.
    assert!(!scratch.path("run/mask.safetensors").exists());
    assert_eq!(scratch.names(), ["run", "tiny.safetensors"]);
}

#[test]
#[cfg(unix)]
fn an_output_is_written_through_a_symbolic_link() {
    use std::os::unix::fs::symlink;
    let scratch = Scratch::new("links");
    scratch.put("tiny.safetensors", bytes(&scratch.classifier()));
    fs::create_dir(scratch.path("disk")).unwrap();
    symlink("disk/weights.pth", scratch.path("latest.pth")).unwrap();
    let line = "export --model tiny.safetensors --out latest.pth";
    let ran = scratch.run(line);
    assert_eq!(ran.status, Some(0), "{ran:?}");
    let first = fs::read(scratch.path("disk/weights.pth")).unwrap();
    refused(&scratch, line, &["already there"]);
    let mut older = first.clone();
    older.truncate(first.len() / 2);
    scratch.put("disk/weights.pth", older);
    let ran = scratch.run(&format!("{line} --force"));
    assert_eq!(ran.status, Some(0), "{ran:?}");
    assert_eq!(fs::read(scratch.path("disk/weights.pth")).unwrap(), first);
    assert!(fs::symlink_metadata(scratch.path("latest.pth")).unwrap().is_symlink());

    symlink("runs/one", scratch.path("run")).unwrap();
    fs::create_dir(scratch.path("runs")).unwrap();
    let ran = scratch.run(&format!("{RUN} --out run"));
    assert_eq!(ran.status, Some(0), "{ran:?}");
    assert!(scratch.path("runs/one/report.json").is_file());
    symlink("round", scratch.path("round")).unwrap();
    let ran = scratch.run(&format!("{RUN} --out round"));
    assert!(ran.status == Some(2) && ran.stderr.contains("goes round"), "{ran:?}");
}

const BESIDES: [(OutputKind, Beside); 1] = [(OutputKind::Card, |out| out.with_extension("json"))];

#[test]
fn a_name_that_another_process_took_meanwhile_is_left_to_it() {
    let scratch = Scratch::new("race");
    let out = scratch.path("own.safetensors");
    let files = |content: &str| vec![content.into(), format!("card of {content}").into_bytes()];
    let [first, second] =
        [(); 2].map(|()| Output::files(&out, OutputKind::Weights, &BESIDES, false).unwrap());
    first.write_files(files("first")).unwrap();
    let place = match second.write_files(files("second")) {
        Err(Error::Elsewhere { place, .. }) => place,
        other => panic!("{other:?}"),
    };
    assert_eq!(place, scratch.path("own-2.safetensors"));
    let text = |name: &str| fs::read_to_string(scratch.path(name)).unwrap();
    assert_eq!([text("own.safetensors"), text("own.json")], ["first", "card of first"]);
    assert_eq!([text("own-2.safetensors"), text("own-2.json")], ["second", "card of second"]);
    assert_eq!(scratch.names().len(), 4);

    let run = scratch.path("run");
    let [first, second] = [(); 2].map(|()| Output::new(&run, OutputKind::Run, false).unwrap());
    let files = |content: &str| vec![("report.json".to_string(), content.into())];
    first.write_folder(files("first")).unwrap();
    assert!(second.write_folder(files("second")).is_err());
    assert_eq!([text("run/report.json"), text("run-2/report.json")], ["first", "second"]);
}

#[test]
fn what_a_dead_process_left_is_cleared_and_what_a_living_one_writes_is_not() {
    let scratch = Scratch::new("left");
    let out = scratch.path("own.safetensors");
    // Of a process that died before its weights had their name.
    scratch.put(".own.safetensors.1-0.tmp", "half");
    scratch.put("own.json", r#"{"architecture": {}, "classes": []}"#);
    scratch.put(".own.safetensors.notes", "mine");
    let living = Output::files(&out, OutputKind::Weights, &BESIDES, false).unwrap();
    scratch.put(".own.safetensors.1-0.tmp", "half");
    let next = Output::files(&out, OutputKind::Weights, &BESIDES, false).unwrap();
    assert_eq!(scratch.names().len(), 5, "{:?}", scratch.names());
    drop((living, next));
    assert_eq!(scratch.names(), [".own.safetensors.notes"]);

    // Of a folder that was put aside before the new one had its name.
    let old = scratch.path(".run.1-0.old");
    fs::create_dir(&old).unwrap();
    fs::write(old.join("report.json"), "old").unwrap();
    let error = Output::new(&scratch.path("run"), OutputKind::Run, false).unwrap_err();
    assert!(matches!(error, Error::Exists(_)), "{error}");
    assert_eq!(fs::read_to_string(scratch.path("run/report.json")).unwrap(), "old");
}

#[test]
#[cfg(target_os = "linux")]
fn work_that_cannot_be_written_in_the_end_goes_to_a_place_that_is_said() {
    let scratch = Scratch::new("rescue");
    scratch.put("tiny.safetensors", bytes(&scratch.classifier()));
    fs::create_dir(scratch.path("gone")).unwrap();
    let mut running = scratch
        .salun(
            &format!("{RUN} --json --out gone/run")
                .replace("--steps 1", "--steps 400")
                .split(' ')
                .collect::<Vec<_>>(),
        )
        .spawn()
        .unwrap();
    let reserved = |folder: &Path| fs::read_dir(folder).unwrap().next().is_some();
    while !reserved(&scratch.path("gone")) {
        assert!(running.try_wait().unwrap().is_none(), "ended before anything was reserved");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    std::thread::sleep(std::time::Duration::from_millis(200));
    fs::remove_dir_all(scratch.path("gone")).unwrap();
    scratch.put("gone", "no folder any more");
    let ran = Ran::of(running.wait_with_output().unwrap());
    assert_eq!(ran.status, Some(1), "{ran:?}");
    let report: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(report["method"], "ga");
    assert!(ran.stderr.contains("the finished work is in"), "{ran:?}");
    let place = scratch.path("data-sets/recovered/run");
    assert!(place.join("model.safetensors").is_file(), "{ran:?}");
}

#[test]
#[cfg(unix)]
fn a_name_that_is_no_text_is_no_obstacle() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
    let scratch = Scratch::new("latin");
    scratch.put("tiny.safetensors", bytes(&scratch.classifier()));
    let name = OsStr::from_bytes(b"caf\xe9");
    let lines = [
        "export --model tiny.safetensors --json",
        "saliency --model tiny.safetensors --data fashion-mnist@200 --forget class:1 --budget tiny --json",
        "train fashion-classifier --data fashion-mnist@200 --width 4 --steps 1 --batch 8 --json",
    ];
    for line in lines {
        let mut command = scratch.salun(&line.split(' ').collect::<Vec<_>>());
        let mut out = name.to_owned();
        out.push(format!("-{}.safetensors", line.len()));
        let ran = Ran::of(command.arg("--out").arg(&out).output().unwrap());
        assert_eq!(ran.status, Some(0), "{line}\n{ran:?}");
        assert!(serde_json::from_str::<serde_json::Value>(&ran.stdout).is_ok(), "{ran:?}");
        assert!(scratch.0.join(&out).is_file());
    }
    let mut command = scratch.salun(&format!("{RUN} --json").split(' ').collect::<Vec<_>>());
    let ran = Ran::of(command.arg("--out").arg(name).output().unwrap());
    assert_eq!(ran.status, Some(0), "{ran:?}");
    let mut command = scratch.salun(&["eval", "--json"]);
    let ran = Ran::of(command.arg("--run").arg(name).output().unwrap());
    assert_eq!(ran.status, Some(0), "{ran:?}");
}

#[test]
fn a_run_folder_has_its_page_and_export_makes_it_anew() {
    let scratch = with_run("page");
    let within = fs::read_to_string(scratch.path("run/report.html")).unwrap();
    let line = "export --run run --report run.html";
    let ran = scratch.run(line);
    assert_eq!(ran.status, Some(0), "{ran:?}");
    let page = fs::read_to_string(scratch.path("run.html")).unwrap();
    let report = fs::read_to_string(scratch.path("run/report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    for page in [&within, &page] {
        assert!(page.starts_with("<!DOCTYPE html>") && page.trim_end().ends_with("</html>"));
        assert!(page.contains(report["protocol"].as_str().unwrap()), "whose it is");
        assert_eq!(
            page.matches("<img src=\"data:image/png;base64,").count(),
            2,
            "before and after"
        );
        assert!(page.contains("Loss of 1 updates"), "the loss");
    }
    // The picture itself is on the page.
    let picture = fs::read(scratch.path("run/after.png")).unwrap();
    let size = picture.len().div_ceil(3) * 4;
    assert!(page.len() > size && within.len() < 4 * size + 400_000, "{}", within.len());
    refused(&scratch, line, &["run.html", "--force"]);
    assert_eq!(scratch.run(&format!("{line} --force")).status, Some(0));
    scratch.put("mine.html", "<!DOCTYPE html><p>mine");
    refused(&scratch, "export --run run --report mine.html --force", &["is not a run's page"]);
    refused(&scratch, "export --run run --report run.txt", &[".html"]);
    scratch.put("run/before.png", "no picture");
    refused(&scratch, "export --run run --report other.html", &["before.png"]);
}
