//! Aggregates over groups, with DataFusion's group table and accumulators, one set per shard.
//!
//! `emit` and `state` of DataFusion consume what they show, so a shard that is exported is *frozen*:
//! its vectors move into an Arrow batch, the export holds that batch, and the shard is rebuilt from it
//! at its next touch. Each aggregate that is allowed here has a test for that round trip.
//! Law: freezing, rebuilding and importing change no result.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_plan::aggregates::group_values::{GroupValues, new_group_values};
use datafusion::physical_plan::aggregates::order::GroupOrdering;

use super::OperatorError;

/// Aggregates whose state is proved to survive export and import.
pub const ALLOWED: &[&str] = &["count", "sum", "min", "max", "avg"];

/// An argument of an aggregate.
#[derive(Debug, Clone)]
pub enum Argument {
    /// Column of the exchange.
    Column(usize),
    /// Constant, as in `COUNT(*)`.
    Literal(ScalarValue),
}

/// One aggregate.
#[derive(Debug, Clone)]
pub struct Call {
    /// DataFusion's function with its types.
    pub function: Arc<AggregateFunctionExpr>,
    /// Its arguments.
    pub arguments: Vec<Argument>,
    /// How many state columns it has.
    pub state_columns: usize,
}

/// All aggregates of a job.
#[derive(Debug, Clone)]
pub struct AggregateSpec {
    /// Group columns: the first columns of the exchange.
    pub groups: SchemaRef,
    /// Aggregates in order.
    pub calls: Vec<Call>,
    /// Group columns, then state columns: what a snapshot holds.
    pub state: SchemaRef,
    /// Group columns, then results.
    pub result: SchemaRef,
}

/// Groups and their accumulators while they are worked on.
pub struct Live {
    groups: Box<dyn GroupValues>,
    calls: Vec<Box<dyn GroupsAccumulator>>,
    indices: Vec<usize>,
    changed: Vec<bool>,
}

impl Live {
    /// No groups yet.
    pub fn empty(spec: &AggregateSpec) -> Result<Self, OperatorError> {
        let groups = new_group_values(spec.groups.clone(), &GroupOrdering::None).map_err(failed)?;
        let calls = spec
            .calls
            .iter()
            .map(|call| call.function.create_groups_accumulator().map_err(failed))
            .collect::<Result<_, _>>()?;
        Ok(Live { groups, calls, indices: Vec::new(), changed: Vec::new() })
    }

    /// Groups as a snapshot or an earlier freeze left them, none of them changed.
    pub fn thaw(spec: &AggregateSpec, state: &RecordBatch) -> Result<Self, OperatorError> {
        let mut live = Live::empty(spec)?;
        let width = spec.groups.fields().len();
        live.groups.intern(&state.columns()[..width], &mut live.indices).map_err(failed)?;
        let total = live.groups.len();
        let mut at = width;
        for (call, accumulator) in spec.calls.iter().zip(&mut live.calls) {
            let columns = &state.columns()[at..at + call.state_columns];
            accumulator.merge_batch(columns, &live.indices, total).map_err(failed)?;
            at += call.state_columns;
        }
        live.changed.resize(total, false);
        Ok(live)
    }

    /// Applies rows of the exchange.
    pub fn update(&mut self, spec: &AggregateSpec, columns: &[ArrayRef], rows: usize) -> Result<(), OperatorError> {
        let width = spec.groups.fields().len();
        self.groups.intern(&columns[..width], &mut self.indices).map_err(failed)?;
        let total = self.groups.len();
        for (call, accumulator) in spec.calls.iter().zip(&mut self.calls) {
            let mut values = Vec::with_capacity(call.arguments.len());
            for argument in &call.arguments {
                values.push(match argument {
                    Argument::Column(index) => columns[*index].clone(),
                    Argument::Literal(value) => value.to_array_of_size(rows).map_err(failed)?,
                });
            }
            accumulator.update_batch(&values, &self.indices, None, total).map_err(failed)?;
        }
        self.changed.resize(total, false);
        for index in &self.indices {
            self.changed[*index] = true;
        }
        Ok(())
    }

    /// State of all groups and which of them changed since the last freeze. What is left is empty.
    pub fn freeze(mut self, spec: &AggregateSpec) -> Result<(RecordBatch, Vec<bool>), OperatorError> {
        let mut columns = self.groups.emit(EmitTo::All).map_err(failed)?;
        for accumulator in &mut self.calls {
            columns.extend(accumulator.state(EmitTo::All).map_err(failed)?);
        }
        let batch = RecordBatch::try_new(spec.state.clone(), columns).map_err(failed)?;
        Ok((batch, self.changed))
    }
}

/// Results of groups given by their state.
pub fn results(spec: &AggregateSpec, state: &RecordBatch) -> Result<RecordBatch, OperatorError> {
    let mut live = Live::thaw(spec, state)?;
    let mut columns = live.groups.emit(EmitTo::All).map_err(failed)?;
    for accumulator in &mut live.calls {
        columns.push(accumulator.evaluate(EmitTo::All).map_err(failed)?);
    }
    RecordBatch::try_new(spec.result.clone(), columns).map_err(failed)
}

fn failed(error: impl std::fmt::Display) -> OperatorError {
    OperatorError::compute("aggregate", error)
}
