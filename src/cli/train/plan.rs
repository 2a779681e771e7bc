//! What `train --plan` prints.

use convnet::model::thousands;
use convnet::run::plan::TrainingPlan;

/// The plan as text.
pub fn text(plan: &TrainingPlan, model: &str) -> String {
    let count = |count: Option<usize>| count.map_or("no".to_owned(), thousands);
    let trained = match plan.trainable == plan.parameters {
        true => String::new(),
        false => format!(" ({} trained)", thousands(plan.trainable)),
    };
    let threads = plan.threads.map(|threads| format!(", {threads} threads")).unwrap_or_default();
    let images_per_second = plan.images_per_step as f64 / plan.step_seconds.max(1e-9);
    let memory = plan.peak_memory_bytes.map_or("not known".to_owned(), |bytes| format!("{} MiB", bytes >> 20));
    let epochs = if plan.epochs == 1 { "1 epoch".to_owned() } else { format!("{} epochs", plan.epochs) };
    let gpu = if plan.device == "cpu" { "" } else { ", without that of the GPU" };
    let lines = [
        ("network", format!("{model}: {} parameters{trained}", thousands(plan.parameters))),
        ("", format!("{} multiply-adds an image, forward", thousands(plan.multiply_adds))),
        (
            "data",
            format!(
                "{}: {} training, {} validation and {} test images",
                plan.data,
                thousands(plan.train),
                count(plan.validation),
                count(plan.test)
            ),
        ),
        ("device", format!("{}{threads}", plan.device)),
        (
            "step",
            format!(
                "{} for {} images: {images_per_second:.0} images/s (mean of {} steps)",
                duration(plan.step_seconds),
                plan.images_per_step,
                plan.timed_steps
            ),
        ),
        (
            "epoch",
            format!(
                "{}: {} steps, and {} for validation",
                duration(plan.epoch_seconds),
                thousands(plan.steps_per_epoch),
                duration(plan.validation_seconds)
            ),
        ),
        ("total", format!("{} for {epochs} and the test", duration(plan.total_seconds))),
        ("memory", format!("{memory} at the peak{gpu}")),
    ];
    let text: String = lines.iter().map(|(head, value)| format!("{head:<9} {value}\n")).collect();
    text + "nothing was trained or written\n"
}

/// A time in words of fitting size.
fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match seconds {
        seconds if seconds < 1.0 => format!("{:.1} ms", seconds * 1000.0),
        seconds if seconds < 60.0 => format!("{seconds:.1} s"),
        seconds if seconds < 3600.0 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_in_fitting_units() {
        let said = [0.0123, 5.26, 75.0, 7384.0].map(duration);
        assert_eq!(said, ["12.3 ms", "5.3 s", "1 min 15 s", "2 h 3 min"]);
    }
}
