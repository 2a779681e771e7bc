//! The learning rate as a pure function of the step: nothing to save, nothing to restore.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};
use strum::{Display, EnumMessage, EnumString, VariantArray};

/// One-cycle's share of rising steps, what the base is divided by for its first rate, and what that is divided by for its
/// last: the defaults of PyTorch's `OneCycleLR`.
const ONE_CYCLE: (f64, f64, f64) = (0.3, 25.0, 1e4);

/// How the learning rate changes over a run.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, Display, EnumMessage, EnumString, VariantArray,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum ScheduleKind {
    /// It does not.
    #[default]
    Constant,
    /// In a straight line to the final rate.
    Linear,
    /// Along half a cosine to the final rate (Loshchilov and Hutter 2016; Keras's `CosineDecay`).
    Cosine,
    /// By the decay rate over each decay time, a little with each step (Keras's `ExponentialDecay`).
    Exponential,
    /// By the decay rate after each decay time, at once (PyTorch's `StepLR`).
    Step,
    /// Along a power of what is left of the run, to the final rate (Keras's `PolynomialDecay`).
    Polynomial,
    /// Up to the base in three tenths of the run, then down to nearly 0, along cosines (Smith and Topin 2017; PyTorch's
    /// `OneCycleLR` without its change of momentum).
    OneCycle,
    /// Constant, but reduced whenever the monitored number stops improving (Keras's `ReduceLROnPlateau`).
    Plateau,
}

/// A schedule over a whole run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    /// Its form.
    pub kind: ScheduleKind,
    /// The learning rate after the warm-up.
    pub base: f64,
    /// Steps over which the rate rises in a straight line, the first one at `base / warmup_steps`.
    pub warmup_steps: u64,
    /// Steps of the whole run, the warm-up counted in.
    pub total_steps: u64,
    /// The final rate of linear, cosine and polynomial.
    pub end: f64,
    /// What exponential and step multiply the rate by.
    pub decay_rate: f64,
    /// Over how many steps they do.
    pub decay_steps: u64,
    /// Polynomial's exponent.
    pub power: f64,
}

impl Default for Schedule {
    /// 0.002 throughout.
    fn default() -> Self {
        Schedule {
            kind: ScheduleKind::Constant,
            base: 0.002,
            warmup_steps: 0,
            total_steps: 1,
            end: 0.0,
            decay_rate: 0.1,
            decay_steps: 1,
            power: 1.0,
        }
    }
}

impl Schedule {
    /// The learning rate of `step` (from 0).
    pub fn learning_rate(&self, step: u64) -> f64 {
        if step < self.warmup_steps {
            return self.base * (step + 1) as f64 / self.warmup_steps as f64;
        }
        let step = (step - self.warmup_steps) as f64;
        let total = self.total_steps.saturating_sub(self.warmup_steps).max(1) as f64;
        let decays = step / self.decay_steps.max(1) as f64;
        // from the base (1) to the end (0)
        let between = |part: f64| self.end + (self.base - self.end) * part;
        let left = 1.0 - (step / total).min(1.0);
        match self.kind {
            ScheduleKind::Constant | ScheduleKind::Plateau => self.base,
            ScheduleKind::Linear => between(left),
            ScheduleKind::Cosine => between(0.5 * (1.0 - (PI * left).cos())),
            ScheduleKind::Exponential => self.base * self.decay_rate.powf(decays),
            ScheduleKind::Step => self.base * self.decay_rate.powf(decays.floor()),
            ScheduleKind::Polynomial => between(left.powf(self.power)),
            ScheduleKind::OneCycle => one_cycle(self.base, step, total),
        }
    }
}

fn one_cycle(base: f64, step: f64, total: f64) -> f64 {
    let (rising, initial_divisor, final_divisor) = ONE_CYCLE;
    let initial = base / initial_divisor;
    let (top, last) = ((rising * total - 1.0).max(0.0), (total - 1.0).max(1.0));
    let anneal = |from: f64, to: f64, part: f64| to + (from - to) / 2.0 * (1.0 + (PI * part.clamp(0.0, 1.0)).cos());
    match step <= top {
        true => anneal(initial, base, if top > 0.0 { step / top } else { 1.0 }),
        false => anneal(base, initial / final_divisor, (step - top) / (last - top)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_warm_up_rises_to_the_base() {
        let kinds = [ScheduleKind::Constant, ScheduleKind::Linear, ScheduleKind::Cosine, ScheduleKind::Exponential];
        for kind in kinds {
            let schedule = Schedule { kind, base: 0.1, warmup_steps: 4, total_steps: 104, ..Schedule::default() };
            let rate = |step| schedule.learning_rate(step);
            assert_eq!([rate(0), rate(1), rate(3), rate(4)], [0.025, 0.05, 0.1, 0.1]);
        }
    }

    #[test]
    fn rates_are_those_of_keras_and_pytorch() {
        let fixture: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/fixtures/schedules.json")).unwrap();
        let schedule = Schedule { base: 0.1, total_steps: 40, decay_steps: 10, ..Schedule::default() };
        let cases = [
            ("cosine", Schedule { kind: ScheduleKind::Cosine, ..schedule }),
            ("cosine_to_end", Schedule { kind: ScheduleKind::Cosine, end: 0.01, ..schedule }),
            ("linear", Schedule { kind: ScheduleKind::Linear, end: 0.01, ..schedule }),
            ("polynomial", Schedule { kind: ScheduleKind::Polynomial, end: 0.001, power: 2.0, ..schedule }),
            ("exponential", Schedule { kind: ScheduleKind::Exponential, decay_rate: 0.5, ..schedule }),
            ("step", Schedule { kind: ScheduleKind::Step, decay_rate: 0.5, ..schedule }),
            ("one_cycle", Schedule { kind: ScheduleKind::OneCycle, ..schedule }),
        ];
        assert_eq!(fixture.as_object().unwrap().len(), cases.len() + 1);
        for (name, schedule) in cases {
            let rates = fixture[name].as_array().unwrap();
            assert!(rates.len() >= 40);
            for (step, expected) in (0..).zip(rates) {
                let (rate, expected) = (schedule.learning_rate(step), expected.as_f64().unwrap());
                // Keras computes in f32
                assert!((rate - expected).abs() < 1e-8 + 2e-6 * expected, "{name}, step {step}: {rate} {expected}");
            }
        }
    }

    #[test]
    fn every_rate_of_every_kind_is_a_number_from_0_to_the_base() {
        for &kind in ScheduleKind::VARIANTS {
            for total_steps in [0, 1, 2, 3, 100] {
                let schedule = Schedule { kind, base: 0.1, total_steps, ..Schedule::default() };
                for step in 0..120 {
                    let rate = schedule.learning_rate(step);
                    assert!((0.0..=0.1 + 1e-12).contains(&rate), "{kind:?}, {step} of {total_steps}: {rate}");
                }
            }
        }
    }
}
