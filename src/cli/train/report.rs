//! The lines that `train` prints when it is done.

use convnet::model::LayerTime;
use convnet::run::record::ProcessShare;
use convnet::run::{FinishedRun, RunProfile};
use convnet::train::{CheckpointKind, EarlyStopping, PhaseTime, StopReason};

/// Layers whose times are printed.
const SHOWN_LAYERS: usize = 15;

/// Why training stopped before its last epoch; none if it did not.
fn why_it_ended(run: &FinishedRun) -> Option<String> {
    let EarlyStopping { monitor, .. } = run.config.best_epoch.early_stopping();
    let watch = run.state.watch;
    let best = watch.best.unwrap_or(f64::NAN);
    match run.ending {
        StopReason::Patience => {
            let epochs = if watch.wait == 1 { "epoch" } else { "epochs" };
            Some(format!(
                "{monitor} did not improve for {} {epochs}; the best is {best:.4}, epoch {}",
                watch.wait, watch.best_epoch
            ))
        }
        StopReason::Target => {
            run.config.training.until.map(|target| format!("{target} reached in epoch {}", run.state.epochs))
        }
        StopReason::Time => run.config.training.time.map(|limit| {
            let limit = limit.to_string();
            let (number, unit) = limit.split_at(limit.len() - 1);
            format!("time limit of {number} {unit} reached at step {}", run.state.batches_seen)
        }),
        StopReason::Epochs | StopReason::Stage | StopReason::Signal(_) => None,
    }
}

/// How fast each process was, and how much of the time it waited; nothing where there is one.
fn processes_line(run: &FinishedRun) -> String {
    let share = |process: &ProcessShare| {
        format!("{:.0} images/s, waiting {:.0} %", process.images_per_second, process.waiting * 100.0)
    };
    match &run.processes[..] {
        [] => String::new(),
        processes => format!("processes {}\n", processes.iter().map(share).collect::<Vec<_>>().join(" · ")),
    }
}

/// The result as text: why training stopped, best epoch, test scores, the files.
pub fn text(run: &FinishedRun) -> String {
    let mut text = why_it_ended(run).map(|why| format!("ended     {why}\n")).unwrap_or_default();
    text += &processes_line(run);
    text += &best_line(run);
    if let Some(tested) = &run.tested {
        let scores = tested.scores_text().map(|(label, value)| format!("{label} {value}"));
        let scores = scores.collect::<Vec<_>>().join("  ");
        text += &format!("test      {scores} on {} images\n", tested.sums.count);
    }
    if !run.is_interrupted() {
        let stem = run.model_stem();
        let stem = stem.display();
        let replaced = run.replaced.as_ref().map(|other| format!(": replaces {other}")).unwrap_or_default();
        text += &format!("model     {stem}.json, {stem}.safetensors{replaced}\n");
    }
    text += &format!(
        "logs      {}  (tensorboard --logdir {})\n",
        run.folder.path.display(),
        run.folder.path.parent().unwrap_or(&run.config.outputs.logs).display()
    );
    if let Some(RunProfile { phases, layers }) = &run.profile {
        text += &format!("trace     {}\n\n{}", run.folder.trace_path().display(), profile_table(phases));
        if !layers.is_empty() {
            text += &format!("\n{}", layer_table(layers));
        }
    }
    text
}

/// Where the time of training went: seconds, share, how often and how long each time.
fn profile_table(phases: &[PhaseTime]) -> String {
    let whole: f64 = phases.iter().map(|phase| phase.seconds).sum();
    let mut table = format!("{:<10}  {:>9}  {:>6}  {:>8}  {:>10}\n", "phase", "seconds", "share", "times", "ms each");
    for PhaseTime { phase, seconds, count } in phases {
        let share = 100.0 * seconds / whole.max(1e-9);
        let each = 1000.0 * seconds / *count as f64;
        table += &format!("{:<10}  {seconds:>9.2}  {share:>5.1}%  {count:>8}  {each:>10.3}\n", phase.to_string());
    }
    table
}

/// Each layer's time for a batch, the slowest first.
fn layer_table(layers: &[LayerTime]) -> String {
    let both = |layer: &LayerTime| layer.forward_seconds + layer.backward_seconds;
    let whole: f64 = layers.iter().map(both).sum();
    let mut sorted: Vec<&LayerTime> = layers.iter().collect();
    sorted.sort_by(|a, b| both(b).total_cmp(&both(a)));
    let width = sorted.iter().take(SHOWN_LAYERS).map(|layer| layer.layer.chars().count()).max().unwrap_or(0).max(5);
    let mut table =
        format!("{:<width$}  {:<22}  {:>10}  {:>11}  {:>6}\n", "layer", "class", "forward ms", "backward ms", "share");
    for layer in sorted.iter().take(SHOWN_LAYERS) {
        let LayerTime { layer: name, class_name, forward_seconds, backward_seconds } = layer;
        let share = 100.0 * both(layer) / whole.max(1e-9);
        let [forward, backward] = [forward_seconds, backward_seconds].map(|seconds| 1000.0 * seconds);
        table += &format!("{name:<width$}  {class_name:<22}  {forward:>10.3}  {backward:>11.3}  {share:>5.1}%\n");
    }
    match sorted.len().saturating_sub(SHOWN_LAYERS) {
        0 => table + "each layer by itself, for one batch\n",
        others => {
            table
                + &format!("each layer by itself, for one batch; {others} faster ones are left out (--json has all)\n")
        }
    }
}

/// The best epoch, its number, and where its weights are; nothing where no epoch could be told from another.
fn best_line(run: &FinishedRun) -> String {
    let watch = run.state.watch;
    let Some(best) = watch.best else { return String::new() };
    let EarlyStopping { monitor, restore_best, .. } = run.config.best_epoch.early_stopping();
    let file = run.folder.checkpoint(CheckpointKind::Best);
    let place = match restore_best && !run.is_interrupted() {
        true => "the model has its weights".to_owned(),
        false if file.is_file() => file.display().to_string(),
        false => "not saved: see the warnings".to_owned(),
    };
    format!("best      epoch {}  {monitor} {best:.4}  ({place})\n", watch.best_epoch)
}
