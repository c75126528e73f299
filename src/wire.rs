//! Messages as bytes, for an engine in another place than its client.
//!
//! MessagePack with names: what the files' formats leave out where it is empty, or tell apart by a
//! tag, reads back here, too.

use serde::{Serialize, de::DeserializeOwned};

use crate::error::{Error, Result};

/// A message's bytes.
///
/// # Errors
/// A value has no such form.
pub fn pack<T: Serialize>(message: &T) -> Result<Vec<u8>> {
    rmp_serde::to_vec_named(message).map_err(broken)
}

/// The message in these bytes.
///
/// # Errors
/// They are not one of this kind.
pub fn unpack<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    rmp_serde::from_slice(bytes).map_err(broken)
}

fn broken(error: impl std::fmt::Display) -> Error {
    Error::Request(format!("the studio and its engine do not understand each other: {error}"))
}

/// Long vectors of numbers as the bytes that they are: `#[serde(with = "crate::wire::numbers")]`.
pub mod numbers {
    use std::{marker::PhantomData, sync::Arc};

    use bytemuck::Pod;
    use serde::{
        Deserializer, Serializer,
        de::{Error, Visitor},
    };

    /// What holds them.
    pub trait Numbers {
        type One: Pod;
        fn all(&self) -> &[Self::One];
        fn of(values: Vec<Self::One>) -> Self;
    }

    impl<T: Pod> Numbers for Vec<T> {
        type One = T;
        fn all(&self) -> &[T] {
            self
        }
        fn of(values: Vec<T>) -> Self {
            values
        }
    }

    impl<T: Pod> Numbers for Arc<[T]> {
        type One = T;
        fn all(&self) -> &[T] {
            self
        }
        fn of(values: Vec<T>) -> Self {
            values.into()
        }
    }

    pub fn serialize<V: Numbers, S: Serializer>(values: &V, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(bytemuck::cast_slice(values.all()))
    }

    pub fn deserialize<'de, V: Numbers, D: Deserializer<'de>>(from: D) -> Result<V, D::Error> {
        from.deserialize_bytes(Bytes(PhantomData))
    }

    struct Bytes<V>(PhantomData<V>);

    impl<V: Numbers> Visitor<'_> for Bytes<V> {
        type Value = V;

        fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
            f.write_str("the bytes of numbers")
        }

        fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<V, E> {
            if !bytes.len().is_multiple_of(size_of::<V::One>()) {
                return Err(E::invalid_length(bytes.len(), &self));
            }
            Ok(V::of(bytemuck::pod_collect_to_vec(bytes)))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        engine::job::{Command, Event, Job, Outcome},
        models::registry,
        run::recipe::{Recipe, Redirect},
        saliency::{estimator::Estimator, ranking::Ranking},
    };

    fn there_and_back<T: Serialize + DeserializeOwned>(message: &T) -> T {
        unpack(&pack(message).unwrap()).unwrap()
    }

    #[test]
    fn a_command_arrives_as_it_was_sent() {
        let recipe = Recipe {
            redirect: Redirect::Class("Bag".into()),
            mask: Some(Estimator::Random),
            lr: Some(0.1),
            ..Recipe::new("fashion-ddpm", "fashion-mnist", "class:Sneaker")
        };
        let sent = Command::Start { id: 7, job: Box::new(Job::Unlearn(recipe.clone())) };
        let Command::Start { id: 7, job } = there_and_back(&sent) else {
            panic!("another command")
        };
        assert!(matches!(*job, Job::Unlearn(arrived) if arrived == recipe));
        assert!(matches!(there_and_back(&Command::Pause(true)), Command::Pause(true)));
    }

    #[test]
    fn a_model_and_its_scores_arrive_bit_for_bit() {
        for shipped in ["fashion-classifier", "fashion-ddpm"] {
            let model = registry::open(shipped).unwrap();
            let event = Event::Done { id: 1, outcome: Outcome::Trained(Arc::new(model.clone())) };
            let Event::Done { outcome: Outcome::Trained(arrived), .. } = there_and_back(&event)
            else {
                panic!("another event")
            };
            assert_eq!(arrived.card, model.card);
            assert_eq!(arrived.weights.hash(), model.weights.hash());
            assert_eq!(arrived.unet().is_some(), model.unet().is_some());

            let ranking = Ranking::random(model.weights.layout.clone(), "class:0", 1);
            let mask = ranking.mask(0.0).unwrap();
            let arrived: Ranking = there_and_back(&ranking);
            assert_eq!(arrived.scores, ranking.scores);
            assert_eq!(arrived.mask(0.5).unwrap().hash(), ranking.mask(0.5).unwrap().hash());
            // Its threshold is infinite.
            assert_eq!(there_and_back(&mask).threshold.to_bits(), mask.threshold.to_bits());
        }
    }

    #[test]
    fn failures_keep_their_words_and_broken_bytes_are_refused() {
        let error = Error::argument("density", 2.0, "a share from 0 to 1 is needed");
        let failed = Event::Failed { id: 3, error: error.clone() };
        let Event::Failed { error: arrived, .. } = there_and_back(&failed) else {
            panic!("another event")
        };
        assert_eq!(arrived.to_string(), error.to_string());
        let bytes = pack(&failed).unwrap();
        for n in 0..bytes.len() {
            assert!(unpack::<Event>(&bytes[..n]).is_err());
        }
    }
}
