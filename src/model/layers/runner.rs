//! Runs a network whose calls do not simply follow one another.

use std::ops::Range;

use tch::Tensor;

use super::super::spec::Source;
use super::operation::Operation;

/// The calls of a network in order.
pub struct Runner {
    steps: Vec<Step>,
}

/// One call.
struct Step {
    inputs: Vec<Source>,
    /// What it computes: of its inputs, then of what the one before gives. None at all hands the input on.
    operations: Vec<Operation>,
    /// The calls whose values nobody reads after this one.
    last_reads: Vec<usize>,
}

impl Runner {
    /// Of calls, each with what it takes and what it computes, every one after those that it reads.
    pub fn new(calls: Vec<(Vec<Source>, Vec<Operation>)>) -> Self {
        let mut steps: Vec<Step> = Vec::with_capacity(calls.len());
        let mut last_readers = vec![None; calls.len()];
        for (index, (inputs, operations)) in calls.into_iter().enumerate() {
            for input in &inputs {
                if let Source::Call(read) = *input {
                    last_readers[read] = Some(index);
                }
            }
            steps.push(Step { inputs, operations, last_reads: Vec::new() });
        }
        for (read, reader) in last_readers.into_iter().enumerate() {
            if let Some(reader) = reader {
                steps[reader].last_reads.push(read);
            }
        }
        Runner { steps }
    }

    /// What the last call gives for `input`. `watch` sees what every call gives, with its number.
    ///
    /// A value is let go as soon as its last reader has run, so that outside training memory holds no more than what is
    /// still to be read.
    pub fn run(&self, input: &Tensor, train: bool, watch: impl FnMut(usize, &Tensor)) -> Tensor {
        self.run_steps(0..self.steps.len(), input, Vec::with_capacity(self.steps.len()), train, watch)
    }

    /// What the call `last` gives for `input` outside training.
    pub fn run_up_to(&self, last: usize, input: &Tensor) -> Tensor {
        self.run_steps(0..last + 1, input, Vec::with_capacity(last + 1), false, |_, _| {})
    }

    /// As [`Runner::run`], where the call `first` gave `value`, and none behind it reads what is before.
    pub fn run_from(&self, first: usize, value: &Tensor, train: bool) -> Tensor {
        let mut values: Vec<Option<Tensor>> = (0..first).map(|_| None).collect();
        values.push(Some(value.shallow_clone()));
        self.run_steps(first + 1..self.steps.len(), value, values, train, |_, _| {})
    }

    /// What the call `index` gives for the network's `input` and what the calls before gave.
    pub fn run_one(&self, index: usize, input: &Tensor, values: &[Option<Tensor>], train: bool) -> Tensor {
        self.steps[index].run(input, values, train)
    }

    /// The number of calls.
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    fn run_steps(
        &self,
        steps: Range<usize>,
        input: &Tensor,
        mut values: Vec<Option<Tensor>>,
        train: bool,
        mut watch: impl FnMut(usize, &Tensor),
    ) -> Tensor {
        for index in steps {
            let step = &self.steps[index];
            let value = step.run(input, &values, train);
            watch(index, &value);
            values.push(Some(value));
            step.last_reads.iter().for_each(|&read| values[read] = None);
        }
        values.pop().flatten().unwrap_or_else(|| input.shallow_clone())
    }
}

impl Step {
    fn run(&self, input: &Tensor, values: &[Option<Tensor>], train: bool) -> Tensor {
        let of = |source: &Source| match *source {
            Source::Input => input,
            Source::Call(call) => values[call].as_ref().expect("a value is kept until its last reader has run"),
        };
        let inputs: Vec<&Tensor> = self.inputs.iter().map(of).collect();
        match &self.operations[..] {
            [] => inputs[0].shallow_clone(),
            [first, then @ ..] => then.iter().fold(first(&inputs, train), |value, next| next(&[&value], train)),
        }
    }
}
