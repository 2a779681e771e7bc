//! Where one image lies, written as the difference from the one before it.

/// Where one image lies within its container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// Which container.
    pub container: u32,
    /// Its first byte in an archive, its row in a table, or its number among those that are in memory.
    pub start: u64,
    /// Its bytes in an archive.
    pub length: u64,
    pub checksum: Option<u32>,
    pub is_deflated: bool,
    pub is_in_memory: bool,
    /// Its name within its container.
    pub name: Vec<u8>,
}

/// What is written before a place, a bit each.
const IS_ELSEWHERE: u8 = 1;
const HAS_CHECKSUM: u8 = 2;
const IS_DEFLATED: u8 = 4;
const IS_IN_MEMORY: u8 = 8;

impl Place {
    /// Appends this place, which is behind `before`, to `bytes`. What both have in common is left out: the container, and the beginning of
    /// the name. Numbers take a byte for each 7 bits; a start is counted from where the image before ends.
    pub fn write(&self, before: &Place, bytes: &mut Vec<u8>) {
        let is_elsewhere = self.container != before.container;
        let flags = [
            (is_elsewhere, IS_ELSEWHERE),
            (self.checksum.is_some(), HAS_CHECKSUM),
            (self.is_deflated, IS_DEFLATED),
            (self.is_in_memory, IS_IN_MEMORY),
        ];
        bytes.push(flags.into_iter().filter_map(|(is_set, bit)| is_set.then_some(bit)).sum());
        if is_elsewhere {
            write_number(self.container.into(), bytes);
        }
        write_number(zigzag(self.start.wrapping_sub(before.end()).cast_signed()), bytes);
        write_number(self.length, bytes);
        bytes.extend(self.checksum.iter().flat_map(|checksum| checksum.to_le_bytes()));
        let shared = self.name.iter().zip(&before.name).take_while(|(a, b)| a == b).count();
        write_number(shared as u64, bytes);
        write_number((self.name.len() - shared) as u64, bytes);
        bytes.extend_from_slice(&self.name[shared..]);
    }

    /// Becomes the place that [`Place::write`] wrote behind this one at the beginning of `bytes`, and leaves the bytes behind it.
    pub fn read_next(&mut self, bytes: &mut &[u8]) {
        let end = self.end();
        let flags = take(bytes, 1)[0];
        if flags & IS_ELSEWHERE != 0 {
            self.container = u32::try_from(read_number(bytes)).expect("it was one");
        }
        self.start = end.wrapping_add(unzigzag(read_number(bytes)).cast_unsigned());
        self.length = read_number(bytes);
        let has_checksum = flags & HAS_CHECKSUM != 0;
        self.checksum = has_checksum.then(|| u32::from_le_bytes(take(bytes, 4).try_into().expect("four bytes")));
        self.is_deflated = flags & IS_DEFLATED != 0;
        self.is_in_memory = flags & IS_IN_MEMORY != 0;
        self.name.truncate(read_number(bytes) as usize);
        let rest = read_number(bytes) as usize;
        self.name.extend_from_slice(take(bytes, rest));
    }

    fn end(&self) -> u64 {
        self.start.wrapping_add(self.length)
    }
}

/// Small where `number` is near 0: 0, -1, 1, -2, … as 0, 1, 2, 3, …
fn zigzag(number: i64) -> u64 {
    (number << 1 ^ number >> 63).cast_unsigned()
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -((number & 1).cast_signed())
}

/// Seven bits in each byte, the lowest first; the highest bit says that more follow (LEB128).
fn write_number(mut number: u64, bytes: &mut Vec<u8>) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn read_number(bytes: &mut &[u8]) -> u64 {
    let (mut number, mut shift) = (0, 0);
    loop {
        let byte = take(bytes, 1)[0];
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return number;
        }
        shift += 7;
    }
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (first, rest) = bytes.split_at(count);
    *bytes = rest;
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_any_size_come_back() {
        for number in [0, 1, -1, 63, -64, 64, 1 << 40, i64::MAX, i64::MIN] {
            assert_eq!(unzigzag(zigzag(number)), number);
        }
        assert_eq!([0, -1, 1, -2].map(zigzag), [0, 1, 2, 3]);
        for (number, length) in [(0, 1), (127, 1), (128, 2), (1 << 14, 3), (u64::MAX, 10)] {
            let mut bytes = Vec::new();
            write_number(number, &mut bytes);
            assert_eq!((bytes.len(), read_number(&mut &bytes[..])), (length, number));
        }
    }

    #[test]
    fn places_behind_each_other_come_back_with_any_numbers() {
        let place = |container, start, length, checksum, name: &str| Place {
            container,
            start,
            length,
            checksum,
            is_deflated: length % 2 == 1,
            is_in_memory: start % 2 == 1,
            name: name.into(),
        };
        let places = [
            place(0, u64::MAX, u64::MAX, Some(0), "a/b"),
            place(0, 0, 7, None, "a/bc"),
            place(u32::MAX, 1 << 63, 0, Some(u32::MAX), "a"),
            place(1, 5, 1 << 40, None, ""),
            place(1, 5, 3, None, "b"),
        ];
        let (mut bytes, mut before) = (Vec::new(), Place::default());
        for place in &places {
            place.write(&before, &mut bytes);
            before.clone_from(place);
        }
        let (mut rest, mut read) = (&bytes[..], Place::default());
        for place in &places {
            read.read_next(&mut rest);
            assert_eq!(read, *place);
        }
        assert!(rest.is_empty());
    }
}
