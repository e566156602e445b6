//! Python's pickles, as far as checkpoints need them: values are built, and nothing is ever called.
//!
//! Values lie side by side and name each other by number. candle's reader, whose table of codes this uses, copies what
//! is named twice and climbs into what is nested, so that a small file can fill the memory or the stack.

use std::collections::HashMap;

use candle_core::pickle::OpCode;

use super::cursor::Cursor;
use crate::error::{Error, Result};

/// A value's number.
pub(super) type Id = usize;

#[derive(Debug)]
pub(super) enum Value {
    Int(i64),
    Text(String),
    /// Module and name.
    Class(String, String),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// What a class would be called with.
    Call {
        callable: Id,
        args: Id,
    },
    /// Something outside the pickle, by its key.
    Persistent(Id),
    /// What no tensor is made of.
    Other,
}

/// Everything in a pickle.
#[derive(Default)]
pub(super) struct Values {
    values: Vec<Value>,
    stack: Vec<Id>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

impl Values {
    /// Reads a pickle; gives its values and the number of the one it is.
    pub(super) fn read(bytes: &[u8]) -> Result<(Self, Id)> {
        let mut values = Self::default();
        let mut file = Cursor::new(bytes);
        while values.step(&mut file)? {}
        let root = values.pop()?;
        Ok((values, root))
    }

    pub(super) fn get(&self, id: Id) -> &Value {
        &self.values[id]
    }

    pub(super) fn text(&self, id: Id) -> Option<&str> {
        match self.get(id) {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A number that is not negative.
    pub(super) fn size(&self, id: Id) -> Option<usize> {
        match self.get(id) {
            Value::Int(n) => usize::try_from(*n).ok(),
            _ => None,
        }
    }

    pub(super) fn tuple(&self, id: Id) -> Option<&[Id]> {
        match self.get(id) {
            Value::Tuple(items) => Some(items),
            _ => None,
        }
    }

    pub(super) fn dict(&self, id: Id) -> Option<&[(Id, Id)]> {
        match self.get(id) {
            Value::Dict(items) => Some(items),
            _ => None,
        }
    }

    /// What `key` stands for in a dictionary.
    pub(super) fn item(&self, dict: Id, key: &str) -> Option<Id> {
        let mut items = self.dict(dict)?.iter();
        items.find(|(name, _)| self.text(*name) == Some(key)).map(|(_, value)| *value)
    }

    /// One code of the pickle; false at its end.
    fn step(&mut self, file: &mut Cursor<'_>) -> Result<bool> {
        let code = file.u8()?;
        let code = OpCode::try_from(code).map_err(|code| {
            Error::Weights(format!("the pickle has the code 0x{code:02x}, which is unknown"))
        })?;
        match code {
            OpCode::Stop => return Ok(false),
            OpCode::Proto => drop(file.u8()?),
            OpCode::Mark => self.marks.push(self.stack.len()),
            OpCode::BinPut => self.put(u32::from(file.u8()?))?,
            OpCode::LongBinPut => self.put(file.u32()?)?,
            OpCode::BinGet => self.recall(u32::from(file.u8()?))?,
            OpCode::LongBinGet => self.recall(file.u32()?)?,
            OpCode::Append | OpCode::Appends => {
                let items = if code == OpCode::Append { vec![self.pop()?] } else { self.pop_to_mark()? };
                match self.last()? {
                    Value::List(list) => list.extend(items),
                    _ => return Err(damaged()),
                }
            }
            OpCode::SetItem | OpCode::SetItems => {
                let items = if code == OpCode::SetItem { self.pop_n(2)? } else { self.pop_to_mark()? };
                match self.last()? {
                    Value::Dict(dict) => dict.extend(pairs(&items)),
                    _ => return Err(damaged()),
                }
            }
            // The attributes of a dictionary are not its items.
            OpCode::Build => drop(self.pop()?),
            _ => {
                let value = self.value(code, file)?;
                self.push(value);
            }
        }
        Ok(true)
    }

    /// The value that a code puts on the stack.
    fn value(&mut self, code: OpCode, file: &mut Cursor<'_>) -> Result<Value> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(match code {
            OpCode::BinInt1 => Value::Int(file.u8()?.into()),
            OpCode::BinInt2 => Value::Int(file.u16()?.into()),
            OpCode::BinInt => Value::Int((file.u32()? as i32).into()),
            OpCode::Long1 => Value::Int(long(file)?),
            OpCode::BinFloat => {
                file.skip(8)?;
                Value::Other
            }
            OpCode::BinUnicode => {
                let n = file.len32()?;
                Value::Text(text(file.take(n)?))
            }
            OpCode::Global => Value::Class(text(file.take_until(b'\n')?), text(file.take_until(b'\n')?)),
            OpCode::EmptyTuple => Value::Tuple(Vec::new()),
            OpCode::Tuple1 => Value::Tuple(self.pop_n(1)?),
            OpCode::Tuple2 => Value::Tuple(self.pop_n(2)?),
            OpCode::Tuple3 => Value::Tuple(self.pop_n(3)?),
            OpCode::Tuple => Value::Tuple(self.pop_to_mark()?),
            OpCode::EmptyList => Value::List(Vec::new()),
            OpCode::EmptyDict => Value::Dict(Vec::new()),
            OpCode::Dict => Value::Dict(pairs(&self.pop_to_mark()?).collect()),
            OpCode::BinPersId => Value::Persistent(self.pop()?),
            OpCode::Reduce | OpCode::NewObj => {
                let (args, callable) = (self.pop()?, self.pop()?);
                match self.get(callable) {
                    Value::Class(module, name) if module == "collections" && name.ends_with("Dict") => {
                        Value::Dict(Vec::new())
                    }
                    _ => Value::Call { callable, args },
                }
            }
            // True, False and None.
            _ => Value::Other,
        })
    }

    fn push(&mut self, value: Value) {
        self.stack.push(self.values.len());
        self.values.push(value);
    }

    fn pop(&mut self) -> Result<Id> {
        self.stack.pop().ok_or_else(damaged)
    }

    fn pop_n(&mut self, n: usize) -> Result<Vec<Id>> {
        let rest = self.stack.len().checked_sub(n).ok_or_else(damaged)?;
        Ok(self.stack.split_off(rest))
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>> {
        let height = self.marks.pop().filter(|&height| height <= self.stack.len()).ok_or_else(damaged)?;
        Ok(self.stack.split_off(height))
    }

    fn last(&mut self) -> Result<&mut Value> {
        let id = *self.stack.last().ok_or_else(damaged)?;
        Ok(&mut self.values[id])
    }

    fn put(&mut self, key: u32) -> Result<()> {
        let id = *self.stack.last().ok_or_else(damaged)?;
        self.memo.insert(key, id);
        Ok(())
    }

    fn recall(&mut self, key: u32) -> Result<()> {
        self.stack.push(*self.memo.get(&key).ok_or_else(damaged)?);
        Ok(())
    }
}

fn pairs(items: &[Id]) -> impl Iterator<Item = (Id, Id)> {
    items.chunks_exact(2).map(|pair| (pair[0], pair[1]))
}

/// Two's complement of as many bytes as the first one says; up to 8 are a size.
fn long(file: &mut Cursor<'_>) -> Result<i64> {
    let n = usize::from(file.u8()?);
    let bytes = file.take(n)?;
    let Some(&top) = bytes.last() else { return Ok(0) };
    let mut wide = if top < 0x80 { [0; 8] } else { [0xff; 8] };
    wide.get_mut(..n).ok_or_else(damaged)?.copy_from_slice(bytes);
    Ok(i64::from_le_bytes(wide))
}

fn damaged() -> Error {
    Error::Weights("the checkpoint's pickle is damaged".into())
}
