//! The learning rate as a pure function of the step: nothing to save, nothing to restore.

use serde::{Deserialize, Serialize};

/// How the learning rate changes over a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum ScheduleKind {
    /// It does not.
    #[default]
    Constant,
    /// In a straight line to 0 at the end.
    Linear,
    /// Along half a cosine to 0 at the end (Loshchilov and Hutter 2016).
    Cosine,
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
}

impl Schedule {
    /// The learning rate of `step` (from 0).
    pub fn learning_rate(&self, step: u64) -> f64 {
        if step < self.warmup_steps {
            return self.base * (step + 1) as f64 / self.warmup_steps as f64;
        }
        let decay_steps = self.total_steps.saturating_sub(self.warmup_steps).max(1);
        let progress = ((step - self.warmup_steps) as f64 / decay_steps as f64).min(1.0);
        match self.kind {
            ScheduleKind::Constant => self.base,
            ScheduleKind::Linear => self.base * (1.0 - progress),
            ScheduleKind::Cosine => self.base * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_of_every_kind() {
        let schedule = |kind| Schedule { kind, base: 0.1, warmup_steps: 4, total_steps: 104 };
        for kind in [ScheduleKind::Constant, ScheduleKind::Linear, ScheduleKind::Cosine] {
            let rate = |step| schedule(kind).learning_rate(step);
            assert_eq!([rate(0), rate(1), rate(3), rate(4)], [0.025, 0.05, 0.1, 0.1]);
        }
        assert!((schedule(ScheduleKind::Linear).learning_rate(54) - 0.05).abs() < 1e-12);
        assert!((schedule(ScheduleKind::Cosine).learning_rate(29) - 0.085_355_339).abs() < 1e-8);
        assert_eq!(schedule(ScheduleKind::Constant).learning_rate(1_000_000), 0.1);
        assert!(schedule(ScheduleKind::Cosine).learning_rate(200) < 1e-17);
    }
}
