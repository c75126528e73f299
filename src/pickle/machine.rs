//! The stack machine of [`super::pickle`].

use std::collections::HashMap;

use super::{Known, Objects, Reason, Storage, TensorRef, Thing, Value, known};
use crate::error::ensure;

/// Most opcodes of a file: a Swin-T with its optimiser's state needs 25,000.
pub const MOST: usize = 100_000;
/// Longest text that a file may have.
const LONGEST: usize = 4096;
const UNFIT: &str = "calls a function with arguments that it does not take";

#[derive(Default)]
pub struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Value<'a>>,
    /// Heights of the stack at open marks.
    marks: Vec<usize>,
    memo: HashMap<usize, Value<'a>>,
    objects: Objects<'a>,
    made: usize,
    most: usize,
}

impl<'a> Machine<'a> {
    /// A machine before the first opcode.
    pub fn new(bytes: &'a [u8], most: usize) -> Self {
        Self { bytes, most, ..Self::default() }
    }

    /// Runs to the end: what was made, which of it is the result, and the bytes that follow.
    ///
    /// # Errors
    /// As [`super::run`].
    pub fn run(mut self) -> Result<(Objects<'a>, Value<'a>, &'a [u8]), Reason> {
        loop {
            if let Some(result) = self.step()? {
                return Ok((self.objects, result, &self.bytes[self.at..]));
            }
        }
    }

    /// One opcode; the result at the end.
    fn step(&mut self) -> Result<Option<Value<'a>>, Reason> {
        self.made += 1;
        ensure(self.made <= self.most, || format!("has more than {} opcodes", self.most))?;
        let opcode = self.take(1)?[0];
        if opcode == b'.' {
            return self.pop().map(Some);
        }
        match self.value(opcode)? {
            Some(value) => self.stack.push(value),
            None => self.change(opcode)?,
        }
        Ok(None)
    }

    /// The value that an opcode puts on the stack; `None` of one that puts none there.
    fn value(&mut self, opcode: u8) -> Result<Option<Value<'a>>, Reason> {
        Ok(Some(match opcode {
            b'N' => Value::None,
            0x88 => Value::Bool(true),
            0x89 => Value::Bool(false),
            b'K' => Value::Int(self.size(1)? as i64),
            b'M' => Value::Int(self.size(2)? as i64),
            b'J' => Value::Int(i32::from_le_bytes(self.array()?).into()),
            // LONG1, LONG4
            0x8a => self.long(1)?,
            0x8b => self.long(4)?,
            b'G' => Value::Float(f64::from_be_bytes(self.array()?)),
            // SHORT_BINUNICODE, BINUNICODE, BINUNICODE8
            0x8c => self.text(1)?,
            b'X' => self.text(4)?,
            0x8d => self.text(8)?,
            // Bytes and Python 2's strings, short and long.
            b'C' | b'U' => self.bytes(1)?,
            b'B' | b'T' => self.bytes(4)?,
            // BINBYTES8, BYTEARRAY8
            0x8e | 0x96 => self.bytes(8)?,
            b'}' => self.dict(),
            // A list, a tuple, a set.
            b']' | b')' | 0x8f => self.list(Vec::new()),
            // TUPLE, LIST, FROZENSET, TUPLE1 to TUPLE3
            b't' | b'l' | 0x91 | 0x85..=0x87 => {
                let items = self.items(opcode)?;
                self.list(items)
            }
            b'2' => {
                let value = self.pop()?;
                self.stack.push(value);
                value
            }
            b'h' => self.recall(1)?,
            b'j' => self.recall(4)?,
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.name(module, name)
            }
            // STACK_GLOBAL
            0x93 => match *self.items(opcode)? {
                [Value::Text(module), Value::Text(name)] => self.name(module, name),
                _ => return Err("names a thing by what is no text".into()),
            },
            b'R' => self.reduce()?,
            // NEWOBJ, NEWOBJ_EX
            0x81 => self.make()?,
            0x92 => {
                self.pop()?;
                self.make()?
            }
            b'Q' => self.persistent()?,
            _ => return Ok(None),
        }))
    }

    /// What an opcode does that puts no value on the stack.
    fn change(&mut self, opcode: u8) -> Result<(), Reason> {
        match opcode {
            // PROTO, FRAME: nothing to do.
            0x80 => drop(self.take(1)?),
            0x95 => drop(self.take(8)?),
            b'(' => self.marks.push(self.stack.len()),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.items(opcode)?),
            b'd' => {
                let items = self.items(opcode)?;
                let dict = self.dict();
                self.stack.push(dict);
                self.set(items)?;
            }
            b's' | b'u' => {
                let items = self.items(opcode)?;
                self.set(items)?;
            }
            // APPEND, APPENDS, ADDITEMS
            b'a' | b'e' | 0x90 => {
                let items = self.items(opcode)?;
                self.append(items)?;
            }
            b'q' => {
                let key = self.size(1)?;
                self.remember(key)?;
            }
            b'r' => {
                let key = self.size(4)?;
                self.remember(key)?;
            }
            // MEMOIZE
            0x94 => self.remember(self.memo.len())?,
            b'b' => self.build()?,
            other => return Err(format!("uses the opcode {other:#04x}, which no weights need")),
        }
        Ok(())
    }

    /// What an opcode takes off the stack: so many values, or those since the last mark.
    fn items(&mut self, opcode: u8) -> Result<Vec<Value<'a>>, Reason> {
        let n = match opcode {
            b'a' => 1,
            b's' | 0x93 => 2,
            0x85..=0x87 => opcode - 0x84,
            _ => {
                let mark = self.marks.pop().ok_or("closes what is not open")?;
                return Ok(self.stack.split_off(mark));
            }
        };
        let mut items = (0..n).map(|_| self.pop()).collect::<Result<Vec<_>, _>>()?;
        items.reverse();
        Ok(items)
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], Reason> {
        let end = self.at.checked_add(n).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or("its description of tensors is cut off")?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Reason> {
        self.take(N)?.try_into().map_err(|_| "its description of tensors is cut off".into())
    }

    /// An unsigned number of `width` bytes.
    fn size(&mut self, width: usize) -> Result<usize, Reason> {
        Ok(self.take(width)?.iter().rev().fold(0, |n, b| n << 8 | usize::from(*b)))
    }

    fn text(&mut self, width: usize) -> Result<Value<'a>, Reason> {
        let length = self.size(width)?;
        ensure(length <= LONGEST, || format!("has a text of more than {LONGEST} bytes"))?;
        let text = std::str::from_utf8(self.take(length)?).map_err(|_| "has a broken text")?;
        Ok(Value::Text(text))
    }

    fn bytes(&mut self, width: usize) -> Result<Value<'a>, Reason> {
        let length = self.size(width)?;
        self.take(length).map(Value::Bytes)
    }

    /// A number of any length; one of more than 64 bits is nobody's business here.
    fn long(&mut self, width: usize) -> Result<Value<'a>, Reason> {
        let length = self.size(width)?;
        Ok(long(self.take(length)?).map_or(Value::None, Value::Int))
    }

    fn line(&mut self) -> Result<&'a str, Reason> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().take(LONGEST).position(|b| *b == b'\n');
        let line = self.take(length.ok_or("has a name that does not end")?)?;
        self.take(1)?;
        std::str::from_utf8(line).map_err(|_| "has a broken name".into())
    }

    fn pop(&mut self) -> Result<Value<'a>, Reason> {
        let floor = self.marks.last().copied().unwrap_or(0);
        let above = if self.stack.len() > floor { self.stack.pop() } else { None };
        above.ok_or_else(|| "takes what is not there".into())
    }

    fn list(&mut self, items: Vec<Value<'a>>) -> Value<'a> {
        self.objects.lists.push(items);
        Value::List(self.objects.lists.len() - 1)
    }

    fn dict(&mut self) -> Value<'a> {
        self.objects.dicts.push(Vec::new());
        Value::Dict(self.objects.dicts.len() - 1)
    }

    fn append(&mut self, items: Vec<Value<'a>>) -> Result<(), Reason> {
        match self.stack.last() {
            Some(Value::List(list)) => self.objects.lists[*list].extend(items),
            // A kind of list of which no more is known.
            Some(Value::Thing(_)) => {}
            _ => return Err("appends to what is no list".into()),
        }
        Ok(())
    }

    fn set(&mut self, items: Vec<Value<'a>>) -> Result<(), Reason> {
        ensure(items.len().is_multiple_of(2), || "has a key without a value")?;
        match self.stack.last() {
            Some(Value::Dict(dict)) => {
                self.objects.dicts[*dict].extend(items.chunks_exact(2).map(|p| (p[0], p[1])));
            }
            // A kind of dictionary of which no more is known.
            Some(Value::Thing(_)) => {}
            _ => return Err("puts keys into what is no dictionary".into()),
        }
        Ok(())
    }

    fn remember(&mut self, key: usize) -> Result<(), Reason> {
        let value = *self.stack.last().ok_or("remembers what is not there")?;
        self.memo.insert(key, value);
        Ok(())
    }

    fn recall(&mut self, width: usize) -> Result<Value<'a>, Reason> {
        let key = self.size(width)?;
        self.memo.get(&key).copied().ok_or_else(|| "recalls what was not remembered".into())
    }

    fn name(&mut self, module: &'a str, name: &'a str) -> Value<'a> {
        let unknown = || self.thing(Thing { module, name, state: None });
        known(module, name).map_or_else(unknown, Value::Name)
    }

    fn thing(&mut self, thing: Thing<'a>) -> Value<'a> {
        self.objects.things.push(thing);
        Value::Thing(self.objects.things.len() - 1)
    }

    /// What a type that is not known would make.
    fn make(&mut self) -> Result<Value<'a>, Reason> {
        let (arguments, kind) = (self.pop()?, self.pop()?);
        match (kind, arguments) {
            (Value::Thing(kind), Value::List(_)) => Ok(self.thing(self.objects.things[kind])),
            (Value::Name(Known::OrderedDict | Known::DefaultDict | Known::Counter), _) => {
                Ok(self.dict())
            }
            _ => Err("makes what it has no type for".into()),
        }
    }

    /// What a call of a known name would give.
    fn reduce(&mut self) -> Result<Value<'a>, Reason> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let (arguments, function) = match (arguments, function) {
            (Value::List(arguments), Value::Name(function)) => (arguments, function),
            (Value::List(_), Value::Thing(function)) => {
                return Ok(self.thing(self.objects.things[function]));
            }
            _ => return Err("calls what is no function".into()),
        };
        // No function takes more of them.
        let arguments: Vec<_> = self.objects.lists[arguments].iter().take(8).copied().collect();
        match (function, &*arguments) {
            (Known::OrderedDict | Known::Counter, []) | (Known::DefaultDict, _) => Ok(self.dict()),
            (Known::Counter, [same @ Value::Dict(_)])
            | (Known::Size, [same @ Value::List(_)])
            | (Known::Parameter, [same @ Value::Tensor(_), ..]) => Ok(*same),
            (Known::Tensor, [Value::Storage(storage), Value::Int(offset), shape, strides, ..]) => {
                self.tensor(*storage, *offset, *shape, *strides)
            }
            _ => Err(UNFIT.into()),
        }
    }

    fn tensor(
        &mut self,
        storage: usize,
        offset: i64,
        shape: Value<'a>,
        strides: Value<'a>,
    ) -> Result<Value<'a>, Reason> {
        let (Value::List(shape), Value::List(strides)) = (shape, strides) else {
            return Err(UNFIT.into());
        };
        let sizes = |list: usize| -> Result<Vec<usize>, Reason> {
            let size = |v: &Value| match v {
                Value::Int(n) => usize::try_from(*n).ok(),
                _ => None,
            };
            let sizes: Option<Vec<_>> = self.objects.lists[list].iter().map(size).collect();
            sizes.ok_or_else(|| "has a tensor whose shape is not one of numbers from 0".into())
        };
        let (shape, strides) = (sizes(shape)?, sizes(strides)?);
        let storage = self.objects.storages[storage];
        let last = || -> Option<usize> {
            let mut last = usize::try_from(offset).ok()?;
            let mut n = 1usize;
            for (size, stride) in shape.iter().zip(&strides) {
                n = n.checked_mul(*size)?;
                last = last.checked_add(size.saturating_sub(1).checked_mul(*stride)?)?;
            }
            // No number twice: a few bytes must not stand for many.
            (n <= storage.n).then_some(if n == 0 { 0 } else { last.checked_add(1)? })
        };
        let fit = shape.len() == strides.len() && shape.len() <= 8;
        ensure(fit, || "has a tensor whose shape and strides do not fit together")?;
        let (within, n) = (last().is_some_and(|end| end <= storage.n), storage.n);
        let beyond =
            || format!("has a tensor of shape {shape:?} that goes beyond its storage of {n}");
        ensure(within, beyond)?;
        self.objects.tensors.push(TensorRef { storage, offset: offset as usize, shape, strides });
        Ok(Value::Tensor(self.objects.tensors.len() - 1))
    }

    /// Attributes of an object: those of state dictionaries (`_metadata`) and of tensors nobody needs.
    fn build(&mut self) -> Result<(), Reason> {
        let state = self.pop()?;
        match self.stack.last() {
            Some(Value::Dict(_) | Value::Tensor(_)) => Ok(()),
            Some(Value::Thing(thing)) => {
                self.objects.things[*thing].state = Some(state);
                Ok(())
            }
            _ => Err("sets attributes of what has none".into()),
        }
    }

    /// `('storage', torch.FloatStorage, '0', 'cpu', 432)`; before 2020 with None behind it.
    fn persistent(&mut self) -> Result<Value<'a>, Reason> {
        let Value::List(id) = self.pop()? else {
            return Err("has a storage that is not described".into());
        };
        match *self.objects.lists[id] {
            [
                Value::Text("storage"),
                Value::Name(Known::Storage(kind)),
                Value::Text(key),
                Value::Text(_),
                Value::Int(n),
            ]
            | [
                Value::Text("storage"),
                Value::Name(Known::Storage(kind)),
                Value::Text(key),
                Value::Text(_),
                Value::Int(n),
                Value::None,
            ] => {
                let n = usize::try_from(n).map_err(|_| "has a storage of negative length")?;
                self.objects.storages.push(Storage { kind, key, n });
                Ok(Value::Storage(self.objects.storages.len() - 1))
            }
            [_, Value::Thing(kind), ..] => {
                let Thing { module, name, .. } = self.objects.things[kind];
                let short: String = format!("{module}.{name}").escape_default().take(80).collect();
                Err(format!("has a storage of '{short}', which is not known here"))
            }
            _ => Err("has a storage that is not described as PyTorch does".into()),
        }
    }
}

/// A little-endian number in two's complement of at most eight bytes.
fn long(bytes: &[u8]) -> Option<i64> {
    let negative = bytes.last().is_some_and(|b| b & 0x80 != 0);
    let mut wide = [if negative { 0xff } else { 0 }; 8];
    wide.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(i64::from_le_bytes(wide))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_all_lengths_are_read() {
        for (bytes, n) in [(&[][..], 0), (&[0xff], -1), (&[0, 1], 256), (&[0x80, 0], 128)] {
            assert_eq!(long(bytes), Some(n));
        }
        assert_eq!(long(&[1; 9]), None);
    }
}
