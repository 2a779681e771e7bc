//! The header of a `.npy` file: a magic number, a version, a length, and a Python dict as text.
//!
//! The dict is read by a parser that knows the three keys NumPy writes and nothing else: a parser of Python's literals in
//! general (the one below the `npyz` crate) takes time exponential in a header's brackets.

use std::io::{self, Read};

use crate::data::image::describe_start;
use crate::error::{Error, Result};

const MAGIC: &[u8] = b"\x93NUMPY";
/// The longest header text, in bytes: the same limit as NumPy's own (`max_header_size`).
const MAX_HEADER_BYTES: usize = 10_000;

/// What stands before numbers of kind `<f4`: [`array_header`].
pub(super) fn f32_header(shape: &[usize]) -> Vec<u8> {
    array_header("<f4", shape)
}

/// What stands before the numbers, padded so that they begin at a multiple of 64 bytes, as NumPy writes it.
pub fn array_header(descr: &str, shape: &[usize]) -> Vec<u8> {
    let sizes: Vec<String> = shape.iter().map(|size| size.to_string()).collect();
    // a tuple of one has a comma in Python
    let comma = if shape.len() == 1 { "," } else { "" };
    let dict = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({}{comma}), }}", sizes.join(", "));
    let start_bytes = MAGIC.len() + 4;
    let text_bytes = (start_bytes + dict.len() + 1).next_multiple_of(64) - start_bytes;
    let stored = u16::try_from(text_bytes).expect("no array has thousands of dimensions");
    let mut header = [MAGIC, &[1, 0], &stored.to_le_bytes()].concat();
    header.extend(format!("{dict:width$}\n", width = text_bytes - 1).as_bytes());
    header
}

/// The header's text, and how many bytes stand before the numbers.
pub(super) fn read_header_text(file: &mut dyn Read) -> Result<(String, u64)> {
    let cut_short = |error: io::Error| Error::data("the file ends inside the array's header").because(error);
    let mut start = Vec::new();
    file.take(8).read_to_end(&mut start).map_err(cut_short)?;
    let Some([major, _]) = start.strip_prefix(MAGIC) else {
        let error =
            Error::data("this is no .npy array").expected("the bytes 93 4e 55 4d 50 59").got(describe_start(&start));
        return Err(error.help("write one with numpy.save (numpy.savez writes another format)"));
    };
    // the length's own size grew from 2 to 4 bytes with version 2
    let length_bytes = match major {
        1 => 2,
        2 | 3 => 4,
        _ => return Err(Error::data("unknown version of the .npy format").expected("1, 2 or 3").got(major)),
    };
    let mut length = [0; 4];
    file.read_exact(&mut length[..length_bytes]).map_err(cut_short)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > MAX_HEADER_BYTES {
        let expected = format!("at most {MAX_HEADER_BYTES} bytes");
        return Err(Error::data("the array's header is too long").expected(expected).got(length));
    }
    let mut text = vec![0; length];
    file.read_exact(&mut text).map_err(cut_short)?;
    let text = String::from_utf8(text).map_err(|error| Error::data("the array's header is no text").because(error))?;
    Ok((text, (MAGIC.len() + 2 + length_bytes + length) as u64))
}

/// What the header's dict says, its types checked, its meaning not yet.
pub(super) struct NpyHeader<'a> {
    pub(super) descr: &'a str,
    pub(super) fortran_order: bool,
    pub(super) shape: Vec<usize>,
}

impl<'a> NpyHeader<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self> {
        if text.contains('[') {
            // NumPy writes a list for the fields of a structured array, and for nothing else
            return Err(wrong_kind("a structured array"));
        }
        Self::parse_dict(&mut Literal(text)).ok_or_else(|| {
            let expected = "{'descr': …, 'fortran_order': …, 'shape': …}";
            let got = text.chars().take(100).collect::<String>();
            Error::data("the array's header cannot be read").expected(expected).got(format!("{:?}", got.trim_end()))
        })
    }

    fn parse_dict(literal: &mut Literal<'a>) -> Option<Self> {
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        literal.token("{")?;
        while literal.token("}").is_none() {
            let key = literal.string()?;
            literal.token(":")?;
            match key {
                "descr" => descr = Some(literal.string()?),
                "fortran_order" => fortran_order = Some(literal.boolean()?),
                "shape" => shape = Some(literal.tuple()?),
                _ => return None,
            }
            literal.separator("}")?;
        }
        let end = literal.0.trim();
        Some(NpyHeader { descr: descr?, fortran_order: fortran_order?, shape: shape? }).filter(|_| end.is_empty())
    }
}

/// The rest of a text of Python literals. Each method takes what it returns off the front.
struct Literal<'a>(&'a str);

impl<'a> Literal<'a> {
    fn token(&mut self, token: &str) -> Option<()> {
        self.0 = self.0.trim_start().strip_prefix(token)?;
        Some(())
    }

    /// A comma, which may be missing before `end`.
    fn separator(&mut self, end: &str) -> Option<()> {
        self.token(",").or_else(|| self.0.trim_start().starts_with(end).then_some(()))
    }

    fn string(&mut self) -> Option<&'a str> {
        let quote = if self.token("'").is_some() { "'" } else { self.token("\"").map(|()| "\"")? };
        let (string, rest) = self.0.split_once(quote)?;
        self.0 = rest;
        Some(string)
    }

    fn boolean(&mut self) -> Option<bool> {
        self.token("True").map(|()| true).or_else(|| self.token("False").map(|()| false))
    }

    fn tuple(&mut self) -> Option<Vec<usize>> {
        let mut numbers = Vec::new();
        self.token("(")?;
        while self.token(")").is_none() {
            let text = self.0.trim_start();
            let (digits, rest) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
            numbers.push(digits.parse().ok()?);
            self.0 = rest;
            self.separator(")")?;
        }
        Some(numbers)
    }
}

pub(super) fn wrong_kind(got: &str) -> Error {
    Error::data("the array's kind cannot be used").expected("uint8, float32 or float64").got(got)
}

#[cfg(test)]
mod tests;
