//! Messages as bytes, for an engine in another place than its client.
//!
//! MessagePack with names: what the files' formats leave out where it is empty, or tell apart by a
//! tag, reads back here, too.

use std::io::{Read, Write};

use flate2::{Compression, read::ZlibDecoder, write::ZlibEncoder};
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

/// A message's bytes, deflated.
///
/// # Errors
/// A value has no such form.
pub fn deflate<T: Serialize>(message: &T) -> Result<Vec<u8>> {
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::best());
    zlib.write_all(&pack(message)?).and_then(|()| zlib.finish()).map_err(broken)
}

/// The message in deflated bytes.
///
/// # Errors
/// They are not one of this kind.
pub fn inflate<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let mut message = Vec::new();
    ZlibDecoder::new(bytes).read_to_end(&mut message).map_err(broken)?;
    unpack(&message)
}

fn broken(error: impl std::fmt::Display) -> Error {
    Error::Request(format!("the studio and its engine do not understand each other: {error}"))
}

/// Long vectors of numbers as the bytes that they are: `#[serde(with = "crate::wire::numbers")]`.
pub mod numbers {
    use std::{marker::PhantomData, ops::Deref};

    use bytemuck::Pod;
    use serde::{
        Deserializer, Serializer,
        de::{Error, Visitor},
    };

    /// Writes numbers as bytes.
    ///
    /// # Errors
    /// The format takes no bytes.
    pub fn serialize<V, T, S>(values: &V, to: S) -> Result<S::Ok, S::Error>
    where
        V: Deref<Target = [T]>,
        T: Pod,
        S: Serializer,
    {
        to.serialize_bytes(bytemuck::cast_slice(values))
    }

    /// Reads numbers from bytes.
    ///
    /// # Errors
    /// There are none, or they are not whole numbers of the type.
    pub fn deserialize<'de, V, T, D>(from: D) -> Result<V, D::Error>
    where
        V: Deref<Target = [T]> + From<Vec<T>>,
        T: Pod,
        D: Deserializer<'de>,
    {
        from.deserialize_bytes(Bytes(PhantomData))
    }

    struct Bytes<V>(PhantomData<V>);

    impl<V: Deref<Target = [T]> + From<Vec<T>>, T: Pod> Visitor<'_> for Bytes<V> {
        type Value = V;

        fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
            f.write_str("the bytes of numbers")
        }

        fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<V, E> {
            if !bytes.len().is_multiple_of(size_of::<T>()) {
                return Err(E::invalid_length(bytes.len(), &self));
            }
            Ok(bytemuck::pod_collect_to_vec(bytes).into())
        }
    }
}
