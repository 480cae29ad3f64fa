//! What `tapekey doctor` asks of the drives. One that may be in use is left alone: our commands would take unit attentions from its program.

use std::sync::Arc;

use super::hold::Hold;
use super::job::Place;
use super::lane::{Heard, LaneError};
use super::mount::Seen;
use super::status::join_all;
use super::{CommandError, Daemon, DriveUnit, Provided};
use crate::controller::doctor::{findings, left_alone, unreached};
use crate::controller::job::JobKind;
use crate::controller::report::{DriveExamined, Finding};
use crate::drive::{Drive, DriveError, Examination, NodeInUse};

/// Commands of one examination that may each take their full time.
const SLOW_COMMANDS_MAX: u32 = 4;

impl Daemon {
    /// Looks whether the drives, or one of them, will work. No key is sent and no tape is moved.
    ///
    /// # Errors
    /// [`CommandError::NoSuchDrive`].
    pub async fn examine(&self, drive: Option<&str>) -> Result<Vec<DriveExamined>, CommandError> {
        let units = match drive {
            Some(name) => vec![self.unit(name)?],
            None => self.drives.clone(),
        };
        Ok(join_all(units.iter().map(|unit| self.examine_one(unit)).collect()).await)
    }

    async fn examine_one(&self, unit: &Arc<DriveUnit>) -> DriveExamined {
        DriveExamined {
            name: unit.name.clone(),
            path: unit.path.clone(),
            findings: self.findings_of(unit).await,
        }
    }

    async fn findings_of(&self, unit: &Arc<DriveUnit>) -> Vec<Finding> {
        // As a job does, so that none begins meanwhile.
        let _place = match Place::take(self, unit, JobKind::Doctor, Provided::Nothing) {
            Ok(place) => place,
            Err(error) => return not_begun(&error),
        };
        let _held = match self.keep_out(unit, Hold::IfThereIsANode).await {
            Ok(held) => held,
            Err(NodeInUse::Open { node, by }) => {
                let why = format!("{} is open: {by}", node.display());
                return left_alone(&why, "run it again when the program has ended");
            }
            Err(error) => return unreached(&error),
        };
        match self.ask_everything(unit).await {
            Ok(Heard { answer, attentions }) => {
                let seen = Seen {
                    attentions,
                    ..Seen::default()
                };
                unit.state().wrong_keys.keep_while_mounted(&seen);
                match answer {
                    Ok(examination) => findings(&examination, &unit.rules),
                    Err(error) => unreached(&error),
                }
            }
            Err(error) => unreached(&error),
        }
    }

    /// Once more if the path was lost while nobody used it, since it is opened anew then.
    async fn ask_everything(&self, unit: &DriveUnit) -> Result<Heard<Result<Examination, DriveError>>, LaneError> {
        let limit = unit.command_timeout.saturating_mul(SLOW_COMMANDS_MAX);
        let ask = || unit.lane.call("examine the drive", limit, Drive::examine, |_, _| {});
        let first = ask().await;
        match &first {
            Ok(Heard { answer: Err(error), .. }) if error.is_path_lost() => ask().await,
            _ => first,
        }
    }
}

fn not_begun(error: &CommandError) -> Vec<Finding> {
    let text = error.to_string();
    let (why, remedy) = text.rsplit_once("\nhint: ").unwrap_or((&text, "run it again later"));
    left_alone(why, remedy)
}
