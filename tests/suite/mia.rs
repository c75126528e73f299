//! The membership inference attack against scikit-learn's `SVC` on stored confidences
//! (tests/peers/make_mia.py).

use safetensors::SafeTensors;

use crate::common::packed;
use salun_studio::eval::Svm;

struct Set {
    name: String,
    members: Vec<f32>,
    others: Vec<f32>,
    forget: Vec<f32>,
    /// scikit-learn's word on `forget`, `members` and `others`: 1 is a member.
    says: Vec<u8>,
}

fn sets() -> Vec<Set> {
    let bytes = packed("mia.safetensors");
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let floats = |name: String| -> Vec<f32> {
        let bytes = file.tensor(&name).unwrap().data().chunks_exact(4);
        bytes.map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
    };
    let names = file.names().into_iter().filter_map(|n| n.strip_suffix("/says"));
    names
        .map(|name| Set {
            members: floats(format!("{name}/members")),
            others: floats(format!("{name}/others")),
            forget: floats(format!("{name}/forget")),
            says: file.tensor(&format!("{name}/says")).unwrap().data().to_vec(),
            name: name.into(),
        })
        .collect()
}

#[test]
fn predictions_agree_with_scikit_learn() {
    let sets = sets();
    let mut real = 0;
    for set in &sets {
        let machine = Svm::fit(&set.members, &set.others, 3.0).unwrap();
        let asked: Vec<f32> =
            [&set.forget, &set.members, &set.others].into_iter().flatten().copied().collect();
        assert_eq!(asked.len(), set.says.len());
        let differs = |i: &usize| machine.is_member(asked[*i]) != (set.says[*i] == 1);
        let agree = |range: std::ops::Range<usize>| {
            let n = range.len() as f64;
            1.0 - range.filter(differs).count() as f64 / n
        };
        // The confidences of real models, as the tables use them: D_f, and everything.
        if set.members.len() >= 3_000 {
            let shares = [agree(0..set.forget.len()), agree(0..asked.len())];
            assert!(shares.iter().all(|s| *s >= 0.999), "{}: {shares:?}", set.name);
            real += 1;
        }
        // Whatever the data are, only points closer to the boundary than libsvm's tolerance can
        // tell may fall on the other side.
        for i in (0..asked.len()).filter(differs) {
            let distance = machine.decision(asked[i]).abs();
            assert!(distance < 0.01, "{}: {} at {distance}", set.name, asked[i]);
        }
    }
    assert_eq!((real, sets.len()), (6, 16));
}

#[test]
fn machines_without_two_kinds_of_numbers_are_refused() {
    assert_eq!(Svm::fit(&[], &[0.5], 3.0), None);
    assert_eq!(Svm::fit(&[0.5], &[], 3.0), None);
    assert_eq!(Svm::fit(&[f32::NAN], &[0.5], 3.0), None);
}
