//! From DataFusion's optimized logical plan to a [`Program`].
//!
//! What may be in it is decided by [`super::shape`], where it goes by [`super::target`]. Law: the same text,
//! mappings and facts give the same program and the same fingerprints on every member.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::common::DFSchema;
use datafusion::datasource::empty::EmptyTable;
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::{Aggregate, Expr, ExprSchemable, LogicalPlan, TableScan};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::AggregateExprBuilder;
use datafusion::physical_expr::expressions::{Column, Literal, cast};
use datafusion::prelude::{SessionConfig, SessionContext};

use super::shape::{Chain, refuse_node, refuse_unstable};
use super::target::{Target, groups_of_key, sink_of};
use super::{Mapping, SqlError};
use crate::ENGINE_VERSION;
use crate::operators::aggregate::{AggregateSpec, Argument, Call};
use crate::operators::program::{Keyed, Program, SourceSpec};
use crate::operators::step::Step;

/// A program with what members compare.
pub struct Lowered {
    pub program: Program,
    pub fingerprint: String,
    pub state_fingerprint: String,
}

/// The one mapping that a query reads.
pub fn source_of(query: &str, mappings: &BTreeMap<String, Mapping>) -> Result<String, SqlError> {
    let names = super::bounded_tables(query)?;
    match names.as_slice() {
        [name] if mappings.contains_key(name) => Ok(name.clone()),
        [name] => Err(SqlError::Unknown {
            kind: "mapping",
            name: name.clone(),
            way_out: "create it: CREATE MAPPING … TYPE File or Generator".into(),
        }),
        [] => Err(SqlError::unsupported("a job without FROM", "it has no source", "read a mapping")),
        _ => Err(SqlError::unsupported(
            format!("reading {} in one job", names.join(", ")),
            "joins and unions are not built yet",
            "read one mapping",
        )),
    }
}

/// Plans a query and makes a program of it.
pub fn lower(
    query: &str,
    source: &Mapping,
    spec: &SourceSpec,
    sink: &Mapping,
    sink_columns: &[String],
) -> Result<Lowered, SqlError> {
    let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(1));
    let table: Arc<dyn TableProvider> = Arc::new(EmptyTable::new(source.schema()?));
    context.register_table(source.name.as_str(), table).map_err(|error| SqlError::plan(query, error))?;
    let state = context.state();
    let written =
        futures::executor::block_on(state.create_logical_plan(query)).map_err(|error| SqlError::plan(query, error))?;
    refuse_unstable(&written)?;
    let plan = state.optimize(&written).map_err(|error| SqlError::plan(query, error))?;
    let chain = Chain::of(&plan)?;
    let sink = sink_of(sink, sink_columns, plan.schema())?;
    let program = Lowering { state: &state, query }.program(&plan, &chain, spec, source, &sink)?;
    let seen = format!(
        "{ENGINE_VERSION}\n{}\n{:?}\n{:?}\n{:?}",
        plan.display_indent_schema(),
        program.source,
        program.exchange,
        program.sink
    );
    let held = match &program.keyed {
        Keyed::Aggregate(aggregate) => {
            let calls: Vec<_> = aggregate.calls.iter().map(|call| call.function.fun().name().to_string()).collect();
            let types: Vec<_> = aggregate.state.fields().iter().map(|field| field.data_type().to_string()).collect();
            format!("aggregate {calls:?} {types:?}")
        }
        Keyed::Upsert => "upsert".into(),
    };
    let digest = |text: &str| blake3::hash(text.as_bytes()).to_hex()[..32].to_string();
    Ok(Lowered { program, fingerprint: digest(&seen), state_fingerprint: digest(&held) })
}

/// Aggregates, the columns of the exchange and the expressions that give them.
type Grouped = (AggregateSpec, SchemaRef, Vec<Arc<dyn PhysicalExpr>>);

struct Lowering<'a> {
    state: &'a SessionState,
    query: &'a str,
}

impl Lowering<'_> {
    fn program(
        &self,
        plan: &LogicalPlan,
        chain: &Chain,
        spec: &SourceSpec,
        source: &Mapping,
        target: &Target,
    ) -> Result<Program, SqlError> {
        let (source_spec, source_schema, mut before) = self.scan(chain.scan, spec, source)?;
        before.extend(self.steps(&chain.before)?);
        let top = Arc::new(plan.schema().as_arrow().clone());
        let to_sink = self.to_sink(&top, target)?;
        let Some(aggregate) = chain.aggregate else {
            before.push(to_sink);
            return Ok(Program {
                source: source_spec,
                source_schema,
                before,
                exchange: target.sink.schema.clone(),
                route_by: target.sink.key.clone(),
                keyed: Keyed::Upsert,
                after: Vec::new(),
                sink: target.sink.clone(),
            });
        };
        let route_by = groups_of_key(chain, aggregate, target)?;
        let (keyed, exchange, arguments) = self.aggregate(aggregate)?;
        before.push(Step::Project { columns: arguments, schema: exchange.clone() });
        let mut after = self.steps(&chain.after)?;
        after.push(to_sink);
        let keyed = Keyed::Aggregate(Arc::new(keyed));
        Ok(Program {
            source: source_spec,
            source_schema,
            before,
            exchange,
            route_by,
            keyed,
            after,
            sink: target.sink.clone(),
        })
    }

    fn physical(&self, expr: &Expr, schema: &DFSchema) -> Result<Arc<dyn PhysicalExpr>, SqlError> {
        self.state.create_physical_expr(expr.clone(), schema).map_err(|error| SqlError::plan(format!("{expr}"), error))
    }

    /// A file reads only the columns that are asked for; other sources drop them after.
    fn scan(
        &self,
        scan: &TableScan,
        spec: &SourceSpec,
        source: &Mapping,
    ) -> Result<(SourceSpec, SchemaRef, Vec<Step>), SqlError> {
        let full = source.schema()?;
        let Some(projection) = &scan.projection else { return Ok((spec.clone(), full, Vec::new())) };
        let narrow = Arc::new(full.project(projection).map_err(|error| SqlError::plan(self.query, error))?);
        match spec {
            SourceSpec::File(file) => {
                let mut file = file.clone();
                file.fields = projection.iter().map(|index| file.fields[*index]).collect();
                Ok((SourceSpec::File(file), narrow, Vec::new()))
            }
            SourceSpec::Generator(_) => {
                let columns = projection.iter().map(|index| column(full.field(*index).name(), *index)).collect();
                Ok((spec.clone(), full, vec![Step::Project { columns, schema: narrow }]))
            }
        }
    }

    /// Nodes from the result downwards, as steps in order of execution.
    fn steps(&self, nodes: &[&LogicalPlan]) -> Result<Vec<Step>, SqlError> {
        let mut steps = Vec::new();
        for node in nodes.iter().rev() {
            match node {
                LogicalPlan::Filter(filter) => {
                    steps.push(Step::Filter(self.physical(&filter.predicate, filter.input.schema())?))
                }
                LogicalPlan::Projection(projection) => {
                    let input = projection.input.schema();
                    let columns =
                        projection.expr.iter().map(|expr| self.physical(expr, input)).collect::<Result<_, _>>()?;
                    steps.push(Step::Project { columns, schema: nullable(projection.schema.as_arrow()) });
                }
                other => return Err(refuse_node(other)),
            }
        }
        Ok(steps)
    }

    fn to_sink(&self, top: &SchemaRef, target: &Target) -> Result<Step, SqlError> {
        let mut columns = Vec::new();
        for (field, from) in target.sink.schema.fields().iter().zip(&target.from) {
            let plain = column(top.field(*from).name(), *from);
            let fitting = cast(plain, top, field.data_type().clone()).map_err(|error| {
                SqlError::plan(format!("column '{}' of map '{}'", field.name(), target.sink.map), error)
            })?;
            columns.push(fitting);
        }
        Ok(Step::Project { columns, schema: target.sink.schema.clone() })
    }

    fn aggregate(&self, node: &Aggregate) -> Result<Grouped, SqlError> {
        let input = node.input.schema();
        let failed = |error| SqlError::plan(self.query, error);
        let (mut fields, mut columns) = (Vec::new(), Vec::new());
        for (at, expr) in node.group_expr.iter().enumerate() {
            fields.push(Field::new(format!("g{at}"), expr.get_type(input).map_err(failed)?, true));
            columns.push(self.physical(expr, input)?);
        }
        let groups: SchemaRef = Arc::new(Schema::new(fields.clone()));
        let mut shapes = Vec::new();
        for expr in &node.aggr_expr {
            let Expr::AggregateFunction(call) = expr.clone().unalias() else {
                return Err(SqlError::unsupported(
                    expr.to_string(),
                    "it is not an aggregate",
                    "use count, sum, min, max, avg",
                ));
            };
            let mut arguments = Vec::new();
            for argument in &call.params.args {
                if let Expr::Literal(value, _) = argument {
                    arguments.push(Argument::Literal(value.clone()));
                    continue;
                }
                arguments.push(Argument::Column(fields.len()));
                fields.push(Field::new(format!("a{}", fields.len()), argument.get_type(input).map_err(failed)?, true));
                columns.push(self.physical(argument, input)?);
            }
            shapes.push((call.func, arguments));
        }
        let exchange: SchemaRef = Arc::new(Schema::new(fields));
        let mut state: Vec<Field> = groups.fields().iter().map(|field| field.as_ref().clone()).collect();
        let mut result = state.clone();
        let mut calls = Vec::new();
        for (at, (function, arguments)) in shapes.into_iter().enumerate() {
            let physical = arguments.iter().map(|argument| argument_expr(argument, &exchange)).collect();
            let function = AggregateExprBuilder::new(function, physical)
                .schema(exchange.clone())
                .alias(format!("r{at}"))
                .build()
                .map_err(failed)?;
            if !function.groups_accumulator_supported() {
                return Err(SqlError::unsupported(
                    format!("{} of this type", function.fun().name()),
                    "it has no grouped form",
                    "cast the argument to BIGINT, DOUBLE or VARCHAR",
                ));
            }
            let columns = function.state_fields().map_err(failed)?;
            for (column, field) in columns.iter().enumerate() {
                state.push(Field::new(format!("s{at}_{column}"), field.data_type().clone(), true));
            }
            result.push(Field::new(format!("r{at}"), function.field().data_type().clone(), true));
            calls.push(Call { function: Arc::new(function), arguments, state_columns: columns.len() });
        }
        let spec =
            AggregateSpec { groups, calls, state: Arc::new(Schema::new(state)), result: Arc::new(Schema::new(result)) };
        Ok((spec, exchange, columns))
    }
}

fn argument_expr(argument: &Argument, exchange: &SchemaRef) -> Arc<dyn PhysicalExpr> {
    match argument {
        Argument::Column(index) => column(exchange.field(*index).name(), *index),
        Argument::Literal(value) => Arc::new(Literal::new(value.clone())),
    }
}

fn column(name: &str, index: usize) -> Arc<dyn PhysicalExpr> {
    Arc::new(Column::new(name, index))
}

fn nullable(schema: &Schema) -> SchemaRef {
    Arc::new(Schema::new(
        schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect::<Vec<_>>(),
    ))
}
