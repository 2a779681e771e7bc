//! The header of a page, as far as sizes are to be checked before anything is unpacked.
//!
//! It is a struct of Thrift's compact protocol; the numbers of fields and kinds are those of `parquet.thrift` in Apache's
//! parquet-format.

/// What a page holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PageKind {
    /// Values, after their levels, all packed together.
    Data,
    /// Values whose levels lie before what is packed.
    DataV2,
    /// The values that data pages name by number.
    Dictionary,
    /// Nothing that is needed.
    Index,
}

/// What a page's header says. Nothing of it is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PageHeader {
    pub kind: PageKind,
    /// Bytes of the page as it is unpacked, with its levels.
    pub unpacked_bytes: i64,
    /// Bytes of the page as it lies in the file.
    pub packed_bytes: i64,
    /// How many values it has, nulls among them.
    pub num_values: i64,
    /// The values' encoding, by its number.
    pub encoding: i64,
    /// Bytes of levels before what is packed: 0 but for [`PageKind::DataV2`].
    pub level_bytes: i64,
    /// Whether the rest is packed, in a column that is.
    pub is_packed: bool,
}

/// How deep structs and lists may lie in each other in what is passed over.
const MAX_DEPTH: usize = 8;

/// The field of a second-form data page's header that says whether its values are packed.
const IS_COMPRESSED: i64 = 7;

/// Kinds of a field's value.
const TRUE: u8 = 1;
const FALSE: u8 = 2;
const BYTE: u8 = 3;
const I16: u8 = 4;
const I32: u8 = 5;
const I64: u8 = 6;
const DOUBLE: u8 = 7;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const SET: u8 = 10;
const STRUCT: u8 = 12;

/// The header that `bytes` begin with, and its length in bytes; `None` where they are too few, or no header.
pub(super) fn read(bytes: &[u8]) -> Option<(PageHeader, usize)> {
    let mut reader = Reader { bytes, at: 0 };
    let (mut kind, mut sizes, mut inner) = (None, [None; 2], [None; 3]);
    let mut is_packed = true;
    reader.fields(&mut |reader, id, value| {
        match (id, value) {
            (1, I32) => kind = Some(reader.integer()?),
            (2 | 3, I32) => sizes[id as usize - 2] = Some(reader.integer()?),
            (5, STRUCT) => inner[0] = Some(reader.values_header(2, None)?),
            (7, STRUCT) => inner[1] = Some(reader.values_header(2, None)?),
            (8, STRUCT) => inner[2] = Some(reader.values_header(4, Some((&[5, 6], &mut is_packed)))?),
            _ => reader.skip(value, 0)?,
        }
        Some(())
    })?;
    let [unpacked_bytes, packed_bytes] = [sizes[0]?, sizes[1]?];
    let (kind, [num_values, encoding, level_bytes]) = match kind? {
        0 => (PageKind::Data, inner[0]?),
        1 => (PageKind::Index, [0; 3]),
        2 => (PageKind::Dictionary, inner[1]?),
        3 => (PageKind::DataV2, inner[2]?),
        _ => return None,
    };
    Some((PageHeader { kind, unpacked_bytes, packed_bytes, num_values, encoding, level_bytes, is_packed }, reader.at))
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    /// The number of values, the encoding and the bytes of levels of an inner header. `encoding` is its field; `v2` has the
    /// fields of bytes of levels, and takes whether the rest is packed.
    fn values_header(&mut self, encoding: i64, mut v2: Option<(&[i64], &mut bool)>) -> Option<[i64; 3]> {
        let (mut num_values, mut found, mut level_bytes) = (None, None, 0_i64);
        self.fields(&mut |reader, id, value| {
            match value {
                I32 if id == 1 => num_values = Some(reader.integer()?),
                I32 if id == encoding => found = Some(reader.integer()?),
                _ => match &mut v2 {
                    Some((levels, _)) if value == I32 && levels.contains(&id) => {
                        level_bytes = level_bytes.checked_add(reader.integer()?)?;
                    }
                    Some((_, is_packed)) if value == FALSE && id == IS_COMPRESSED => **is_packed = false,
                    Some(_) | None => reader.skip(value, 0)?,
                },
            }
            Some(())
        })?;
        Some([num_values?, found?, level_bytes])
    }

    /// Calls `visit` with the number and the kind of each field of a struct, to read or to skip its value.
    fn fields(&mut self, visit: &mut dyn FnMut(&mut Self, i64, u8) -> Option<()>) -> Option<()> {
        let mut id = 0_i64;
        loop {
            let start = self.byte()?;
            if start == 0 {
                return Some(());
            }
            id = match start >> 4 {
                0 => self.integer()?,
                step => id.checked_add(i64::from(step))?,
            };
            visit(self, id, start & 15)?;
        }
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    /// A number of 7 bits a byte, the lowest first.
    fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 127) << shift;
            if byte < 128 {
                return Some(number);
            }
        }
        None
    }

    /// A number with a sign, which is its lowest bit.
    fn integer(&mut self) -> Option<i64> {
        let number = self.varint()?;
        Some((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    /// Passes over a field's value.
    fn skip(&mut self, value: u8, depth: usize) -> Option<()> {
        match value {
            _ if depth > MAX_DEPTH => None,
            TRUE | FALSE => Some(()),
            BYTE => self.byte().map(drop),
            I16 | I32 | I64 => self.varint().map(drop),
            DOUBLE => self.pass(8),
            BINARY => {
                let length = self.varint()?;
                self.pass(length)
            }
            LIST | SET => {
                let start = self.byte()?;
                let count = if start >> 4 == 15 { self.varint()? } else { u64::from(start >> 4) };
                // in a list, a boolean has a byte of its own, and nothing has none
                let element = if matches!(start & 15, TRUE | FALSE) { BYTE } else { start & 15 };
                (0..count).try_for_each(|_| self.skip(element, depth + 1))
            }
            STRUCT => self.fields(&mut |reader, _, value| reader.skip(value, depth + 1)),
            _ => None,
        }
    }

    fn pass(&mut self, count: u64) -> Option<()> {
        let end = self.at.checked_add(usize::try_from(count).ok()?)?;
        self.at = end;
        (end <= self.bytes.len()).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Type 0, 300 bytes in 200, a checksum, and the header of a data page with statistics.
    const DATA: [u8; 24] = [
        0x15, 0x00, 0x15, 0xd8, 0x04, 0x15, 0x90, 0x03, 0x15, 0x06, 0x1c, 0x15, 0x0e, 0x15, 0x10, 0x15, 0x06, 0x15,
        0x06, 0x1c, 0x12, 0x00, 0x00, 0x00,
    ];

    #[test]
    fn a_data_page_is_read_with_what_it_holds() {
        let expected = PageHeader {
            kind: PageKind::Data,
            unpacked_bytes: 300,
            packed_bytes: 200,
            num_values: 7,
            encoding: 8,
            level_bytes: 0,
            is_packed: true,
        };
        assert_eq!(read(&[&DATA[..], &[0; 9]].concat()), Some((expected, DATA.len())));
    }

    #[test]
    fn a_header_that_is_cut_short_or_changed_is_none_and_no_panic() {
        for length in 0..DATA.len() {
            assert_eq!(read(&DATA[..length]), None);
        }
        for at in 0..DATA.len() {
            for byte in 0..=255 {
                let mut changed = DATA;
                changed[at] = byte;
                read(&changed);
            }
        }
        // lists in lists without end, a string and a list of 2^63 elements
        for hostile in [&[0x99; 64][..], &[0x98, 255, 255, 255, 255, 255, 255, 255, 255, 127], &[0x99, 0xf1, 255, 255]]
        {
            assert_eq!(read(hostile), None);
        }
    }
}
