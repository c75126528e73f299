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
