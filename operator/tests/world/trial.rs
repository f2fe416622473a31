//! One flow under one schedule, held against the same flow without faults.
//!
//! Law: the end is the same, and every effect was had as often; a failure says how to see it again. Must not know: which
//! schedules there are.

use std::collections::BTreeMap;

use super::end::End;
use super::faults::{Fault, Schedule};
use super::flows::Flow;
use super::run::{Broken, Held, Run};

#[derive(Clone, Copy, Debug)]
pub struct Trial {
    pub flow: Flow,
    pub schedule: Schedule,
    /// As many passes a second operator lags behind; 0: there is none.
    pub lag: usize,
    /// Puts a bug into the operator.
    pub spoil: Option<fn(&mut Run)>,
}

/// What a flow came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub end: End,
    /// Calls that could have met each fault.
    pub places: BTreeMap<Fault, u64>,
    /// Writes and commands, the status apart.
    pub deeds: Vec<String>,
    /// The status was lost on the way.
    pub erased: bool,
}

impl Trial {
    pub fn of(flow: Flow, schedule: Schedule) -> Self {
        Self { flow, schedule, lag: 0, spoil: None }
    }

    /// Without any fault; what must be done is done as often as it must.
    pub async fn quiet(flow: Flow) -> Held<Outcome> {
        let outcome = Self::of(flow, Schedule::Never).run().await?;
        if outcome.end.done != flow.done() {
            let why = format!("{}: {:?} were to be done: {:#?}", flow.name(), flow.done(), outcome.end);
            return Err(Broken(why));
        }
        Ok(outcome)
    }

    pub async fn run(self) -> Held<Outcome> {
        let mut run = self.flow.prepare().await?;
        if let Some(spoil) = self.spoil {
            spoil(&mut run);
        }
        run.arm(self.schedule, self.lag);
        self.flow.go(&mut run).await?;
        let places = Fault::ALL.into_iter().map(|fault| (fault, run.proxy.places(fault))).collect();
        let deeds = run.proxy.deeds();
        run.rest().await?;
        let erased = run.world.lock().erased;
        Ok(Outcome { end: End::of(&run.world), places, deeds, erased })
    }

    /// Runs it and compares.
    pub async fn against(self, quiet: &Outcome) -> Held {
        let named = |why: String| Broken(format!("{}: {self:?}: {why}", self.flow.name()));
        let came = self.run().await.map_err(|broken| named(broken.0))?;
        // A nonce that was accepted and not stamped yet is taken for handled when the status is lost.
        let lost = self.flow == Flow::Restart && came.erased && came.end.nothing_was_begun();
        if came.end == quiet.end || lost {
            return Ok(());
        }
        Err(named(format!("another end:{}", quiet.end.unlike(&came.end))))
    }
}
