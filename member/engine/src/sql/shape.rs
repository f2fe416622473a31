//! The shape of a query that a job can run, and the words for every other.
//!
//! Taken: scan, filters and projections, at most one GROUP BY, projections. Law: an expression that gives
//! other values when the job is replayed is refused, and so is an aggregate without a proof.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, TableScan, Volatility};

use super::SqlError;
use crate::operators::aggregate::ALLOWED;

pub fn refuse_unstable(plan: &LogicalPlan) -> Result<(), SqlError> {
    let mut refusal = None;
    let look = |expr: &Expr| {
        let found = match expr {
            Expr::ScalarFunction(call) if call.func.signature().volatility != Volatility::Immutable => {
                Some(SqlError::unsupported(
                    format!("{}()", call.func.name()),
                    "it gives other values when the job is replayed",
                    "use columns of the source",
                ))
            }
            Expr::AggregateFunction(call) => refuse_aggregate(call),
            Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_) => Some(SqlError::unsupported(
                "a subquery in an expression",
                "it has no meaning on a stream",
                "read one mapping",
            )),
            _ => None,
        };
        refusal = refusal.take().or(found);
        Ok(TreeNodeRecursion::Continue)
    };
    let mut look = look;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| expr.apply(&mut look))?;
        Ok(TreeNodeRecursion::Continue)
    })
    .map_err(|error| SqlError::plan("the query", error))?;
    refusal.map_or(Ok(()), Err)
}

fn refuse_aggregate(call: &AggregateFunction) -> Option<SqlError> {
    let name = call.func.name();
    if !ALLOWED.contains(&name) {
        return Some(SqlError::unsupported(
            format!("aggregate {name}"),
            "its state is not proved to survive a snapshot",
            format!("use {}", ALLOWED.join(", ")),
        ));
    }
    let params = &call.params;
    if params.distinct || params.filter.is_some() || !params.order_by.is_empty() {
        return Some(SqlError::unsupported(
            format!("{name} with DISTINCT, FILTER or ORDER BY"),
            "its state is not proved to survive a snapshot",
            "use WHERE, or CASE WHEN … END as the argument",
        ));
    }
    None
}

/// The plan as a chain of nodes, from the result to the scan.
pub struct Chain<'a> {
    pub after: Vec<&'a LogicalPlan>,
    pub aggregate: Option<&'a Aggregate>,
    pub before: Vec<&'a LogicalPlan>,
    pub scan: &'a TableScan,
}

impl<'a> Chain<'a> {
    pub fn of(plan: &'a LogicalPlan) -> Result<Self, SqlError> {
        let (mut above, mut after, mut aggregate) = (Vec::new(), Vec::new(), None);
        let mut node = plan;
        loop {
            match node {
                LogicalPlan::Projection(projection) => {
                    above.push(node);
                    node = &projection.input;
                }
                LogicalPlan::Filter(filter) => {
                    above.push(node);
                    node = &filter.input;
                }
                LogicalPlan::SubqueryAlias(alias) => node = &alias.input,
                LogicalPlan::Aggregate(found) if aggregate.is_none() => {
                    if above.iter().any(|node| matches!(node, LogicalPlan::Filter(_))) {
                        return Err(SqlError::unsupported(
                            "HAVING",
                            "an entry that was written could not be taken back",
                            "filter when you read the map",
                        ));
                    }
                    aggregate = Some(found);
                    after = std::mem::take(&mut above);
                    node = &found.input;
                }
                LogicalPlan::TableScan(scan) if scan.filters.is_empty() && scan.fetch.is_none() => {
                    return Ok(Chain { after, aggregate, before: above, scan });
                }
                other => return Err(refuse_node(other)),
            }
        }
    }
}

pub fn refuse_node(node: &LogicalPlan) -> SqlError {
    let (thing, way_out) = match node {
        LogicalPlan::Sort(_) => ("ORDER BY", "sort when you read the map"),
        LogicalPlan::Limit(_) => ("LIMIT", "limit when you read the map"),
        LogicalPlan::Join(_) => ("JOIN", "read one mapping"),
        LogicalPlan::Union(_) => ("UNION", "make two jobs"),
        LogicalPlan::Window(_) => ("OVER (…)", "use GROUP BY"),
        LogicalPlan::Distinct(_) => ("DISTINCT", "use GROUP BY"),
        LogicalPlan::Aggregate(_) => ("GROUP BY over GROUP BY", "use one GROUP BY"),
        LogicalPlan::EmptyRelation(_) => ("a query that can give no rows", "look at the WHERE"),
        other => {
            return SqlError::unsupported(
                other.display().to_string(),
                "jobs cannot run it",
                "use SELECT … FROM … WHERE … GROUP BY …",
            );
        }
    };
    SqlError::unsupported(thing, "it has no bounded meaning on a stream here", way_out)
}
