//! Validation of a configuration: every part's own check, and the settings that exclude each other.

use super::RunConfig;
use crate::data::split::Validation;
use crate::error::{Error, Result};
use crate::settings::wrong;
use crate::train::ScheduleKind;

impl RunConfig {
    /// Checks that every value, and all together, can be used.
    ///
    /// # Errors
    /// A configuration error that names the setting, what it takes and what it has.
    pub fn check(&self) -> Result<()> {
        self.data.check()?;
        self.training.check()?;
        self.optimizer.check()?;
        self.learning_rate.check()?;
        self.best_epoch.check()?;
        self.device.check()?;
        self.outputs.check()?;
        self.check_stages()?;
        self.check_validation()
    }

    /// Refuses a run that ends before the layers are trained that it freezes at first.
    fn check_stages(&self) -> Result<()> {
        let (frozen, epochs) = (self.network.freeze_epochs, self.training.epochs);
        match frozen == 0 || frozen < epochs {
            true => Ok(()),
            false => Err(Error::config("`freeze_epochs` leaves no epoch for the other layers")
                .expected(format!("fewer than {epochs}, which is `epochs`"))
                .got(frozen)
                .help("`freeze` backbone trains the last Dense layer alone for the whole run")),
        }
    }

    /// Refuses to watch validation images that there are not.
    fn check_validation(&self) -> Result<()> {
        let best = &self.best_epoch;
        let has_no_validation = self.data.validation == Validation::None;
        let watched = [("monitor", best.monitor), ("until", self.training.until.map(|target| target.monitor))];
        for (key, monitor) in watched {
            if let Some(monitor) = monitor.filter(|monitor| has_no_validation && monitor.of_validation) {
                return wrong(key, "loss or accuracy, because there are no validation images", monitor);
            }
        }
        let watches =
            best.patience.is_some() || best.restore_best || self.learning_rate.schedule == ScheduleKind::Plateau;
        if has_no_validation && watches && best.monitor.is_none() {
            let setting = match (best.patience.is_some(), best.restore_best) {
                (true, _) => "`patience`",
                (false, true) => "`restore_best`",
                (false, false) => "`schedule = 'plateau'`",
            };
            return Err(Error::config(format!("{setting} needs validation images, or `monitor = 'loss'`")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
