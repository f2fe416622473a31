//! Filter and project by DataFusion's physical expressions, batch by batch.
//!
//! Law: rows neither appear nor vanish but by a filter that is true for them (NULL is not true).

use std::sync::Arc;

use arrow::array::{Array, RecordBatch, RecordBatchOptions};
use arrow::compute::{filter_record_batch, prep_null_mask_filter};
use arrow::datatypes::SchemaRef;
use datafusion::common::cast::as_boolean_array;
use datafusion::physical_expr::PhysicalExpr;

use super::OperatorError;

/// One step of a pipeline.
#[derive(Debug, Clone)]
pub enum Step {
    /// Keeps rows for which it is true.
    Filter(Arc<dyn PhysicalExpr>),
    /// Computes the columns of `schema`.
    Project {
        /// One expression per column.
        columns: Vec<Arc<dyn PhysicalExpr>>,
        /// Names and types of the result.
        schema: SchemaRef,
    },
}

/// Applies steps in order.
pub fn run(steps: &[Step], mut batch: RecordBatch) -> Result<RecordBatch, OperatorError> {
    for step in steps {
        if batch.num_rows() == 0 && matches!(step, Step::Filter(_)) {
            continue;
        }
        batch = apply(step, &batch)?;
    }
    Ok(batch)
}

fn apply(step: &Step, batch: &RecordBatch) -> Result<RecordBatch, OperatorError> {
    match step {
        Step::Filter(condition) => {
            let failed = |error: &dyn std::fmt::Display| OperatorError::compute(format!("WHERE {condition}"), error);
            let truth = condition
                .evaluate(batch)
                .and_then(|value| value.into_array(batch.num_rows()))
                .map_err(|e| failed(&e))?;
            let truth = as_boolean_array(&truth).map_err(|e| failed(&e))?;
            let truth = if truth.null_count() > 0 { prep_null_mask_filter(truth) } else { truth.clone() };
            filter_record_batch(batch, &truth).map_err(|e| failed(&e))
        }
        Step::Project { columns, schema } => {
            let mut values = Vec::with_capacity(columns.len());
            for column in columns {
                let value = column
                    .evaluate(batch)
                    .and_then(|value| value.into_array(batch.num_rows()))
                    .map_err(|error| OperatorError::compute(format!("expression {column}"), error))?;
                values.push(value);
            }
            let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
            RecordBatch::try_new_with_options(schema.clone(), values, &options)
                .map_err(|error| OperatorError::compute("projection", error))
        }
    }
}
