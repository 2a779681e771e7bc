//! Which images of a list, in an order.

use std::ops::Range;
use std::sync::Arc;

use crate::error::{Error, Result};

/// Which images of a list, in an order, in four bytes each: none where they are all of them as they are. A clone shares them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Numbers {
    /// 0, 1, 2, … of so many.
    InOrder(usize),
    /// These; in place of those in order, `InOrder`.
    Listed(Arc<Vec<u32>>),
}

impl Numbers {
    /// These.
    pub fn listed(numbers: Vec<u32>) -> Self {
        let are_in_order = numbers.iter().copied().eq(0..numbers.len() as u32);
        if are_in_order { Numbers::InOrder(numbers.len()) } else { Numbers::Listed(numbers.into()) }
    }

    /// `indices`.
    ///
    /// # Errors
    /// A data error where one has more than 32 bits: there are too many images.
    pub fn of(indices: impl IntoIterator<Item = usize>) -> Result<Self> {
        let number = |index| u32::try_from(index).map_err(|_| too_many().got(index));
        Ok(Self::listed(indices.into_iter().map(number).collect::<Result<_>>()?))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Numbers::InOrder(count) => *count,
            Numbers::Listed(numbers) => numbers.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number `index`; `None` past the end.
    pub fn get(&self, index: usize) -> Option<usize> {
        match self {
            Numbers::InOrder(count) => (index < *count).then_some(index),
            Numbers::Listed(numbers) => numbers.get(index).map(|&number| number as usize),
        }
    }

    /// Those at `places`, which are there.
    pub fn range(&self, places: Range<usize>) -> impl Iterator<Item = usize> + '_ {
        places.map(|index| self.get(index).expect("the place is there"))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.range(0..self.len())
    }

    /// Those at `places`, which are there, in their order.
    #[must_use]
    pub fn at(&self, places: &[usize]) -> Self {
        let number = |place: &usize| self.get(*place).expect("the place is there") as u32;
        Self::listed(places.iter().map(number).collect())
    }

    /// Whether these are the same because they are shared. Where they are not, they may still be equal.
    pub fn are_shared_with(&self, other: &Self) -> bool {
        match (self, other) {
            (Numbers::InOrder(count), Numbers::InOrder(other)) => count == other,
            (Numbers::Listed(numbers), Numbers::Listed(other)) => Arc::ptr_eq(numbers, other),
            (Numbers::InOrder(_), Numbers::Listed(_)) | (Numbers::Listed(_), Numbers::InOrder(_)) => false,
        }
    }
}

/// Checks that `count` images can be told apart by numbers of 32 bits.
///
/// # Errors
/// A data error where they cannot.
pub(super) fn check_count(count: usize) -> Result<()> {
    match u32::try_from(count) {
        Ok(_) => Ok(()),
        Err(_) => Err(too_many().got(count)),
    }
}

fn too_many() -> Error {
    Error::data("there are too many images").expected(format!("at most {}", u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_order_take_no_memory_and_are_the_same_as_listed() {
        assert_eq!(Numbers::listed(vec![0, 1, 2]), Numbers::InOrder(3));
        assert_eq!(Numbers::listed(vec![]), Numbers::InOrder(0));
        let listed = Numbers::listed(vec![2, 0, 1]);
        assert!(matches!(listed, Numbers::Listed(_)));
        assert_eq!(listed.iter().collect::<Vec<_>>(), [2, 0, 1]);
        assert_eq!(listed.at(&[1, 2, 0]), Numbers::InOrder(3));
        assert_eq!(Numbers::InOrder(5).at(&[4, 4]), Numbers::listed(vec![4, 4]));
        assert_eq!([listed.get(0), listed.get(3), Numbers::InOrder(3).get(3)], [Some(2), None, None]);
        assert!(listed.are_shared_with(&listed.clone()));
        assert!(!listed.are_shared_with(&Numbers::listed(vec![2, 0, 1])));
    }

    #[test]
    fn numbers_of_more_than_32_bits_are_refused() {
        assert_eq!(Numbers::of([1, 0]).unwrap(), Numbers::listed(vec![1, 0]));
        if usize::BITS > u32::BITS {
            assert!(Numbers::of([u32::MAX as usize + 1]).is_err());
        }
    }
}
