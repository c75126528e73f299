//! Picked training items as a forget set: `items:1,5,9-20`.

use crate::data::ranges;
use crate::error::{Error, Result};

/// Items that a forget set may name, at the most.
const MOST: usize = 1_000_000;

/// Ascending indices as a forget set, neighbours as ranges.
pub fn spec(items: &[usize]) -> String {
    format!("items:{}", ranges::joined(items, |a, b| a + 1 == *b))
}

/// The indices of a list such as `1,5,9-20`, ascending.
///
/// # Errors
/// A word is no index and no range, or there are too many.
pub fn parse(list: &str) -> Result<Vec<usize>> {
    let mut items = Vec::new();
    for word in list.split(',') {
        let (first, last) = word.split_once('-').unwrap_or((word, word));
        let range = first.trim().parse().ok().zip(last.trim().parse().ok());
        let fits = |&(first, last): &(usize, usize)| {
            first <= last && last - first < MOST - items.len().min(MOST)
        };
        let Some((first, last)) = range.filter(fits) else {
            let short: String = word.chars().take(20).collect();
            return Err(Error::argument("items", short, "indices such as 1,5,9-20 are needed"));
        };
        items.extend(first..=last);
    }
    items.sort_unstable();
    items.dedup();
    Ok(items)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_become_ranges_and_come_back() {
        let items = [1, 5, 9, 10, 11, 12, 40, 41];
        assert_eq!(spec(&items), "items:1,5,9-12,40-41");
        assert_eq!(parse("1,5,9-12,40-41").unwrap(), items);
        assert_eq!(parse("5, 1,1-2").unwrap(), [1, 2, 5]);
    }

    #[test]
    fn what_is_no_list_is_refused_before_it_is_made() {
        for list in ["", "a", "1,,2", "3-1", "-1", "0-999999999999", "1.5", "0-999999,5-6"] {
            assert!(parse(list).is_err(), "{list}");
        }
    }
}
