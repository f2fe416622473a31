//! How long a return has lasted, against the bounds that the configuration names.
//!
//! Law: an alarm tells and decides nothing: a deadline makes nobody go on without the others. Must not know: who is waited
//! for.

use std::time::Duration;

use jet_core::{ClusterState, Machine};

use crate::clock::Moment;

/// What a return waits for; each has a bound of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The members of the roster.
    Joining,
    /// Their stores.
    Loading,
}

impl Stage {
    /// Of a member that is not back yet.
    pub fn of(machine: &Machine) -> Self {
        match &machine.state {
            ClusterState::Recovering { rejoined, .. } if machine.roster.keys().all(|m| rejoined.contains_key(m)) => {
                Self::Loading
            }
            _ => Self::Joining,
        }
    }

    /// The key that sets its bound.
    pub fn key(self) -> &'static str {
        match self {
            Self::Joining => "validation-timeout-seconds",
            Self::Loading => "data-load-timeout-seconds",
        }
    }
}

/// A bound that is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// Of what.
    pub stage: Stage,
    /// The bound.
    pub bound: Duration,
}

/// The watch over one member's return.
#[derive(Debug)]
pub struct Overdue {
    joining: Duration,
    loading: Duration,
    since: Option<(Stage, Moment)>,
    alarm: Option<Alarm>,
}

impl Overdue {
    /// With these bounds.
    pub fn new(joining: Duration, loading: Duration) -> Self {
        Self { joining, loading, since: None, alarm: None }
    }

    /// The member is at this stage now (`None`: it waits for nothing); answers an alarm once, when it begins.
    pub fn look(&mut self, stage: Option<Stage>, now: Moment) -> Option<Alarm> {
        if self.since.map(|(of, _)| of) != stage {
            self.since = stage.map(|of| (of, now));
            self.alarm = None;
        }
        let (stage, since) = self.since?;
        let bound = match stage {
            Stage::Joining => self.joining,
            Stage::Loading => self.loading,
        };
        let news = self.alarm.is_none() && now.since(since) >= bound;
        if news {
            self.alarm = Some(Alarm { stage, bound });
        }
        self.alarm.filter(|_| news)
    }

    /// The alarm that holds.
    pub fn alarm(&self) -> Option<Alarm> {
        self.alarm
    }
}

impl std::fmt::Display for Alarm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "for longer than the {} s of {}; nothing is given up", self.bound.as_secs(), self.stage.key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stage_has_its_bound_and_each_alarm_is_told_once() {
        let at = |s| Moment::default().plus(Duration::from_secs(s));
        let mut overdue = Overdue::new(Duration::from_secs(120), Duration::from_secs(900));
        let told = |alarm: Option<Alarm>| alarm.map(|alarm| alarm.stage);
        for (seconds, stage, news, holds) in [
            (0, Some(Stage::Joining), None, None),
            (119, Some(Stage::Joining), None, None),
            (120, Some(Stage::Joining), Some(Stage::Joining), Some(Stage::Joining)),
            (500, Some(Stage::Joining), None, Some(Stage::Joining)),
            (501, Some(Stage::Loading), None, None),
            (1400, Some(Stage::Loading), None, None),
            (1401, Some(Stage::Loading), Some(Stage::Loading), Some(Stage::Loading)),
            // A member went away again.
            (1402, Some(Stage::Joining), None, None),
            (1522, Some(Stage::Joining), Some(Stage::Joining), Some(Stage::Joining)),
            (1523, None, None, None),
            (9999, None, None, None),
        ] {
            assert_eq!(told(overdue.look(stage, at(seconds))), news, "{seconds}");
            assert_eq!(told(overdue.alarm()), holds, "{seconds}");
        }
    }
}
