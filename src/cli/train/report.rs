//! What the user gets at the end of a training.

use serde_json::{Value, json};

use super::session::Finished;
use crate::log::history::HistoryRow;
use crate::train::{CheckpointKind, Checkpoints, EarlyStopping, StopReason};

impl Finished {
    fn stem(&self) -> String {
        self.config.models.join(&self.config.name).display().to_string()
    }

    /// Why training ended before its last epoch, where it did.
    fn why_it_ended(&self) -> Option<String> {
        let EarlyStopping { monitor, .. } = self.config.early_stopping();
        let watch = self.progress.watch;
        let best = watch.best.unwrap_or(f64::NAN);
        match self.ending {
            StopReason::Patience => Some(format!(
                "{monitor} was not better for {} epochs; the best is {best:.4}, epoch {}",
                watch.wait, watch.best_epoch
            )),
            StopReason::Target => {
                self.config.until.map(|target| format!("{target} is reached, epoch {}", self.progress.epochs))
            }
            StopReason::Time => {
                self.config.time.map(|limit| format!("{limit} are over, step {}", self.progress.batches_seen))
            }
            StopReason::Epochs | StopReason::Signal(_) => None,
        }
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text = self.why_it_ended().map(|why| format!("ended     {why}\n")).unwrap_or_default();
        text += &self.best_line();
        if let Some(tested) = &self.tested {
            let (scores, [low, high]) = (tested.sums.scores(), tested.accuracy_interval());
            text += &format!(
                "test      loss {:.4}  accuracy {:.4} (95 % interval {low:.4} to {high:.4}) on {} images\n",
                scores.loss, scores.accuracy, tested.sums.count
            );
        }
        if !self.is_interrupted() {
            let stem = self.stem();
            let replaced = self.replaced.as_ref().map(|other| format!(": replaces {other}")).unwrap_or_default();
            text += &format!("model     {stem}.json, {stem}.safetensors{replaced}\n");
        }
        text += &format!(
            "logs      {}  (tensorboard --logdir {})\n",
            self.folder.path.display(),
            self.folder.path.parent().unwrap_or(&self.config.logs).display()
        );
        text
    }

    /// The best epoch, its number, and where its weights are; nothing where no epoch could be told from another.
    fn best_line(&self) -> String {
        let watch = self.progress.watch;
        let Some(best) = watch.best else { return String::new() };
        let EarlyStopping { monitor, restore_best, .. } = self.config.early_stopping();
        let file = Checkpoints::new(&self.folder.checkpoints(), &[]).json_path(CheckpointKind::Best);
        let place = match restore_best && !self.is_interrupted() {
            true => "the model has its weights".to_owned(),
            false if file.is_file() => file.display().to_string(),
            false => "not saved: see the warnings".to_owned(),
        };
        format!("best      epoch {}  {monitor} {best:.4}  ({place})\n", watch.best_epoch)
    }

    /// For programs.
    pub fn json(&self, total_seconds: f64) -> Value {
        let mut report = json!({
            "run": self.folder.name,
            "model": Some(self.stem()).filter(|_| !self.is_interrupted()),
            "epochs": epochs_json(&self.rows),
            "parameters": self.model.plan().iter().map(|layer| layer.num_parameters()).sum::<usize>(),
            "device": self.selected.name,
            "threads": tch::get_num_threads(),
            "precision": self.config.precision,
            "seed": self.config.seed,
            "total_seconds": total_seconds,
        });
        if let Some(tested) = &self.tested {
            let scores = tested.sums.scores();
            report["test"] = json!({ "loss": scores.loss, "accuracy": scores.accuracy });
        }
        report
    }

    /// What `run.json` keeps of it; `weights_sha256` is the saved model's.
    pub fn result(&self, weights_sha256: &Value) -> Value {
        let progress = &self.progress;
        let ending = match self.ending {
            StopReason::Epochs => "epochs",
            StopReason::Patience => "patience",
            StopReason::Target => "target",
            StopReason::Time => "time",
            StopReason::Signal(_) => "signal",
        };
        let monitor = self.config.early_stopping().monitor;
        let best = progress
            .watch
            .best
            .map(|best| json!({ "monitor": monitor, "value": best, "epoch": progress.watch.best_epoch }));
        let test = self.tested.as_ref().map(|tested| tested.sums.scores());
        json!({
            "ending": ending,
            "epochs": progress.epochs,
            "steps": progress.batches_seen,
            "seconds": progress.seconds,
            "best": best,
            "test": test.map(|scores| json!({ "loss": scores.loss, "accuracy": scores.accuracy })),
            "model": self.stem(),
            "weights_sha256": weights_sha256,
        })
    }
}

/// The rows of a history, without the numbers that they lack.
pub fn epochs_json(rows: &[HistoryRow]) -> Vec<Value> {
    let present = |row: &HistoryRow| {
        let mut row = json!(row);
        if let Some(row) = row.as_object_mut() {
            row.retain(|_, value| !value.is_null());
        }
        row
    };
    rows.iter().map(present).collect()
}
