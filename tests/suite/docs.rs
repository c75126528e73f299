//! The pages for a person: every link leads somewhere, and the README stays two pages.

use std::{collections::HashSet, fs, path::Path};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Characters of the README, at the most.
const LONGEST: usize = 12_000;
/// What a reader finds early in the README, and the lines that it stands within.
const EARLY: [(&str, usize); 3] =
    [("cargo run --release", 25), ("scripts/test.sh", 25), ("folder:", 60)];

/// A page, by its path in the repository.
struct Page {
    path: String,
    text: String,
}

/// A link or a picture, and the line that it stands in.
struct Link {
    line: usize,
    target: String,
}

fn page(path: &str) -> Page {
    let text = fs::read_to_string(Path::new(ROOT).join(path));
    Page { path: path.into(), text: text.unwrap_or_else(|error| panic!("{path}: {error}")) }
}

/// The pages of `docs/`.
fn docs() -> Vec<Page> {
    let folder = fs::read_dir(Path::new(ROOT).join("docs")).expect("the folder docs");
    let names = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(".md")).collect();
    names.sort();
    names.iter().map(|name| page(&format!("docs/{name}"))).collect()
}

/// The backticks or tildes that open or close a block of code.
fn fence(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let mark = line.chars().next().filter(|c| "`~".contains(*c))?;
    let length = line.find(|c: char| c != mark).unwrap_or(line.len());
    (length >= 3).then(|| &line[..length])
}

/// A text whose blocks of code are empty lines.
fn without_blocks(text: &str) -> String {
    let mut open: Option<&str> = None;
    let mut lines = Vec::new();
    for line in text.lines() {
        let mark = fence(line);
        lines.push(if open.or(mark).is_none() { line } else { "" });
        open = match (open, mark) {
            (None, mark) => mark,
            (Some(open), Some(mark)) if mark.starts_with(open) => None,
            (open, _) => open,
        };
    }
    lines.join("\n")
}

/// How many backticks a text begins with.
fn backticks(text: &str) -> usize {
    text.len() - text.trim_start_matches('`').len()
}

/// Where the next run of exactly so many backticks is.
fn closing(text: &str, count: usize) -> Option<usize> {
    let mut at = 0;
    while let Some(found) = text[at..].find('`') {
        at += found;
        let run = backticks(&text[at..]);
        if run == count {
            return Some(at);
        }
        at += run;
    }
    None
}

/// A paragraph without what stands between backticks, but with its line breaks.
fn without_code(paragraph: &str) -> String {
    let (mut kept, mut rest) = (String::new(), paragraph);
    while let Some(start) = rest.find('`') {
        let count = backticks(&rest[start..]);
        let (before, inside) = (&rest[..start], &rest[start + count..]);
        kept += before;
        rest = match closing(inside, count) {
            Some(end) => {
                kept.extend(inside[..end].chars().filter(|c| *c == '\n'));
                &inside[end + count..]
            }
            None => inside,
        };
    }
    kept + rest
}

/// A page without its code, line by line as it was.
fn prose(text: &str) -> String {
    let blocks = without_blocks(text);
    blocks.split("\n\n").map(without_code).collect::<Vec<_>>().join("\n\n")
}

/// Targets that stand between `open` and `close`, titles left out.
fn between(prose: &str, open: &str, close: char) -> Vec<Link> {
    let link = |(at, _): (usize, &str)| {
        let (target, _) = prose[at + open.len()..].split_once(close)?;
        let target = target.split_whitespace().next().unwrap_or_default();
        let line = prose[..at].matches('\n').count() + 1;
        Some(Link { line, target: target.trim_matches(['<', '>']).into() })
    };
    prose.match_indices(open).filter_map(link).collect()
}

/// Every link and picture of a page, in Markdown or in HTML.
fn links(text: &str) -> Vec<Link> {
    // A definition's target ends with its line.
    let prose = prose(text) + "\n";
    let kinds = [("](", ')'), ("]: ", '\n'), ("src=\"", '"'), ("href=\"", '"')];
    let mut all: Vec<Link> =
        kinds.iter().flat_map(|(open, close)| between(&prose, open, *close)).collect();
    all.sort_by_key(|link| link.line);
    all
}

/// The text of a heading, if a line is one.
fn heading(line: &str) -> Option<&str> {
    let text = line.trim_start_matches('#');
    let level = line.len() - text.len();
    ((1..=6).contains(&level) && text.starts_with(' ')).then(|| text.trim())
}

/// A heading as it is shown: of its links, the words.
fn shown(heading: &str) -> String {
    let mut parts = heading.split("](");
    let first = parts.next().unwrap_or_default().to_string();
    parts.fold(first, |text, part| text + part.split_once(')').map_or(part, |(_, rest)| rest))
}

/// What GitHub makes of a heading in an address.
fn slug(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || "-_ ".contains(*c);
    let text = shown(heading).to_lowercase();
    text.chars().filter(kept).map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// The anchors of a page's headings; one that is there already gets a number.
fn anchors(text: &str) -> HashSet<String> {
    let mut all = HashSet::new();
    for heading in without_blocks(text).lines().filter_map(heading) {
        let slug = slug(heading);
        let numbered = (1..).map(|n| format!("{slug}-{n}"));
        let free = std::iter::once(slug.clone()).chain(numbered).find(|name| !all.contains(name));
        all.extend(free);
    }
    all
}

/// The path in the repository that a page's link leads to; nothing if that is outside.
fn resolve(page: &str, target: &str) -> Option<String> {
    if target.starts_with('/') {
        return None;
    }
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// What is wrong with a link of a page, if anything is. Other sites are left alone.
fn fault(page: &Page, target: &str) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    if target.is_empty() {
        return Some("leads nowhere".into());
    }
    let (path, anchor) = target.split_once('#').map_or((target, None), |(p, a)| (p, Some(a)));
    let own = path.is_empty();
    let file = if own { Some(page.path.clone()) } else { resolve(&page.path, path) };
    let Some(file) = file else { return Some("leads out of the repository".into()) };
    let place = Path::new(ROOT).join(&file);
    if !own && !place.exists() {
        return Some(format!("there is no {file}"));
    }
    let anchor = anchor?;
    let other = if own { Ok(page.text.clone()) } else { fs::read_to_string(place) };
    match other {
        Ok(text) if anchors(&text).contains(anchor) => None,
        _ => Some(format!("{file} has no heading #{anchor}")),
    }
}

/// Every broken link of a page, a line each.
fn faults(page: &Page) -> Vec<String> {
    let told = |Link { line, target }: Link| {
        let why = fault(page, &target)?;
        Some(format!("{}:{line}: ({target}) {why}", page.path))
    };
    links(&page.text).into_iter().filter_map(told).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let pages = ["README.md", "ARCHITECTURE.md"].map(page).into_iter().chain(docs());
    let broken: Vec<String> = pages.flat_map(|page| faults(&page)).collect();
    assert!(broken.is_empty(), "{} broken links:\n{}", broken.len(), broken.join("\n"));
}

#[test]
fn the_readme_is_two_pages_and_begins_with_what_a_reader_needs() {
    let readme = page("README.md").text;
    let length = readme.chars().count();
    assert!(length <= LONGEST, "README.md has {length} characters, more than {LONGEST}");
    let line = |text: &str| readme.lines().position(|line| line.contains(text)).map(|i| i + 1);
    let late = EARLY.iter().filter(|(text, last)| line(text).is_none_or(|line| line > *last));
    let late: Vec<_> = late.map(|(text, last)| format!("'{text}' within {last} lines")).collect();
    assert!(late.is_empty(), "README.md lacks {}", late.join(", "));
}

#[test]
fn every_page_is_linked_from_the_readme() {
    let linked = links(&page("README.md").text);
    let leads = |path: &str| linked.iter().any(|l| l.target.split('#').next() == Some(path));
    let pages = docs().into_iter().map(|page| page.path).chain(["ARCHITECTURE.md".into()]);
    let lost: Vec<String> = pages.filter(|path| !leads(path)).collect();
    assert!(lost.is_empty(), "README.md does not link {}", lost.join(", "));
}

#[test]
fn broken_links_are_found_and_whole_ones_are_not() {
    let text = "\
# A page

[here](#a-page), [there](../README.md \"a title\"), ![picture](nowhere.png)
and `[code](gone.md)`, ``[more ` code](gone.md)``, `over two
lines [x](gone.md)`, [site](https://example.org/x#y), [the folder](../src)

```sh
[block](gone.md) # not a heading
```

[a](#not-a-heading) [b](../README.md#no-such) [c](../../etc/passwd) [d](/README.md) []()
[e]: missing.md
<img src=\"lost.gif\">
";
    let page = Page { path: "docs/made-up.md".into(), text: text.into() };
    let expected = [
        "docs/made-up.md:3: (nowhere.png) there is no docs/nowhere.png",
        "docs/made-up.md:11: (#not-a-heading) docs/made-up.md has no heading #not-a-heading",
        "docs/made-up.md:11: (../README.md#no-such) README.md has no heading #no-such",
        "docs/made-up.md:11: (../../etc/passwd) leads out of the repository",
        "docs/made-up.md:11: (/README.md) leads out of the repository",
        "docs/made-up.md:11: () leads nowhere",
        "docs/made-up.md:12: (missing.md) there is no docs/missing.md",
        "docs/made-up.md:13: (lost.gif) there is no docs/lost.gif",
    ];
    assert_eq!(faults(&page), expected);
}

#[test]
fn anchors_are_those_of_github() {
    let text = "\
# Forgotten, or hidden?
## On a GPU: `salun bench --kernels`
## 10 % and 50 %
## Twice
### Twice
## See [the page](page.md)
####### Seven
#none
~~~
## in a block
~~~
";
    let mut found: Vec<String> = anchors(text).into_iter().collect();
    found.sort();
    let expected = [
        "10--and-50-",
        "forgotten-or-hidden",
        "on-a-gpu-salun-bench---kernels",
        "see-the-page",
        "twice",
        "twice-1",
    ];
    assert_eq!(found, expected);
}
