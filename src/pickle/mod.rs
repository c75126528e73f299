//! Python's pickle, as far as PyTorch's files of tensors need it, and nothing beyond.
//!
//! A pickle is a program for a stack machine, and Python's own machine calls any function by name.
//! This one knows a fixed list of opcodes and of names and calls nothing: what any other name would
//! have made is a thing without a meaning ([`Thing`]).
//! Every opcode makes at most one object, objects are handles into flat lists (no nesting to
//! recurse into, no copies that grow), and there is a limit on how many there may be.

mod machine;

pub use machine::MOST;
use machine::Machine;

/// The reason why a file is refused.
pub type Reason = String;

/// Number format of a stored tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    F16,
    BF16,
    F32,
    F64,
    /// Whole numbers of so many bytes: counters, never weights.
    Whole(usize),
    /// What other files than pickles have.
    Other,
}

impl Format {
    /// Bytes of one number.
    pub fn size(self) -> usize {
        match self {
            Self::F16 | Self::BF16 => 2,
            Self::F32 => 4,
            Self::F64 => 8,
            Self::Whole(n) => n,
            Self::Other => 1,
        }
    }
}

/// A name that a pickle may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// `collections.OrderedDict`: state dictionaries.
    OrderedDict,
    /// `collections.defaultdict`: states of older optimisers.
    DefaultDict,
    /// `collections.Counter`: milestones of the scheduler in the official code's checkpoints.
    Counter,
    /// `torch._utils._rebuild_tensor_v2`.
    Tensor,
    /// `torch._utils._rebuild_parameter`.
    Parameter,
    /// `torch.Size`.
    Size,
    /// `torch.FloatStorage` and its like.
    Storage(Format),
}

/// The thing of a module that may be named so.
pub fn known(module: &str, name: &str) -> Option<Known> {
    Some(match (module, name) {
        ("collections", "OrderedDict") => Known::OrderedDict,
        ("collections", "Counter") => Known::Counter,
        ("torch._utils", "_rebuild_tensor_v2") => Known::Tensor,
        ("torch._utils", "_rebuild_parameter") => Known::Parameter,
        ("collections", "defaultdict") => Known::DefaultDict,
        ("torch", "Size") => Known::Size,
        ("torch", storage) => Known::Storage(match storage {
            "HalfStorage" => Format::F16,
            "BFloat16Storage" => Format::BF16,
            "FloatStorage" => Format::F32,
            "DoubleStorage" => Format::F64,
            "LongStorage" => Format::Whole(8),
            "IntStorage" => Format::Whole(4),
            "ShortStorage" => Format::Whole(2),
            "CharStorage" | "ByteStorage" | "BoolStorage" => Format::Whole(1),
            _ => return None,
        }),
        _ => return None,
    })
}

/// An object, or a handle to one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(&'a str),
    /// A tuple or list, by its place in [`Objects::lists`].
    List(usize),
    /// By its place in [`Objects::dicts`].
    Dict(usize),
    /// By its place in [`Objects::storages`].
    Storage(usize),
    /// By its place in [`Objects::tensors`].
    Tensor(usize),
    /// A function or type that is known.
    Name(Known),
    Bytes(&'a [u8]),
    /// What another function or type would have made, or it itself, by its place in
    /// [`Objects::things`].
    Thing(usize),
}

/// What a name that is not known would have made; nothing was called.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thing<'a> {
    pub module: &'a str,
    pub name: &'a str,
    /// Its attributes, or what it was filled with.
    pub state: Option<Value<'a>>,
}

/// Numbers in an entry of the archive.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Storage<'a> {
    pub kind: Format,
    /// The entry is `data/KEY`.
    pub key: &'a str,
    /// How many numbers.
    pub n: usize,
}

/// A view of a storage.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorRef<'a> {
    pub storage: Storage<'a>,
    pub offset: usize,
    pub shape: Vec<usize>,
    /// Numbers between neighbours along each axis.
    pub strides: Vec<usize>,
}

/// Everything that a pickle made.
#[derive(Debug, Default)]
pub struct Objects<'a> {
    pub lists: Vec<Vec<Value<'a>>>,
    pub dicts: Vec<Vec<(Value<'a>, Value<'a>)>>,
    pub storages: Vec<Storage<'a>>,
    pub tensors: Vec<TensorRef<'a>>,
    pub things: Vec<Thing<'a>>,
}

/// Runs a pickle of so many opcodes at the most to its end: what it made, and which of it is the result.
///
/// # Errors
/// It is cut off, uses an opcode that is not on the list, or makes too much; the reason as a text.
pub fn run(bytes: &[u8], most: usize) -> Result<(Objects<'_>, Value<'_>), Reason> {
    first(bytes, most).map(|(objects, result, _)| (objects, result))
}

/// The same of the first of several pickles, and the bytes after it.
///
/// # Errors
/// As [`run`].
pub fn first(bytes: &[u8], most: usize) -> Result<(Objects<'_>, Value<'_>, &[u8]), Reason> {
    Machine::new(bytes, most).run()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_of_anything_else_makes_a_thing_and_calls_nothing() {
        for (pickle, name) in [
            (
                &b"\x80\x02cos\nsystem\nX\x0d\x00\x00\x00touch /tmp/xyq\x00\x85R."[..],
                ("os", "system"),
            ),
            (b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93.", ("builtins", "eval")),
            (b"\x80\x02cnet\nNet\n)\x81}X\x01\x00\x00\x00wK\x01sb.", ("net", "Net")),
        ] {
            let (objects, result) = run(pickle, MOST).unwrap();
            let Value::Thing(thing) = result else { panic!("{result:?}") };
            assert_eq!((objects.things[thing].module, objects.things[thing].name), name);
        }
    }

    #[test]
    fn odd_programs_are_refused() {
        let tensor = |offset: &[u8], shape: &[u8], strides: &[u8]| {
            let storage = b"((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x06tQ";
            [b"ctorch._utils\n_rebuild_tensor_v2\n", &storage[..], offset, shape, strides, b"tR."]
                .concat()
        };
        let good = tensor(b"K\x00", b"K\x02K\x03\x86", b"K\x03K\x01\x86");
        assert!(matches!(run(&good, MOST), Ok((_, Value::Tensor(0)))));
        for (why, pickle) in [
            ("nothing", b"".to_vec()),
            ("empty stack", b".".to_vec()),
            ("pop below a mark", b"N(a.".to_vec()),
            ("mark without items", b"t.".to_vec()),
            ("unknown memo", b"h\x07.".to_vec()),
            ("endless text", b"X\xff\xff\xff\xffabc".to_vec()),
            ("endless name", b"cos".to_vec()),
            ("odd items", b"}(K\x01u.".to_vec()),
            ("attributes of a list", b"]}b.".to_vec()),
            ("beyond the storage", tensor(b"K\x01", b"K\x02K\x03\x86", b"K\x03K\x01\x86")),
            ("strides beyond it", tensor(b"K\x00", b"K\x02\x85", b"K\x06\x85")),
            ("a number many times", tensor(b"K\x00", b"M\xff\xff\x85", b"K\x00\x85")),
            (
                "an overflow",
                tensor(
                    b"K\x00",
                    b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7fK\x09\x86",
                    b"K\x09K\x09\x86",
                ),
            ),
            ("a negative size", tensor(b"K\x00", b"J\xff\xff\xff\xff\x85", b"K\x01\x85")),
            ("other axes", tensor(b"K\x00", b"K\x02\x85", b"K\x01K\x01\x86")),
            ("too many objects", vec![b'N'; 100_001]),
            ("deep lists", [vec![b']'; 9], vec![b'a'; 8], vec![b'a', b'.']].concat()),
        ] {
            assert!(run(&pickle, MOST).is_err(), "{why}");
        }
        // A list within itself is a handle in a list, no recursion.
        assert!(run(b"]q\x00h\x00a.", MOST).is_ok());
    }
}
