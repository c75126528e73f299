//! Which class of its own a classifier means by a name, and what CLIP is asked for.

use crate::data::{alike, plain_words};

/// The class that a name is or holds: one that is called so, alone or among the names that stand in it with
/// commas between, as ImageNet's do; else the one whose name stands in it as whole words, the longest.
pub fn class(classes: &[String], name: &str) -> Option<usize> {
    let called = |class: &String| alike(class, name);
    let among = |class: &String| class.split(',').any(|one| alike(one.trim(), name.trim()));
    let exact = classes.iter().position(called).or_else(|| classes.iter().position(among));
    exact.or_else(|| {
        let given = plain_words(name);
        let within = |class: &String| {
            let held = class.split(',').map(plain_words).filter(|own| {
                !own.is_empty() && given.windows(own.len()).any(|some| some == own.as_slice())
            });
            held.map(|own| own.concat().len()).max()
        };
        let found = classes.iter().enumerate().filter_map(|(i, class)| Some((within(class)?, i)));
        // Of equal ones the first.
        found.max_by_key(|(length, i)| (*length, usize::MAX - i)).map(|(_, i)| i)
    })
}

/// The text that a picture of something would have: a photo of a thing of one word, or what was written.
pub fn prompt(name: &str) -> String {
    let plain = name.replace('_', " ");
    let plain = plain.trim();
    match plain.split_whitespace().count() {
        0 | 1 => format!("a photo of a {plain}"),
        _ => plain.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_matched_whole_then_among_synonyms_then_as_words_within() {
        let classes = [
            "tiger",
            "tiger shark, Galeocerdo cuvieri",
            "tench, Tinca tinca",
            "Cat",
            "crane",
            "crane",
        ]
        .map(String::from);
        for (name, right) in [
            ("cat", Some(3)),
            ("tinca TINCA", Some(2)),
            ("an image of a tench", Some(2)),
            ("an image of a tiger_shark", Some(1)),
            ("a tiger, please", Some(0)),
            ("catalogue", None),
            ("tigers", None),
            ("", None),
            ("crane", Some(4)),
        ] {
            assert_eq!(class(&classes, name), right, "{name}");
        }
    }

    #[test]
    fn one_word_is_a_photo_of_it() {
        assert_eq!(prompt("cat"), "a photo of a cat");
        assert_eq!(prompt("a_red square"), "a red square");
    }
}
