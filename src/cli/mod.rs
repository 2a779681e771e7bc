//! The command line, one file per subcommand: each parses its flags, calls the library and prints.

mod chart;
mod class_labels;
mod completions;
mod data;
mod doctor;
mod drawings;
mod evaluate;
mod explain;
mod export;
mod flags;
mod help;
mod import;
mod indices;
mod inline;
mod labelled;
mod lr_find;
mod man;
mod names;
pub mod output;
mod predict;
mod report;
mod reproduce;
mod runs;
mod serve;
pub mod spelling;
mod summary;
mod train;
mod verify;
pub mod version;

use clap::{CommandFactory, Parser, Subcommand};

use flags::{Globals, at_least_one};

use help::examples;

/// Trains convolutional image classifiers on libtorch, on CUDA or CPU, with Keras's files and TensorBoard's logs.
#[derive(Debug, Parser)]
#[command(name = "convnet", version, max_term_width = 100, propagate_version = true, arg_required_else_help = true)]
#[command(disable_help_flag = true, disable_version_flag = true)] // Globals has them, so that they come last
pub struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train a network; writes logs/<run>/ and models/<name>.{json,safetensors}
    #[command(visible_alias = "fit", mut_args(help::with_default), after_help = examples::TRAIN)]
    Train(Box<train::Args>),
    /// Train a run again and compare every number and weight with the first time
    #[command(after_help = examples::REPRODUCE)]
    Reproduce(reproduce::Args),
    /// Suggest a learning rate: raise it from step to step until the loss explodes
    #[command(mut_args(lr_find::in_range_test), after_help = examples::LR_FIND)]
    LrFind(Box<lr_find::Args>),
    /// Measure a model on a data set: loss, accuracy, per-class scores, confusion matrix
    #[command(visible_alias = "val", after_help = examples::EVALUATE)]
    Evaluate(evaluate::Args),
    /// Predict the classes of image files, folders, .npy arrays, or images of a data set
    #[command(after_help = examples::PREDICT)]
    Predict(predict::Args),
    /// Serve models over HTTP: a page, and predictions as JSON
    #[command(after_help = examples::SERVE)]
    Serve(serve::Args),
    /// Write a run's curves, scores, mistakes and what to try next into one HTML page
    #[command(after_help = examples::REPORT)]
    Report(report::Args),
    /// Explain a prediction: the nearest training images, and where the network looks (Grad-CAM)
    #[command(after_help = examples::EXPLAIN)]
    Explain(explain::Args),
    /// Print a network's layers as Keras's table
    #[command(after_help = examples::SUMMARY)]
    Summary(summary::Args),
    /// Import a Keras model, or the weights of others into a preset; writes models/<name>.{json,safetensors}
    #[command(after_help = examples::IMPORT)]
    Import(import::Args),
    /// Export a model for Keras or PyTorch
    #[command(after_help = examples::EXPORT)]
    Export(export::Args),
    /// Check that a saved model is what was saved, and computes here what it computed then
    #[command(after_help = examples::VERIFY)]
    Verify(verify::Args),
    /// Inspect, check, download and export data sets
    #[command(after_help = examples::DATA)]
    Data(data::Args),
    /// List, show and compare training runs
    #[command(after_help = examples::RUNS)]
    Runs(runs::Args),
    /// Show which libtorch, CUDA and CPU features are used, and why others are not
    #[command(after_help = examples::DOCTOR)]
    Doctor(doctor::Args),
    /// Print completions for a shell
    #[command(after_help = examples::COMPLETIONS)]
    Completions(completions::Args),
    /// Write manual pages, one for each command
    #[command(after_help = examples::MAN)]
    Man(man::Args),
}

impl Cli {
    /// Runs the subcommand.
    ///
    /// # Errors
    /// Whatever went wrong, with a [`convnet::error::Error`] somewhere in the chain where it has an exit code of its own.
    pub fn run(self) -> anyhow::Result<()> {
        // an exception of libtorch, wherever it comes, is an error as any other
        convnet::native::guarded(|| Ok(self.dispatch()))?
    }

    fn dispatch(self) -> anyhow::Result<()> {
        let globals = self.globals;
        match self.command {
            Command::Train(args) => train::run(*args, globals),
            Command::Reproduce(args) => reproduce::run(args, globals),
            Command::LrFind(args) => lr_find::run(*args, globals),
            Command::Evaluate(args) => evaluate::run(args, globals),
            Command::Predict(args) => predict::run(args, globals),
            Command::Serve(args) => serve::run(args, globals),
            Command::Report(args) => report::run(args, globals),
            Command::Explain(args) => explain::run(args, globals),
            Command::Summary(args) => summary::run(args, globals),
            Command::Import(args) => import::run(args, globals),
            Command::Export(args) => export::run(args),
            Command::Verify(args) => verify::run(args, globals),
            Command::Data(args) => data::run(args, globals),
            Command::Runs(args) => runs::run(args, globals),
            Command::Doctor(args) => doctor::run(args),
            Command::Completions(args) => completions::run(args, Cli::command()),
            Command::Man(args) => man::run(&args, Cli::command(), globals),
        }
    }
}

/// Whether the error is a stop by a signal (Ctrl-C), after a checkpoint was saved.
pub fn is_stop(error: &anyhow::Error) -> bool {
    let own = error.chain().find_map(|cause| cause.downcast_ref::<convnet::error::Error>());
    own.is_some_and(|error| matches!(error.kind(), convnet::error::ErrorKind::Stopped { .. }))
}

/// The exit code for an error: the first [`convnet::error::Error`] in the chain says it, else 1.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    let own = error.chain().find_map(|cause| cause.downcast_ref::<convnet::error::Error>());
    own.map_or(1, convnet::error::Error::exit_code)
}

#[cfg(test)]
mod tests;
