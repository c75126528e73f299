//! `NAME@COUNT`: a balanced, fixed part of a data set's training pictures.

use std::sync::Arc;

use super::{Dataset, Pictures, rng};
use crate::error::{Error, Result};

/// COUNT / classes training pictures of each class, and all test pictures. Those of a class are the
/// first of one fixed shuffle of its pictures, so that a smaller subset is part of every larger
/// one; they stay in their official order.
///
/// # Errors
/// COUNT is not a multiple of the number of classes, or a class has too few pictures.
pub fn of(data: &Dataset, count: &str) -> Result<Dataset> {
    let classes = data.classes.len();
    let members: Vec<Vec<usize>> = (0..classes).map(|c| data.train.of_class(c).collect()).collect();
    let most = members.iter().map(Vec::len).min().unwrap_or(0);
    let each = count.parse::<usize>().ok().filter(|n| *n > 0 && n % classes == 0);
    let each = each.map(|n| n / classes).filter(|n| (2..=most).contains(n)).ok_or_else(|| {
        let right = format!(
            "a multiple of {classes} from {} to {} is needed after the @",
            2 * classes,
            most * classes
        );
        Error::argument("data", format!("{}@{count}", data.name), right)
    })?;
    let mut chosen = vec![false; data.train.len()];
    for (class, members) in data.classes.iter().zip(&members) {
        let order = rng::shuffled(&mut rng::seeded(0, &format!("subset {class}")), members.len());
        order[..each].iter().for_each(|&j| chosen[members[j]] = true);
    }
    let items: Vec<usize> = (0..data.train.len()).filter(|&i| chosen[i]).collect();
    let train = Pictures {
        pixels: items.iter().flat_map(|&i| data.train.picture(i)).copied().collect(),
        labels: items.iter().map(|&i| data.train.labels[i]).collect(),
        shape: data.train.shape,
    };
    Ok(Dataset { name: format!("{}@{count}", data.name), train: Arc::new(train), ..data.clone() })
}

#[cfg(test)]
mod tests {
    use crate::data::{fashion, open};

    #[test]
    fn a_subset_is_balanced_nested_and_keeps_the_test_set() {
        let whole = fashion::open().unwrap();
        let [small, large] = ["fashion-mnist@1000", "fashion-mnist@4000"].map(|n| open(n).unwrap());
        for (data, each) in [(&small, 100), (&large, 400)] {
            for class in 0..10 {
                assert_eq!(data.train.labels.iter().filter(|&&l| l == class).count(), each);
            }
            assert_eq!(data.test.len(), 10_000);
            assert_eq!(data.statistics(), whole.statistics());
        }
        let pictures = |d: &crate::data::Dataset| -> std::collections::HashSet<Vec<u8>> {
            (0..d.train.len()).map(|i| d.train.picture(i).to_vec()).collect()
        };
        assert!(pictures(&small).is_subset(&pictures(&large)));
        assert_eq!(large.split(1).train.len(), 3_600);
        assert!(std::sync::Arc::ptr_eq(&small, &open("fashion-mnist@1000").unwrap()));
    }

    #[test]
    fn a_count_that_is_no_balanced_part_is_refused_in_one_line() {
        for count in ["", "0", "10", "4001", "60010", "-10", "all", "99999999999999999999"] {
            let error = open(&format!("fashion-mnist@{count}")).unwrap_err();
            assert!(error.to_string().contains("a multiple of 10 from 20 to 60000"), "{error}");
        }
    }
}
