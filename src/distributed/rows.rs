//! Which rows of a batch a process takes.

use std::ops::Range;

/// A process's rows of a batch: neighbours, shared out as evenly as whole images allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rows {
    /// The first one.
    pub first: usize,
    /// How many: none where there are more processes than images.
    pub count: usize,
    /// Of the whole batch.
    pub total: usize,
}

impl Rows {
    /// Those of process `rank` of `size`: from ⌊total · rank / size⌋ to before ⌊total · (rank + 1) / size⌋.
    pub fn of(rank: usize, size: usize, total: usize) -> Self {
        let first = total * rank / size;
        Rows { first, count: total * (rank + 1) / size - first, total }
    }

    /// The rows that are computed: one that does not count where there is none, so that all processes compute alike.
    pub fn computed(self) -> Range<usize> {
        match self.count {
            0 => {
                let row = self.first.min(self.total.saturating_sub(1));
                row..row + 1
            }
            count => self.first..self.first + count,
        }
    }

    /// Their share of the batch's images, 0 to 1.
    pub fn share(self) -> f64 {
        self.count as f64 / self.total as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_image_is_one_process_s() {
        for (size, total) in [(1, 1), (1, 128), (3, 128), (4, 3), (7, 1), (5, 24)] {
            let all: Vec<Rows> = (0..size).map(|rank| Rows::of(rank, size, total)).collect();
            let rows: Vec<usize> = all.iter().flat_map(|rows| rows.first..rows.first + rows.count).collect();
            assert!(rows.iter().copied().eq(0..total), "{size} processes, {total} images: {rows:?}");
            let [least, most] =
                [all.iter().map(|rows| rows.count).min(), all.iter().map(|rows| rows.count).max()].map(Option::unwrap);
            assert!(most - least <= 1);
        }
    }

    #[test]
    fn a_process_without_images_computes_one_that_does_not_count() {
        let empty = Rows::of(0, 4, 3);
        assert_eq!((empty.count, empty.share()), (0, 0.0));
        assert!(empty.computed().len() == 1 && empty.computed().end <= 3);
        assert_eq!(Rows::of(3, 4, 3).computed(), 2..3);
    }
}
