//! Calls that follow one another: tch's `nn::seq_t`, cut where somebody looks at what is between two.

use std::ops::Range;

use tch::Tensor;
use tch::nn::{self, ModuleT, SequentialT};

/// Calls one after the other, in sequences.
pub struct Chain(Vec<Part>);

struct Part {
    calls: Range<usize>,
    sequence: SequentialT,
}

impl Chain {
    /// `modules`, one a call, in sequences that end behind each call of which `is_end` holds.
    pub fn new(modules: impl Iterator<Item = impl ModuleT + 'static>, is_end: impl Fn(usize) -> bool) -> Self {
        let mut parts: Vec<Part> = Vec::new();
        for (call, module) in modules.enumerate() {
            match parts.last_mut().filter(|part| !is_end(part.calls.end - 1)) {
                Some(part) => {
                    part.calls.end = call + 1;
                    part.sequence = std::mem::replace(&mut part.sequence, nn::seq_t()).add(module);
                }
                None => parts.push(Part { calls: call..call + 1, sequence: nn::seq_t().add(module) }),
            }
        }
        Chain(parts)
    }

    /// What the calls `range`, whose ends are sequences' ends, make of `input`. `see` sees what each sequence gives, with the number
    /// of its last call.
    pub fn run(&self, range: Range<usize>, input: &Tensor, train: bool, mut see: impl FnMut(usize, &Tensor)) -> Tensor {
        self.parts(range).fold(input.shallow_clone(), |value, part| {
            let value = part.sequence.forward_t(&value, train);
            see(part.calls.end - 1, &value);
            value
        })
    }

    /// As [`Chain::run`] of all calls; `see` sees what each of them gives.
    pub fn run_seeing_all(&self, input: &Tensor, train: bool, mut see: impl FnMut(usize, &Tensor)) {
        let mut value = input.shallow_clone();
        for part in &self.0 {
            for (call, output) in part.calls.clone().zip(part.sequence.forward_all_t(&value, train, None)) {
                see(call, &output);
                value = output;
            }
        }
    }

    /// The number of calls.
    pub fn len(&self) -> usize {
        self.0.last().map_or(0, |part| part.calls.end)
    }

    fn parts(&self, range: Range<usize>) -> impl Iterator<Item = &Part> {
        self.0.iter().filter(move |part| range.start <= part.calls.start && part.calls.end <= range.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Call `n` adds `10^n`.
    fn chain(is_end: impl Fn(usize) -> bool) -> Chain {
        let module = |call| nn::func(move |value: &Tensor| value + 10f64.powi(call));
        Chain::new((0..4).map(module), is_end)
    }

    fn number(value: &Tensor) -> f64 {
        value.double_value(&[])
    }

    #[test]
    fn sequences_are_cut_where_somebody_looks() {
        let zero = Tensor::from(0.0f64);
        for (ends, expected) in [(vec![], vec![3]), (vec![1], vec![1, 3]), (vec![0, 1, 2], vec![0, 1, 2, 3])] {
            let chain = chain(|call| ends.contains(&call));
            let mut seen = Vec::new();
            let all = chain.run(0..chain.len(), &zero, false, |call, _| seen.push(call));
            assert_eq!((number(&all), &seen), (1111.0, &expected));
            let mut values = Vec::new();
            chain.run_seeing_all(&zero, false, |call, value| values.push((call, number(value))));
            assert_eq!(values, [(0, 1.0), (1, 11.0), (2, 111.0), (3, 1111.0)]);
        }
        let chain = chain(|call| call == 1);
        assert_eq!(number(&chain.run(0..2, &zero, false, |_, _| {})), 11.0);
        assert_eq!(number(&chain.run(2..4, &zero, false, |_, _| {})), 1100.0);
        assert_eq!(number(&chain.run(0..0, &zero, false, |_, _| {})), 0.0);
    }
}
