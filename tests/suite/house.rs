//! The house stands as ARCHITECTURE.md draws it: an arrow goes down only.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// What of the product a text imports: the first names behind `crate::`.
fn imports(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for root in ["crate::", "salun_studio::"] {
        for (at, _) in text.match_indices(root) {
            let before = text[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':' || c == '$') {
                continue;
            }
            let rest = &text[at + root.len()..];
            match rest.strip_prefix('{') {
                None => found.push(first(rest)),
                Some(list) => {
                    let (mut depth, mut start) = (0, true);
                    for (i, c) in list.char_indices() {
                        match c {
                            '{' => depth += 1,
                            '}' if depth == 0 => break,
                            '}' => depth -= 1,
                            ',' if depth == 0 => start = true,
                            c if depth == 0 && start && c.is_alphabetic() => {
                                found.push(first(&list[i..]));
                                start = false;
                            }
                            _ => {}
                        }
                    }
                }
            }
        }
    }
    found
}

fn first(path: &str) -> String {
    path.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let of = |path: PathBuf| if path.is_dir() { sources(&path) } else { vec![path] };
    let all = entries.flat_map(of);
    all.filter(|path| path.extension().is_some_and(|end| end == "rs")).collect()
}

/// The floors of the house from the top, as the block `layers` of ARCHITECTURE.md has them.
fn floors(root: &Path) -> Vec<String> {
    let text = fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    let (_, block) = text.split_once("```layers\n").expect("a block of layers");
    let (block, _) = block.split_once("```").unwrap();
    block.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_string).collect()
}

#[test]
fn every_arrow_goes_down() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let floors = floors(root);
    let src = root.join("src");
    let mut lived_in = vec![false; floors.len()];
    let mut up = Vec::new();
    for path in sources(&src) {
        let inside = path.strip_prefix(&src).unwrap();
        let name = inside.components().next().unwrap().as_os_str().to_str().unwrap();
        let name = name.trim_end_matches(".rs");
        if ["lib", "main"].contains(&name) || inside.starts_with("gpu/cpu") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let floor = floors.iter().position(|f| f == name);
        let floor = floor.unwrap_or_else(|| panic!("ARCHITECTURE.md has no floor for {name}"));
        lived_in[floor] = true;
        for other in imports(&text).iter().filter(|other| *other != name) {
            // The program's own name in its manifest, macros and functions of the crate's root are none.
            let below = floors.iter().position(|f| f == other);
            if below.is_some_and(|below| below <= floor) {
                up.push(format!("{} imports {other}", inside.display()));
            }
        }
        let draws = text.contains("egui::") || text.contains("eframe::");
        if draws && !["studio", "cli", "web"].contains(&name) {
            up.push(format!("{} knows egui", inside.display()));
        }
    }
    assert!(up.is_empty(), "arrows that go up:\n{}", up.join("\n"));
    let empty: Vec<_> = floors.iter().zip(lived_in).filter(|(_, in_use)| !in_use).collect();
    assert!(empty.is_empty(), "floors of nothing: {empty:?}");
}

#[test]
fn imports_are_found_however_they_are_written() {
    let text = "use crate::{\n    data::{Dataset, rng},\n    error::Result,\n};\nlet x = crate::words::hex(b);";
    assert_eq!(imports(text), ["data", "error", "words"]);
    assert_eq!(imports("use salun_studio::studio::Studio;"), ["studio"]);
}

/// The source files of the program, by their place under `src`, and their text without their own tests.
fn program() -> Vec<(String, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let place = |path: &Path| path.strip_prefix(&src).unwrap().to_string_lossy().into_owned();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let end = text.find("\n#[cfg(test)]\nmod tests {").unwrap_or(text.len());
        (place(&path), text[..end].to_string())
    };
    sources(&src).into_iter().filter(|path| !path.ends_with("tests.rs")).map(read).collect()
}

#[test]
fn files_and_functions_are_short() {
    const FILE: usize = 450;
    const FUNCTION: usize = 80;
    let mut long = Vec::new();
    for path in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        if lines > FILE {
            long.push(format!("{}: {lines} lines", path.display()));
        }
    }
    for (place, text) in program() {
        let lines: Vec<&str> = text.lines().collect();
        for (i, line) in lines.iter().enumerate().filter(|(_, line)| is_function(line)) {
            let margin = &line[..line.len() - line.trim_start().len()];
            let end = lines[i..].iter().position(|l| l.strip_prefix(margin) == Some("}"));
            if let Some(n) = end.filter(|n| *n + 1 > FUNCTION) {
                long.push(format!("{place}: {} has {} lines", line.trim(), n + 1));
            }
        }
    }
    assert!(long.is_empty(), "more than {FILE} or {FUNCTION} lines:\n{}", long.join("\n"));
}

/// Whether a line begins a function that has a body.
fn is_function(line: &str) -> bool {
    let words = line.trim_start().split([' ', '(', '<']);
    let before =
        |word: &&str| ["const", "async", "unsafe"].contains(word) || word.starts_with("pub");
    let first = words.skip_while(before).find(|word| !["crate)", "super)"].contains(word));
    first == Some("fn") && !line.trim_end().ends_with(';')
}

/// Whether a line asks which task there is: a pattern or a comparison, and not a row that states its own.
fn asks_for_the_task(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    let Some(at) = code.find("Task::") else { return false };
    let (before, after) = code.split_at(at);
    let compared = ["== ", "!= "].iter().any(|sign| before.ends_with(sign));
    compared || code.contains("matches!(") || after.contains("=>")
}

#[test]
fn nobody_asks_for_the_task_but_its_own_table_the_subjects_and_the_command_line() {
    let mut asks = Vec::new();
    for (place, text) in program() {
        if place.starts_with("subject/") || ["words/task.rs", "cli/args.rs"].contains(&&*place) {
            continue;
        }
        let lines = text.lines().enumerate().filter(|(_, line)| asks_for_the_task(line));
        asks.extend(lines.map(|(i, line)| format!("{place}:{}: {}", i + 1, line.trim())));
    }
    assert!(asks.is_empty(), "these match on the task:\n{}", asks.join("\n"));
}

#[test]
fn a_question_about_the_task_is_found() {
    for line in
        ["Task::Classify => 1,", "if task == Task::Generate {", "matches!(t, Task::Classify)"]
    {
        assert!(asks_for_the_task(line), "{line}");
    }
    for line in ["task: Task::Classify,", "// Task::Classify => no", "let all = [Task::Generate];"]
    {
        assert!(!asks_for_the_task(line), "{line}");
    }
}
