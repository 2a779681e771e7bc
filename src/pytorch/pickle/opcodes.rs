//! Pickle's instructions (Python's `pickletools`), those that `torch.save` writes.

use std::collections::HashMap;

use super::super::storage::ElementKind;
use super::machine::{Machine, Name, Object, Place, not_understood};
use crate::error::{Error, Result};

/// The longest text, in bytes.
const MAX_TEXT_BYTES: usize = 1 << 20;
/// The most instructions.
const MAX_STEPS: usize = 32_000_000;

/// Runs the pickle that `input` begins with, and takes it off.
///
/// # Errors
/// A model error that says what in it is not understood, or that it is cut off.
pub(in super::super) fn run(input: &mut &[u8]) -> Result<Machine> {
    let mut run =
        Run { input, machine: Machine::default(), stack: Vec::new(), marks: Vec::new(), memo: HashMap::new() };
    for _ in 0..MAX_STEPS {
        if !run.step()? {
            *input = run.input;
            return Ok(run.machine);
        }
    }
    Err(Error::model("the pickle is too long").expected(format!("at most {MAX_STEPS} instructions")))
}

struct Run<'a> {
    input: &'a [u8],
    machine: Machine,
    stack: Vec<Place>,
    /// How long the stack was at each mark.
    marks: Vec<usize>,
    memo: HashMap<u32, Place>,
}

impl<'a> Run<'a> {
    /// One instruction; false after the last one.
    fn step(&mut self) -> Result<bool> {
        match self.byte()? {
            b'.' => {
                self.machine.result = self.pop()?;
                return Ok(false);
            }
            0x80 => drop(self.byte()?),  // PROTO
            0x95 => drop(self.take(8)?), // FRAME
            b'(' => self.marks.push(self.stack.len()),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.pop_mark()?),
            b'q' => self.put::<1>()?,
            b'r' => self.put::<4>()?,
            0x94 => self.memoize(self.memo.len())?,
            b'h' => self.get::<1>()?,
            b'j' => self.get::<4>()?,
            b'a' => {
                let item = self.pop()?;
                self.append(vec![item])?;
            }
            b'e' => {
                let items = self.pop_mark()?;
                self.append(items)?;
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set(&[key, value])?;
            }
            b'u' => {
                let items = self.pop_mark()?;
                self.set(&items)?;
            }
            b'b' => self.build()?,
            other => {
                let made = self.made(other)?;
                self.push(made)?;
            }
        }
        Ok(true)
    }

    /// What an instruction makes that puts an object on the stack.
    fn made(&mut self, instruction: u8) -> Result<Object> {
        Ok(match instruction {
            b'N' => Object::None,
            0x88 => Object::Bool(true),
            0x89 => Object::Bool(false),
            b'}' => Object::Dict(Vec::new()),
            b']' => Object::List(Vec::new()),
            b')' => Object::Tuple(Vec::new()),
            b'J' => Object::Integer(i64::from(i32::from_le_bytes(self.array()?))),
            b'K' => Object::Integer(i64::from(self.byte()?)),
            b'M' => Object::Integer(i64::from(u16::from_le_bytes(self.array()?))),
            0x8a => self.long()?,
            b'G' => self.array::<8>().map(|_| Object::Float)?,
            b'X' | b'T' => self.text::<4>()?,
            0x8c | b'U' => self.text::<1>()?,
            b'B' => self.bytes::<4>()?,
            b'C' => self.bytes::<1>()?,
            b't' => Object::Tuple(self.pop_mark()?),
            0x85 => self.tuple(1)?,
            0x86 => self.tuple(2)?,
            0x87 => self.tuple(3)?,
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                find(&module, &name)?
            }
            0x93 => {
                let (name, module) = (self.pop_text()?, self.pop_text()?);
                find(&module, &name)?
            }
            b'R' => {
                let (arguments, callable) = (self.pop()?, self.pop()?);
                self.machine.call(callable, arguments)?
            }
            b'Q' => {
                let identifier = self.pop()?;
                self.machine.storage(identifier)?
            }
            other => return Err(not_understood(&format!("the instruction 0x{other:02x}"))),
        })
    }

    /// An object's attributes: of a dict those that PyTorch hangs on it (`_metadata`), which say nothing of tensors.
    fn build(&mut self) -> Result<()> {
        self.pop()?;
        let object = *self.stack.last().ok_or_else(damaged)?;
        match self.machine.object(object) {
            Object::Dict(_) | Object::Tensor(_) => Ok(()),
            _ => Err(not_understood("an object with attributes")),
        }
    }

    fn push(&mut self, object: Object) -> Result<()> {
        let place = self.machine.add(object)?;
        self.stack.push(place);
        Ok(())
    }

    fn pop(&mut self) -> Result<Place> {
        // not below a mark
        if self.marks.last().is_some_and(|mark| self.stack.len() <= *mark) {
            return Err(damaged());
        }
        self.stack.pop().ok_or_else(damaged)
    }

    fn pop_mark(&mut self) -> Result<Vec<Place>> {
        let mark = self.marks.pop().ok_or_else(damaged)?;
        Ok(self.stack.split_off(mark.min(self.stack.len())))
    }

    fn pop_text(&mut self) -> Result<String> {
        let place = self.pop()?;
        match self.machine.object(place) {
            Object::Text(text) => Ok(text.clone()),
            _ => Err(damaged()),
        }
    }

    fn tuple(&mut self, count: usize) -> Result<Object> {
        let mut items = (0..count).map(|_| self.pop()).collect::<Result<Vec<Place>>>()?;
        items.reverse();
        Ok(Object::Tuple(items))
    }

    fn append(&mut self, items: Vec<Place>) -> Result<()> {
        let list = *self.stack.last().ok_or_else(damaged)?;
        match &mut self.machine.objects[list] {
            Object::List(own) => own.extend(items),
            _ => return Err(damaged()),
        }
        Ok(())
    }

    fn set(&mut self, items: &[Place]) -> Result<()> {
        let dict = *self.stack.last().ok_or_else(damaged)?;
        let (pairs, rest) = items.as_chunks::<2>();
        match &mut self.machine.objects[dict] {
            Object::Dict(own) if rest.is_empty() => own.extend(pairs.iter().map(|[key, value]| (*key, *value))),
            _ => return Err(damaged()),
        }
        Ok(())
    }

    fn put<const N: usize>(&mut self) -> Result<()> {
        let number = self.length::<N>()?;
        self.memoize(number)
    }

    fn memoize(&mut self, number: usize) -> Result<()> {
        let place = *self.stack.last().ok_or_else(damaged)?;
        self.memo.insert(u32::try_from(number).map_err(|_| damaged())?, place);
        Ok(())
    }

    fn get<const N: usize>(&mut self) -> Result<()> {
        let number = self.length::<N>()?;
        let place = u32::try_from(number).ok().and_then(|number| self.memo.get(&number)).ok_or_else(damaged)?;
        self.stack.push(*place);
        Ok(())
    }

    /// LONG1: little endian, with a sign.
    fn long(&mut self) -> Result<Object> {
        let length = self.length::<1>()?;
        let digits = self.take(length)?;
        Ok(match digits.len() {
            0..=8 => {
                let fill = if digits.last().is_some_and(|last| last & 0x80 != 0) { 0xff } else { 0 };
                let mut bytes = [fill; 8];
                bytes[..digits.len()].copy_from_slice(digits);
                Object::Integer(i64::from_le_bytes(bytes))
            }
            _ => Object::LongInteger(digits.to_vec()),
        })
    }

    fn text<const N: usize>(&mut self) -> Result<Object> {
        let length = self.length::<N>()?;
        let bytes = self.take(length)?;
        let text = std::str::from_utf8(bytes).ok().filter(|text| text.len() <= MAX_TEXT_BYTES).ok_or_else(damaged)?;
        Ok(Object::Text(text.to_owned()))
    }

    fn bytes<const N: usize>(&mut self) -> Result<Object> {
        let length = self.length::<N>()?;
        self.take(length)?;
        Ok(Object::Bytes)
    }

    /// A text up to the line's end.
    fn line(&mut self) -> Result<String> {
        let end = self.input.iter().take(MAX_TEXT_BYTES).position(|&byte| byte == b'\n').ok_or_else(damaged)?;
        let line = self.take(end)?;
        let line = std::str::from_utf8(line).map_err(|_| damaged())?.to_owned();
        self.byte()?;
        Ok(line)
    }

    fn length<const N: usize>(&mut self) -> Result<usize> {
        let mut bytes = [0; 8];
        bytes[..N].copy_from_slice(&self.array::<N>()?);
        usize::try_from(u64::from_le_bytes(bytes)).map_err(|_| damaged())
    }

    fn byte(&mut self) -> Result<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (bytes, rest) = self.input.split_first_chunk::<N>().ok_or_else(damaged)?;
        self.input = rest;
        Ok(*bytes)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (bytes, rest) = self.input.split_at_checked(count).ok_or_else(damaged)?;
        self.input = rest;
        Ok(bytes)
    }
}

/// What the file asks Python for.
fn find(module: &str, name: &str) -> Result<Object> {
    let storage = || ElementKind::of_storage(name).map(Name::StorageOf);
    let known = match (module, name) {
        ("collections", "OrderedDict") => Some(Name::OrderedDict),
        ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Some(Name::RebuildTensor),
        ("torch._utils", "_rebuild_parameter") => Some(Name::RebuildParameter),
        ("torch" | "torch.storage" | "torch.cuda", _) => storage(),
        _ => None,
    };
    known.map(Object::Name).ok_or_else(|| {
        Error::model("the file holds Python beside tensors, which is not run")
            .got(format!("{module}.{name}"))
            .help("save the weights alone: torch.save(model.state_dict(), \"weights.pth\")")
    })
}

fn damaged() -> Error {
    Error::model("the file's pickle is damaged or cut off").help("copy or download the file again")
}
