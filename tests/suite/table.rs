//! Tables from the command line: whole, killed and gone on with, written again without computing.

use std::{collections::BTreeMap, fs, time::SystemTime};

use serde_json::Value;

use crate::binary::{Ran, Scratch};
use salun_studio::table::{Table, folder};

fn done(ran: &Ran) {
    assert_eq!(ran.status, Some(0), "{ran:?}");
}

/// Every cell's file and when it was written.
fn cells(scratch: &Scratch, table: &str) -> BTreeMap<String, SystemTime> {
    let inside = fs::read_dir(scratch.path(table).join("cells")).unwrap().map(|e| e.unwrap());
    let changed = |e: &fs::DirEntry| e.metadata().unwrap().modified().unwrap();
    inside.map(|e| (e.file_name().to_string_lossy().into_owned(), changed(&e))).collect()
}

const LINE: &str = "table table1 --scale tiny --seeds 1 --only salun --out t";

#[test]
fn a_table_is_whole_goes_on_and_is_written_again() {
    let scratch = Scratch::new("table");
    let ran = scratch.run(&format!("{LINE} --json"));
    done(&ran);
    let said: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(said["schema"], 1);
    let inside = Scratch(scratch.path("t"));
    assert_eq!(
        inside.names(),
        [
            "cells",
            "figure.png",
            "figure.svg",
            "models",
            "protocol.json",
            "table.csv",
            "table.json",
            "table.md"
        ]
    );
    // Two forget sets: Retrain, SalUn and its control each.
    let first = cells(&scratch, "t");
    assert_eq!(first.len(), 6, "{first:?}");
    let models = Scratch(inside.path("models"));
    assert_eq!(models.names().len(), 3, "{:?}", models.names());
    std::mem::forget(models);

    let summary = folder::summary(&inside.0).unwrap();
    for group in &summary.groups {
        let salun = group.rows.iter().find(|l| l.label == "SalUn").unwrap();
        assert!(salun.average.stat.is_some() && salun.values[0].gap.is_some());
        assert_eq!((salun.frozen_changed, salun.control.as_ref().unwrap().n), (0, 1));
    }
    assert!(summary.done == 6 && summary.all > 6);
    let text = fs::read_to_string(inside.path("table.md")).unwrap();
    for words in ["theirs: paper", "theirs: replication", "random mask", "protocol `", "seeds 1"] {
        assert!(text.contains(words), "{words}");
    }

    // One run is gone: it alone is done again, to the same numbers.
    let lost = first.keys().find(|name| name.contains("salun-seed")).unwrap();
    let path = inside.path("cells").join(lost);
    let numbers = |text: &str| {
        serde_json::from_str::<Value>(text).unwrap()["outcome"]["done"]["metrics"].clone()
    };
    let before = numbers(&fs::read_to_string(&path).unwrap());
    fs::remove_file(&path).unwrap();
    done(&scratch.run(LINE));
    let second = cells(&scratch, "t");
    for (name, changed) in &second {
        assert_eq!(first[name] == *changed, name != lost, "{name}");
    }
    assert_eq!(numbers(&fs::read_to_string(&path).unwrap()), before);

    fs::remove_file(inside.path("table.md")).unwrap();
    done(&scratch.run("table table1 --render --out t"));
    assert_eq!(fs::read_to_string(inside.path("table.md")).unwrap().len(), text.len());
    assert_eq!(cells(&scratch, "t"), second);

    for (line, words) in [
        ("table table1 --scale small --out t", "its scale is tiny"),
        ("table density --scale tiny --out t", "it is table1"),
        ("table density --render --out t", "t holds table1"),
        ("table table1 --render --out none", "none: is not a table's folder"),
        ("table table1 --only salum --out new", "did you mean 'salun'?"),
        ("table table9 --out new", "unknown table 'table9'"),
        ("table table1 --scale huge --out new", "unknown scale 'huge'"),
        ("table table1 --seeds 0 --out new", "seeds '0'"),
    ] {
        let ran = scratch.run(line);
        assert_eq!(ran.status, Some(2), "{line}: {ran:?}");
        assert!(ran.stderr.contains(words) && ran.stderr.lines().count() == 1, "{line}: {ran:?}");
    }
    assert_eq!(scratch.names(), ["t"]);
    std::mem::forget(inside);
}

#[test]
fn a_diffusion_table_has_its_aim_and_its_distance() {
    let scratch = Scratch::new("table-ddpm");
    done(&scratch.run("table ddpm-classwise --scale tiny --seeds 1 --only salun,noop --out t"));
    let summary = folder::summary(&scratch.path("t")).unwrap();
    let group = &summary.groups[0];
    assert!(group.reference.contains("aim"));
    let frechet = group.frechet.unwrap();
    assert!(frechet.n == 9 && frechet.floor >= 0.0, "{frechet:?}");
    let salun = group.rows.iter().find(|l| l.label == "SalUn").unwrap();
    assert!(salun.values.iter().all(|v| v.stat.is_some()) && salun.control.is_some());
}

/// A stop is heard at once; what is done stays, and the same command goes on.
#[cfg(unix)]
#[test]
fn an_interrupted_table_keeps_what_is_done() {
    use std::{
        io::{BufRead, BufReader},
        process::Command,
        time::Duration,
    };

    let scratch = Scratch::new("table-stop");
    let line = "table table1 --scale small --seeds 1 --only noop --out t";
    let mut child = scratch.salun(&line.split(' ').collect::<Vec<_>>()).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut first = String::new();
    stderr.read_line(&mut first).unwrap();
    assert!(first.starts_with("Device: "), "{first}");
    std::thread::sleep(Duration::from_millis(1500));
    let kill = ["-INT", &child.id().to_string()].map(String::from);
    assert!(Command::new("kill").args(kill).status().unwrap().success());
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut stderr, &mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{rest}");
    assert!(
        rest.contains("the same command goes on") && rest.ends_with("salun: cancelled\n"),
        "{rest}"
    );
    // The training that was under way is kept, too.
    let models = fs::read_dir(scratch.path("t/models")).unwrap();
    let names: Vec<_> = models.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(names, ["original-seed-1.state"]);
    assert!(folder::summary(&scratch.path("t")).is_ok());
}

#[test]
fn prompts_are_forgotten_in_a_table_like_any_other() {
    let scratch = Scratch::new("prompts-table");
    done(&scratch.run("table prompts --scale tiny --seeds 1 --only noop,uce,esd --out t"));
    let summary = folder::summary(&scratch.path("t")).unwrap();
    assert_eq!(summary.columns, ["UA", "RA", "TA"]);
    for label in ["Original", "UCE", "ESD"] {
        let row = summary.groups[0].rows.iter().find(|l| l.label == label).unwrap();
        assert!(row.values.iter().all(|v| v.stat.is_some()), "{row:?}");
    }
    // The original's distance to the aim is what it does not forget.
    let original = summary.groups[0].rows.iter().find(|l| l.label == "Original").unwrap();
    assert_eq!(original.values[1].gap.unwrap().mean, 0.0);
}

/// A change of a protocol makes the tables of the README stale: `scripts/tables.sh` makes them anew.
#[test]
fn the_tables_that_are_shipped_are_of_the_present_protocol() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/tables");
    let Ok(tables) = fs::read_dir(&folder) else { return };
    for dir in tables.map(|e| e.unwrap().path()).filter(|path| path.is_dir()) {
        let summary = folder::summary(&dir).unwrap();
        let table = Table::new(&summary.name, summary.scale).unwrap();
        assert_eq!(summary.protocol, table.hash(), "{}", dir.display());
        // A search goes to where some methods break.
        let failed = if summary.name == "search" { 0 } else { summary.failed };
        assert_eq!(failed, 0, "{}", dir.display());
    }
}
