//! Rates of contenders, round by round, and the ratios of ours to theirs.

use crate::run::Run;
use crate::spread::Spread;
use anyhow::Result;

/// What was measured of each, one number a round.
pub(super) struct Rates {
    cell: String,
    all: Vec<(String, Vec<f64>)>,
}

impl Rates {
    pub(super) fn new(cell: String) -> Self {
        Rates { cell, all: Vec::new() }
    }

    /// One more round of one of them, in bytes a second.
    pub(super) fn note(&mut self, who: &str, rate: f64) {
        match self.all.iter_mut().find(|(name, _)| name == who) {
            Some((_, rates)) => rates.push(rate),
            None => self.all.push((who.to_owned(), vec![rate])),
        }
    }

    pub(super) fn of(&self, who: &str) -> &[f64] {
        self.all.iter().find(|(name, _)| name == who).map_or(&[], |(_, rates)| rates)
    }

    /// All rates, the losing ones too.
    pub(super) fn tell(&self, run: &mut Run) -> Result<()> {
        for (who, rates) in &self.all {
            let megabytes: Vec<f64> = rates.iter().map(|rate| rate / 1e6).collect();
            run.measured(&self.cell, who, "MB/s", &megabytes)?;
        }
        Ok(())
    }

    /// Ours against another.
    pub(super) fn ratio(&self, run: &mut Run, ours: &str, theirs: &str) -> Result<Spread> {
        let ratios: Vec<f64> = self.of(ours).iter().zip(self.of(theirs)).map(|(ours, theirs)| ours / theirs).collect();
        run.measured(&self.cell, &format!("{ours} / {theirs}"), "", &ratios)
    }

    /// Ours against the limit: of both limits the one that leaves us less. More than all of a limit is no merit but a weak limit.
    pub(super) fn of_the_limit(&self, run: &mut Run, ours: &str) -> Result<Spread> {
        let (twin, fio) = (self.ratio(run, ours, "twin")?, self.ratio(run, ours, "fio")?);
        let least = if twin.median < fio.median { twin } else { fio };
        Ok(Spread { median: least.median.min(1.0), ..least })
    }
}
