//! A run as one HTML page that needs nothing else: curves, scores with intervals, mistakes, calibration, data, settings, and what
//! to try next.
//!
//! [`Story::read`] gathers what is known of a run, [`advise`] says in words what follows from it, [`page`] writes the page.

mod advice;
mod data_facts;
mod html;
mod page;
mod pictures;
mod sections;
mod split_scores;
mod story;
mod watch;

pub use advice::{Advice, advise};
pub use data_facts::{DataFacts, Leaks};
pub use page::{content, page};
pub use split_scores::SplitScores;
pub use story::Story;
pub use watch::Watcher;
