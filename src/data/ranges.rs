//! Lists of items as text: `1,5,9-20`.

use crate::error::ensure;

/// The items that a list names, among `items`, which ascend. A range is what of `items` lies in it.
///
/// # Errors
/// What is wrong, in words: a part is no number or range, or an item is not among `items`.
pub fn read(text: &str, items: &[usize]) -> Result<Vec<usize>, String> {
    // Where the chosen begin and end: time and memory do not grow with overlapping ranges.
    let mut steps = vec![0i32; items.len() + 1];
    for part in text.split(',').map(str::trim) {
        let short = || part.chars().take(20).collect::<String>();
        let number = |s: &str| {
            let s = s.trim();
            s.parse::<usize>().map_err(|_| format!("'{}' is no item or range of items", short()))
        };
        let (from, to) = match part.split_once('-') {
            None => {
                let item = number(part)?;
                let at = items.binary_search(&item);
                let at = at.map_err(|_| format!("item {item} is not in the training part"))?;
                (at, at + 1)
            }
            Some((first, last)) => {
                let (first, last) = (number(first)?, number(last)?);
                ensure(first <= last, || format!("the range '{}' is backwards", short()))?;
                (items.partition_point(|i| *i < first), items.partition_point(|i| *i <= last))
            }
        };
        steps[from] += 1;
        steps[to] -= 1;
    }
    let mut depth = 0;
    let chosen = items.iter().zip(steps).filter(|(_, step)| {
        depth += step;
        depth > 0
    });
    Ok(chosen.map(|(item, _)| *item).collect())
}

/// The shortest list that [`read`] takes for `chosen`, which are ascending and among `items`.
pub fn write(chosen: &[usize], items: &[usize]) -> String {
    let place = |item: &usize| items.partition_point(|i| i < item);
    joined(chosen, |a, b| place(a) + 1 == place(b))
}

/// A list of ascending items, of which those make a range that `follow` one another.
pub fn joined(chosen: &[usize], follow: impl Fn(&usize, &usize) -> bool) -> String {
    let runs = chosen.chunk_by(follow);
    let part = |run: &[usize]| match run {
        [one] => one.to_string(),
        run => format!("{}-{}", run[0], run[run.len() - 1]),
    };
    runs.map(part).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_as_it_was_written() {
        let items: Vec<usize> = (0..100).filter(|i| i % 10 != 3).collect();
        assert_eq!(read("1,5,9-14", &items).unwrap(), [1, 5, 9, 10, 11, 12, 14]);
        assert_eq!(read(" 14 , 9 - 12,10", &items).unwrap(), [9, 10, 11, 12, 14]);
        for step in [1, 2, 7] {
            let chosen: Vec<usize> = items.iter().copied().step_by(step).collect();
            let text = write(&chosen, &items);
            assert_eq!(read(&text, &items).unwrap(), chosen, "{text}");
        }
        assert_eq!(write(&items, &items), "0-99");
        assert_eq!(write(&[1, 2, 4, 50], &items), "1-4,50");
    }

    #[test]
    fn malformed_lists_are_refused_and_large_ones_cost_nothing() {
        let items: Vec<usize> = (0..10).filter(|i| *i != 3).collect();
        let malformed =
            ["", ",", "1,", "a", "-1", "1-", "5-2", "1.5", "3", "10", "1--2", "0x1", "1 2"];
        for text in malformed.into_iter().chain(["99999999999999999999", "٣"]) {
            let error = read(text, &items).expect_err(text);
            assert!(error.len() < 100 && !error.contains('\n'), "{error}");
        }
        assert!(read("11-18446744073709551615", &items).unwrap().is_empty());
        let many = vec!["0-18446744073709551615"; 10_000].join(",");
        assert_eq!(read(&many, &items).unwrap(), items);
    }
}
